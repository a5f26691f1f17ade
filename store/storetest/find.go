package storetest

import (
	"errors"

	"github.com/streamflow/streamflow/store"
)

// noReplace: of two uploads of one name the first object stays, whether the
// second begins before it is there or after. A store that names objects itself
// keeps both.
func (s *suite) noReplace() {
	first, second := content(1000), content(1001)
	spec := store.Spec{Name: "taken.bin", Length: 1000, UnitBytes: s.unit, NoReplace: true}
	u, _, err := s.store.Create(s.ctx, spec)
	s.must(err)
	spec.Length = 1001
	early, earlyInfo, err := s.store.Create(s.ctx, spec)
	s.must(err)
	s.write(u, first, 0, 1000)
	info := s.finish(u, first)

	s.write(early, second, 0, 1001)
	early, _, err = s.store.Open(s.ctx, earlyInfo.ID) // it is remembered
	s.must(err)
	s.stays(early, info, first)
	late, _, err := s.store.Create(s.ctx, spec)
	if err != nil {
		s.want(err, store.ErrExists)
		return
	}
	s.write(late, second, 0, 1001)
	s.stays(late, info, first)
}

// stays finishes an upload that must not replace an object.
func (s *suite) stays(u store.Upload, there store.Info, want []byte) {
	s.Helper()
	for range 2 {
		info, err := u.Finish(s.ctx, store.Sum{})
		if err == nil && info.Location == there.Location {
			s.Fatalf("%s was replaced", info.Location)
		}
		if err != nil {
			s.want(err, store.ErrExists)
		}
	}
	s.compare(s.opts.Read(s.T, there), want)
	s.must(u.Abort(s.ctx))
}

func (s *suite) find() {
	finder, ok := s.store.(store.Finder)
	if !ok {
		return
	}
	_, err := finder.Find(s.ctx, "object.bin", 1000)
	if errors.Is(err, store.ErrUnsupported) {
		return
	}
	s.want(err, store.ErrNotFound)
	data := content(1000)
	u, _ := s.begin(1000)
	s.write(u, data, 0, 1000)
	_, err = finder.Find(s.ctx, "object.bin", 1000)
	s.want(err, store.ErrNotFound)
	done := s.finish(u, data)
	found, err := finder.Find(s.ctx, "object.bin", 1000)
	s.must(err)
	if found.ID != "" || found.Name != "object.bin" || found.Length != 1000 || found.Sum != sum(data) || found.Location != done.Location {
		s.Errorf("found %+v", found)
	}
	found, err = finder.Find(s.ctx, "object.bin", 999)
	s.must(err)
	if found.Length != 1000 {
		s.Errorf("of another length is found %+v", found)
	}
}
