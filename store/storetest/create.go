package storetest

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/streamflow/streamflow/store"
)

func (s *suite) createNew() {
	u, info, err := s.store.Create(s.ctx, store.Spec{Name: "object.bin", Length: 12345, UnitBytes: s.unit})
	s.must(err)
	if info.ID == "" || info.Name != "object.bin" || info.Length != 12345 || info.Offset != 0 || info.Written != nil || info.Complete {
		s.Errorf("info of a new upload is %+v", info)
	}
	if info.Sum.Known && info.Sum.CRC32C != 0 {
		s.Errorf("sum of nothing is %08x", info.Sum.CRC32C)
	}
	if asked := s.info(u); asked.ID != info.ID || asked.Length != info.Length || asked.Offset != 0 || asked.UnitBytes != info.UnitBytes {
		s.Errorf("create says %+v, and the upload %+v", info, asked)
	}
	_, other := s.begin(12345)
	if other.ID == info.ID {
		s.Errorf("two uploads have the id %s", info.ID)
	}
	s.must(u.Abort(s.ctx))
}

func (s *suite) createNonsense() {
	if _, _, err := s.store.Create(s.ctx, store.Spec{Name: "x", Length: -2}); err == nil {
		s.Error("length -2 was taken")
	}
	if s.limits.MaxLength > 0 {
		_, _, err := s.store.Create(s.ctx, store.Spec{Name: "x", Length: s.limits.MaxLength + 1, UnitBytes: s.unit})
		s.want(err, store.ErrTooLarge)
	}
}

// chosenID: an id is taken as long as its upload is there, finished or not.
func (s *suite) chosenID() {
	spec := store.Spec{ID: "0123456789abcdef0123456789abcdef", Name: "chosen.bin", Length: 0, UnitBytes: s.unit}
	if !s.limits.ChosenIDs {
		_, _, err := s.store.Create(s.ctx, spec)
		s.want(err, store.ErrUnsupported)
		return
	}
	u, info, err := s.store.Create(s.ctx, spec)
	s.must(err)
	if info.ID != spec.ID {
		s.Errorf("id is %s", info.ID)
	}
	_, _, err = s.store.Create(s.ctx, spec)
	s.want(err, store.ErrTaken)
	s.must(u.Abort(s.ctx))
	u, _, err = s.store.Create(s.ctx, spec)
	s.must(err)
	_, err = u.Finish(s.ctx, store.Sum{})
	s.must(err)
	_, _, err = s.store.Create(s.ctx, spec)
	s.want(err, store.ErrTaken)
	if info, err := s.store.Stat(s.ctx, spec.ID); err != nil || !info.Complete {
		s.Errorf("the finished upload is %+v, %v", info, err)
	}
	for _, id := range []string{"short", "../../../../../../../../etc/passwd", strings.Repeat("F", 32), strings.Repeat("0", 31) + "/"} {
		spec.ID = id
		_, _, err = s.store.Create(s.ctx, spec)
		s.want(err, store.ErrInvalid)
	}
}

// oddNames: a name works to the letter or is refused; it is never changed.
func (s *suite) oddNames() {
	names := []string{
		"plain.txt", "a/b/c.txt", "with space", " leading", "trailing ", "new\nline", "tab\t",
		"ünïcödé/日本語", "\xff\xfe not utf-8", "quote\"'`", "percent%2Fescape%00", "-rf", "~", "*?[x]",
		"...", "..a", "a..", "a b/.hidden", "#fragment?query=1&x", "semi;colon,comma=", "e\u0301",
		strings.Repeat("n", 255),
	}
	for _, name := range names {
		s.Run(name, func(t *testing.T) {
			s := *s
			s.T = t
			data := content(int64(1000 + len(name)))
			u, info, err := s.store.Create(s.ctx, store.Spec{Name: name, Length: int64(len(data)), UnitBytes: s.unit})
			if err != nil {
				s.want(err, store.ErrInvalid)
				return
			}
			if got := s.info(u).Name; got != name || info.Name != name {
				s.Errorf("name is %q, and was %q at first", got, info.Name)
			}
			s.write(u, data, 0, int64(len(data)))
			s.finish(u, data)
		})
	}
}

func (s *suite) badNames() {
	for _, name := range s.opts.BadNames {
		_, _, err := s.store.Create(s.ctx, store.Spec{Name: name, Length: 1, UnitBytes: s.unit})
		if err == nil {
			s.Errorf("name %q was taken", name)
			continue
		}
		s.want(err, store.ErrInvalid)
	}
}

func (s *suite) metadata() {
	want := map[string]string{
		"filename": "a file.txt", "empty": "", "odd": "line\nend \"quoted\" = ; ,", "utf8": "日本語", "bytes": "\xff\x00\xfe",
	}
	u, info, err := s.store.Create(s.ctx, store.Spec{Name: "object.bin", Length: 1, UnitBytes: s.unit, Metadata: want})
	s.must(err)
	for _, got := range []map[string]string{info.Metadata, s.info(u).Metadata} {
		if !s.opts.DropsMetadata && !maps.Equal(got, want) {
			s.Errorf("metadata is %q, want %q", got, want)
		}
	}
}

// muchMetadata: it is kept, or there is no upload. How much is kept is the store's to
// say.
func (s *suite) muchMetadata() {
	refused := false
	for size := 1 << 10; size <= 32<<20; size *= 2 {
		spec := store.Spec{
			Name: "object.bin", Length: 10, UnitBytes: s.unit, Readable: true,
			Metadata: map[string]string{"filename": "object.bin", "much": strings.Repeat("m", size-size/8)},
		}
		before := s.list()
		u, info, err := s.store.Create(s.ctx, spec)
		if err != nil {
			s.want(err, store.ErrInvalid)
			if after := s.list(); !slices.Equal(before, after) {
				s.Errorf("uploads before are %v, after %v", before, after)
			}
			refused = true
			continue
		}
		if refused {
			s.Errorf("metadata of %d bytes are taken, and fewer were not", size)
		}
		s.goOn(u, content(10))
		uploads := []store.Upload{u}
		if c, ok := s.store.(store.Concatenator); ok {
			joined, _, err := c.Concatenate(s.ctx, spec, []string{info.ID})
			s.must(err)
			uploads = append(uploads, joined)
		}
		for _, u := range uploads {
			if got := s.info(u).Metadata; !s.opts.DropsMetadata && !maps.Equal(got, spec.Metadata) {
				s.Errorf("of %d bytes of metadata %d are kept", len(spec.Metadata["much"]), len(got["much"]))
			}
			s.finish(u, content(10))
		}
	}
}

func (s *suite) unknownID() {
	_, info := s.begin(1)
	last := "0"
	if strings.HasSuffix(info.ID, last) {
		last = "1"
	}
	similar := info.ID[:len(info.ID)-1] + last
	for _, id := range []string{similar, "", "x", "..", "../x", info.ID + "/..", "/etc/passwd", "a\x00b", strings.Repeat("a", 5000)} {
		if _, _, err := s.store.Open(s.ctx, id); err == nil {
			s.Errorf("opened %q", id)
		} else {
			s.want(err, store.ErrNotFound)
		}
		_, err := s.store.Stat(s.ctx, id)
		s.want(err, store.ErrNotFound)
	}
}
