package main

import (
	"fmt"
	"strings"

	"github.com/streamflow/streamflow/store/s3store"
)

// s3ObjectFlags are what a bucket keeps with every object that upload makes.
type s3ObjectFlags struct {
	storageClass, acl, sse, kmsKey string
	contentType, cacheControl      string
	tags                           pairs
}

func (f *s3ObjectFlags) group() flagGroup {
	g := newFlagGroup("S3 objects")
	g.flags.StringVar(&f.contentType, "content-type", "", "media `TYPE` of every object (default by the extension of its name, else by its first bytes)")
	g.flags.StringVar(&f.cacheControl, "cache-control", "", "Cache-Control of every object")
	g.flags.StringVar(&f.storageClass, "s3-storage-class", "", "`CLASS` that objects are stored in, as STANDARD_IA")
	g.flags.StringVar(&f.acl, "s3-acl", "", "canned `ACL` of objects, as bucket-owner-full-control")
	g.flags.StringVar(&f.sse, "s3-sse", "", "have the service encrypt: AES256 or aws:kms")
	g.flags.StringVar(&f.kmsKey, "s3-kms-key", "", "`ID` of the key for --s3-sse aws:kms")
	g.flags.Var(&f.tags, "s3-tag", "tag of every object; may be repeated")
	return g
}

func (f *s3ObjectFlags) options() s3store.ObjectOptions {
	return s3store.ObjectOptions{
		ContentType: f.contentType, CacheControl: f.cacheControl, StorageClass: f.storageClass, ACL: f.acl,
		SSE: f.sse, KMSKey: f.kmsKey, Tags: f.tags.byKey,
	}
}

// given reports whether there is any.
func (f *s3ObjectFlags) given() bool {
	return f.contentType != "" || f.cacheControl != "" || f.storageClass != "" || f.acl != "" || f.sse != "" || f.kmsKey != "" || len(f.tags.byKey) > 0
}

// terms tell what a bucket keeps with objects from what it keeps with others.
func (f *s3ObjectFlags) terms() string {
	if !f.given() {
		return ""
	}
	return fmt.Sprintf("%+q", f.options()) // maps in order of their keys
}

// pairs is the value of a flag that takes KEY=VALUE and may be repeated.
type pairs struct {
	texts []string
	byKey map[string]string
}

func (p *pairs) Set(s string) error {
	key, value, ok := strings.Cut(s, "=")
	if !ok || key == "" {
		return fmt.Errorf("%q: want KEY=VALUE", s)
	}
	if p.byKey == nil {
		p.byKey = map[string]string{}
	}
	p.byKey[key] = value
	p.texts = append(p.texts, s)
	return nil
}

// Append, Replace and GetSlice implement pflag.SliceValue, for configuration files.
func (p *pairs) Append(s string) error { return p.Set(s) }

func (p *pairs) Replace(all []string) error {
	*p = pairs{}
	for _, s := range all {
		if err := p.Set(s); err != nil {
			return err
		}
	}
	return nil
}

func (p *pairs) GetSlice() []string { return p.texts }
func (p *pairs) String() string     { return strings.Join(p.texts, ",") }
func (p *pairs) Type() string       { return "KEY=VALUE" }
