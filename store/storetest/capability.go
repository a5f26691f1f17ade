package storetest

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"slices"
	"strings"
	"time"

	"github.com/streamflow/streamflow/store"
)

// verifier begins an upload that can check its units, if the store has those.
func (s *suite) verifier(length int64) (store.Upload, store.Verifier) {
	s.Helper()
	u, _ := s.begin(length)
	v, ok := u.(store.Verifier)
	if s.limits.Verified && !ok {
		s.Fatal("Limits promise verified units, and an upload has none")
	}
	if !s.limits.Verified {
		return u, nil
	}
	return u, v
}

func (s *suite) verifiedUnit() {
	data := content(2*s.unit + 3)
	for _, size := range []int64{s.unit + 3, store.UnknownLength} {
		u, v := s.verifier(int64(len(data)))
		if v == nil {
			return
		}
		s.write(u, data, 0, s.unit)
		r := bytes.NewReader(data[s.unit:])
		calls := 0
		n, err := v.WriteVerified(s.ctx, s.unit, r, size, func() error {
			if calls++; r.Len() > 0 {
				s.Errorf("verified with %d bytes still to come", r.Len())
			}
			if off := s.info(u).Offset; off != s.unit {
				s.Errorf("offset is %d before the unit is verified", off)
			}
			return nil
		})
		s.must(err)
		if n != s.unit+3 || calls != 1 {
			s.Errorf("wrote %d bytes, verified %d times", n, calls)
		}
		s.finish(u, data)
	}
	u, v := s.verifier(0)
	failure := errors.New("wrong sum of nothing")
	_, err := v.WriteVerified(s.ctx, 0, bytes.NewReader(nil), 0, func() error { return failure })
	s.want(err, failure)
	s.finish(u, nil)
}

func (s *suite) unverifiedUnit() {
	data := content(3 * s.unit)
	u, v := s.verifier(3 * s.unit)
	if v == nil {
		return
	}
	s.write(u, data, 0, s.unit)
	failure := errors.New("another sum")
	n, err := v.WriteVerified(s.ctx, s.unit, bytes.NewReader(content(2*s.unit)), 2*s.unit, func() error { return failure })
	s.want(err, failure)
	s.dropped(u, n)
	s.goOn(u, data)
	s.finish(u, data)
}

// unitWithoutCheck: the process that dies in the middle looks the same.
func (s *suite) unitWithoutCheck() {
	data := content(3 * s.unit)
	u, v := s.verifier(3 * s.unit)
	if v == nil {
		return
	}
	s.write(u, data, 0, s.unit)
	verify := func() error { s.Error("verified half a unit"); return nil }
	n, err := v.WriteVerified(s.ctx, s.unit, bytes.NewReader(data[s.unit:2*s.unit]), 2*s.unit, verify)
	s.want(err, io.ErrUnexpectedEOF)
	s.dropped(u, n)

	failure := errors.New("the source failed")
	r := &source{data: data[s.unit : 2*s.unit], then: func() error { return failure }}
	n, err = v.WriteVerified(s.ctx, s.unit, r, store.UnknownLength, verify)
	s.want(err, failure)
	s.dropped(u, n)

	ctx, cancel := context.WithCancel(s.ctx)
	r = &source{data: data[s.unit : 2*s.unit], then: func() error { cancel(); return ctx.Err() }}
	n, err = v.WriteVerified(ctx, s.unit, r, 2*s.unit, verify)
	s.want(err, context.Canceled)
	s.dropped(u, n)
	s.goOn(u, data)
	s.finish(u, data)
}

// dropped checks that of all bytes only the first unit's are there.
func (s *suite) dropped(u store.Upload, n int64) {
	s.Helper()
	info := s.info(u)
	if n != 0 || info.Offset != s.unit || info.Written != nil {
		s.Fatalf("%d bytes acknowledged, offset %d, ranges %v", n, info.Offset, info.Written)
	}
	if info.Sum.Known && info.Sum != sum(content(3 * s.unit)[:s.unit]) {
		s.Fatalf("sum is %08x", info.Sum.CRC32C)
	}
}

func (s *suite) verifyAgain() {
	data := content(2 * s.unit)
	u, v := s.verifier(2 * s.unit)
	if v == nil || !s.limits.Unordered {
		return
	}
	s.write(u, data, s.unit, 2*s.unit)
	fine := func() error { return nil }
	for _, size := range []int64{2 * s.unit, store.UnknownLength} {
		_, err := v.WriteVerified(s.ctx, 0, bytes.NewReader(content(2*s.unit)), size, fine)
		s.want(err, store.ErrInvalid)
	}
	n, err := v.WriteVerified(s.ctx, 0, bytes.NewReader(data), s.unit, fine)
	s.must(err)
	if n != s.unit {
		s.Errorf("wrote %d bytes", n)
	}
	s.finish(u, data)
}

