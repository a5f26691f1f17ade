package main

import (
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/streamflow/streamflow/server"
	"github.com/streamflow/streamflow/server/policy"
)

// policyFlags bound what clients may do.
type policyFlags struct {
	maxFileBytes        size
	types               list[policy.TypePattern]
	extensions          list[policy.Extension]
	checkType           bool
	maxUploads          int
	maxRequests         int
	rate, rateTotal     byteRate
	quota               size
	expireAfter         time.Duration
	expireFinishedAfter time.Duration
}

func (f *policyFlags) group() flagGroup {
	g := newFlagGroup("Limits")
	f.types.parse, f.types.kind = policy.ParseType, "types"
	f.extensions.parse, f.extensions.kind = policy.ParseExtension, "extensions"
	g.flags.Var(&f.maxFileBytes, "max-file-size", "largest upload; 0 is any")
	g.flags.Var(&f.types, "allow-type", "media types that uploads may have, as image/*,application/pdf; their first bytes must fit")
	g.flags.Var(&f.extensions, "allow-extension", "how names of uploads may end, as .jpg,.png")
	g.flags.BoolVar(&f.checkType, "check-type", false, "refuse uploads whose first bytes don't fit their type, whatever it is")
	g.flags.IntVar(&f.maxUploads, "max-uploads", 0, "most unfinished uploads of each client; 0 is any")
	g.flags.IntVar(&f.maxRequests, "max-requests", 0, "most requests for uploads of each client a minute; 0 is any")
	g.flags.Var(&f.rate, "rate-limit", "most bytes a second from each client; 0 is any")
	g.flags.Var(&f.rateTotal, "rate-limit-total", "most bytes a second from all clients; 0 is any")
	g.flags.Var(&f.quota, "quota", "most bytes of all uploads in the store; 0 is any")
	g.flags.DurationVar(&f.expireAfter, "expire-after", 0, "remove unfinished uploads that got nothing for so long; 0 is never")
	g.flags.DurationVar(&f.expireFinishedAfter, "expire-finished-after", 0, "remove finished uploads so long after their end; 0 is never")
	return g
}

// leastShared is the least --expire-after of a store that nodes share: they see with a
// delay that bytes come elsewhere, a quarter of an hour beside the server's IdleTimeout.
const leastShared = time.Hour

func (f *policyFlags) check(cmd *cobra.Command, shared bool) error {
	switch {
	case f.maxUploads < 0:
		return usagef(cmd, "--max-uploads %d: want more than 0, or 0 for any", f.maxUploads)
	case f.maxRequests < 0:
		return usagef(cmd, "--max-requests %d: want more than 0, or 0 for any", f.maxRequests)
	case f.expireAfter < 0:
		return usagef(cmd, "--expire-after %v: want more than 0, or 0 for never", f.expireAfter)
	case shared && f.expireAfter > 0 && f.expireAfter < leastShared:
		return usagef(cmd, "--expire-after %v: with a bucket want %v or more, as its nodes see with a delay that bytes come", f.expireAfter, leastShared)
	case f.expireFinishedAfter < 0:
		return usagef(cmd, "--expire-finished-after %v: want more than 0, or 0 for never", f.expireFinishedAfter)
	}
	return nil
}

func (f *policyFlags) apply(opts *server.Options) {
	opts.MaxFileBytes = int64(f.maxFileBytes)
	opts.ExpireAfter, opts.ExpireFinishedAfter = f.expireAfter, f.expireFinishedAfter
	opts.Policy = policy.Options{
		Types:               f.types.items,
		Extensions:          f.extensions.items,
		CheckSignatures:     f.checkType,
		MaxUploads:          f.maxUploads,
		RequestsPerMinute:   f.maxRequests,
		BytesPerSecond:      int64(f.rate),
		TotalBytesPerSecond: int64(f.rateTotal),
		Quota:               int64(f.quota),
	}
}

// A list is the value of a flag that takes several of a kind, parted by commas,
// and may come more than once.
type list[T ~string] struct {
	parse func(string) (T, error)
	kind  string
	items []T
}

// Set adds to what other flags on the same command line have.
func (l *list[T]) Set(s string) error {
	var items []T
	for word := range strings.SplitSeq(s, ",") {
		item, err := l.parse(strings.TrimSpace(word))
		if err != nil {
			return err
		}
		items = append(items, item)
	}
	l.items = append(l.items, items...)
	return nil
}

func (l *list[T]) String() string {
	words := make([]string, len(l.items))
	for i, item := range l.items {
		words[i] = string(item)
	}
	return strings.Join(words, ",")
}

func (l *list[T]) Type() string { return l.kind }
