package main

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store/clusterstore"
	"github.com/streamflow/streamflow/store/s3store"
)

// s3Flags say where a bucket is. What they leave open, the variables of the AWS
// tools say.
type s3Flags struct {
	endpoint  string
	region    string
	pathStyle bool
	objects   s3store.ObjectOptions
}

func (f *s3Flags) group() flagGroup {
	g := newFlagGroup("S3")
	g.flags.StringVar(&f.endpoint, "s3-endpoint", "", "URL of the service (default $AWS_ENDPOINT_URL, else Amazon S3)")
	g.flags.StringVar(&f.region, "s3-region", "", "region of the bucket (default $AWS_REGION, else the service is asked)")
	g.flags.BoolVar(&f.pathStyle, "s3-path-style", false, "name the bucket in the path of URLs, not in the host")
	return g
}

// parseBucket reads what follows s3:// of a DESTINATION.
func parseBucket(cmd *cobra.Command, text string) (destination, error) {
	u, err := url.Parse(text)
	if err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return destination{}, usagef(cmd, "destination %s: want s3://BUCKET/PREFIX", text)
	}
	prefix := strings.Trim(u.Path, "/")
	return destination{name: strings.TrimSuffix("s3://"+u.Host+"/"+prefix, "/"), bucket: u.Host, prefix: prefix}, nil
}

func (f *s3Flags) service() string {
	return cmp.Or(f.endpoint, os.Getenv("AWS_ENDPOINT_URL_S3"), os.Getenv("AWS_ENDPOINT_URL"))
}

func (f *s3Flags) open(bucket, prefix string, mem *memory.Manager) (*s3store.Store, error) {
	opts, err := f.options()
	if err != nil {
		return nil, err
	}
	return s3store.Open(bucket, prefix, mem, opts)
}

// openShared returns the store of a server, once the service has shown that nodes
// can share it.
func (f *s3Flags) openShared(ctx context.Context, bucket, prefix string, mem *memory.Manager) (*clusterstore.Store, error) {
	opts, err := f.options()
	if err != nil {
		return nil, err
	}
	st, err := clusterstore.Open(bucket, prefix, mem, opts)
	if err != nil {
		return nil, err
	}
	if err := st.Probe(ctx); err != nil {
		return nil, errors.Join(err, st.Close())
	}
	return st, nil
}

func (f *s3Flags) options() (*s3store.Options, error) {
	opts := &s3store.Options{
		Endpoint:  f.service(),
		Region:    cmp.Or(f.region, os.Getenv("AWS_REGION"), os.Getenv("AWS_DEFAULT_REGION")),
		PathStyle: f.pathStyle,
		Object:    f.objects,
	}
	if file := os.Getenv("AWS_CA_BUNDLE"); file != "" {
		pem, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("variable AWS_CA_BUNDLE: %w", err)
		}
		opts.RootCAs = x509.NewCertPool()
		if !opts.RootCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("variable AWS_CA_BUNDLE: %s has no certificate", file)
		}
	}
	return opts, nil
}