func (s *suite) concatenate() {
	c, ok := s.store.(store.Concatenator)
	if !ok {
		return
	}
	var ids []string
	var parts [][]byte
	for i, n := range []int64{s.unit + 11, 0, 2 * s.unit} {
		parts = append(parts, content(n))
		u, info := s.beginReadable(n)
		s.goOn(u, parts[i])
		ids = append(ids, info.ID)
		if i == 2 && !s.opts.Forgets {
			s.finish(u, parts[i])
		}
	}
	whole := bytes.Join([][]byte{parts[0], parts[1], parts[2], parts[0]}, nil)
	u, info, err := c.Concatenate(s.ctx, store.Spec{Name: "whole.bin", Length: 7, UnitBytes: s.unit}, append(slices.Clone(ids), ids[0]))
	s.must(err)
	if n := int64(len(whole)); info.Complete || info.Offset != n || info.Length != n {
		s.Errorf("before Finish it is %+v", info)
	}
	info = s.finish(u, whole)
	if info.Sum.Known && info.Sum != sum(whole) {
		s.Errorf("sum is %08x", info.Sum.CRC32C)
	}
	for i, id := range ids {
		if got, err := s.store.Stat(s.ctx, id); err != nil || got.Offset != int64(len(parts[i])) {
			s.Errorf("then part %d is %+v, %v", i, got, err)
		}
	}
}

func (s *suite) concatenateParts() {
	c, ok := s.store.(store.Concatenator)
	if !ok {
		return
	}
	whole, wholeInfo := s.beginReadable(s.unit)
	s.goOn(whole, content(s.unit))
	_, half := s.beginReadable(s.unit)
	deferred, open := s.beginReadable(store.UnknownLength)
	s.write(deferred, content(s.unit), 0, s.unit)
	gone, goneInfo := s.beginReadable(0)
	s.must(gone.Abort(s.ctx))
	before := s.list()
	spec := store.Spec{Name: "whole.bin", UnitBytes: s.unit}
	for id, want := range map[string]error{
		half.ID: store.ErrIncomplete, open.ID: store.ErrIncomplete, goneInfo.ID: store.ErrNotFound, "x": store.ErrNotFound,
	} {
		_, _, err := c.Concatenate(s.ctx, spec, []string{wholeInfo.ID, id})
		s.want(err, want)
	}
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	_, _, err := c.Concatenate(ctx, spec, []string{wholeInfo.ID})
	s.want(err, context.Canceled)
	if after := s.list(); !slices.Equal(before, after) {
		s.Errorf("uploads before are %v, after %v", before, after)
	}
}

func (s *suite) lists() {
	lister, ok := s.store.(store.Lister)
	if !ok {
		return
	}
	if ids := slices.Concat(s.list(), s.ids(lister.Finished(s.ctx, time.Time{}))); len(ids) != 0 {
		s.Errorf("in a new store there are %v", ids)
	}
	var open, done []string
	for range 3 {
		_, info := s.begin(5)
		open = append(open, named(info.ID))
		u, info := s.begin(0)
		s.finish(u, nil)
		if !s.opts.Forgets && !s.opts.Unlisted {
			done = append(done, named(info.ID))
		}
	}
	aborted, _ := s.begin(1)
	s.must(aborted.Abort(s.ctx))
	s.walks(lister.Unfinished, open)
	s.walks(lister.Finished, done)
}

// walks checks a walk of a Lister over uploads that have changed just now.
func (s *suite) walks(walk func(context.Context, time.Time) iter.Seq2[store.Info, error], want []string) {
	s.Helper()
	slices.Sort(want)
	longAgo, soon := time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	for _, before := range []time.Time{{}, soon} {
		if got := s.ids(walk(s.ctx, before)); !slices.Equal(got, want) {
			s.Errorf("listed before %v are %v, want %v", before, got, want)
		}
	}
	for _, id := range s.ids(walk(s.ctx, longAgo)) { // maybe none
		if !slices.Contains(want, id) {
			s.Errorf("listed before %v is %s, want some of %v", longAgo, id, want)
		}
	}
	walked := 0
	for info, err := range walk(s.ctx, soon) {
		s.must(err)
		if stat, err := s.store.Stat(s.ctx, info.ID); err != nil || info.Length != stat.Length || info.Complete != stat.Complete {
			s.Errorf("listed is %+v, and there is %+v, %v", info, stat, err)
		}
		if walked++; walked == 2 {
			break
		}
	}
	ctx, cancel := context.WithCancel(s.ctx)
	cancel()
	for _, before := range []time.Time{{}, longAgo, soon} {
		var last error
		for _, err := range walk(ctx, before) {
			last = err
		}
		s.want(last, context.Canceled)
	}
}

// list returns the ids of what is unfinished, in order.
func (s *suite) list() []string {
	s.Helper()
	lister, ok := s.store.(store.Lister)
	if !ok {
		return nil
	}
	return s.ids(lister.Unfinished(s.ctx, time.Time{}))
}

func (s *suite) ids(walk iter.Seq2[store.Info, error]) []string {
	s.Helper()
	var ids []string
	for info, err := range walk {
		s.must(err)
		ids = append(ids, named(info.ID))
	}
	slices.Sort(ids)
	return ids
}

// named is what of an id a list has at least.
func named(id string) string {
	name, _, _ := strings.Cut(id, ".")
	return name
}
