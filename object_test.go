package streamflow_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"filippo.io/age"
	"github.com/klauspost/compress/zstd"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/compression"
	"github.com/streamflow/streamflow/encryption"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// encrypted returns an encoder, and what undoes it.
func encrypted(t testing.TB) (streamflow.Encoder, func([]byte) []byte) {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	e, err := encryption.New(id.Recipient())
	if err != nil {
		t.Fatal(err)
	}
	return e, func(secret []byte) []byte {
		r, err := age.Decrypt(bytes.NewReader(secret), id)
		if err != nil {
			t.Fatal(err)
		}
		return readAll(t, r)
	}
}

func readAll(t testing.TB, r io.Reader) []byte {
	t.Helper()
	p, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func unzstd(t testing.TB, packed []byte) []byte {
	t.Helper()
	r, err := zstd.NewReader(bytes.NewReader(packed))
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	return readAll(t, r)
}

func TestEncrypted(t *testing.T) {
	for _, size := range []int{0, 1, 100_000, 64 << 10, 300_000} {
		eachWay(t, func(t *testing.T, s *memStore, stream bool) {
			p := content(size)
			sealed, decrypt := encrypted(t)
			m := manager(t, s, streamflow.Options{ChunkBytes: 16 << 10, Encoders: []streamflow.Encoder{sealed}})
			u := begin(t, m, p, stream)
			r := mustWait(t, u)
			secret := object(t, s, "data.bin.age")
			mustEqual(t, decrypt(secret), p)
			if r.Bytes != int64(len(secret)) || r.Sum.CRC32C != crcOf(secret) || u.Name() != "data.bin.age" || !u.State().Encoded {
				t.Errorf("%s: result %+v", u.Name(), r)
			}
			if want := r.Bytes; !stream && s.specs[0].Length != want {
				t.Errorf("a length of %d was announced, not %d", s.specs[0].Length, want)
			}
		})
	}
}

// What is sent again is the same: age makes other bytes each time.
func TestEncryptedSurvivesEveryFailure(t *testing.T) {
	sealed, decrypt := encrypted(t)
	eachFailure(t, func(t *testing.T, dst *memStore, p []byte, stream bool, _ func() int64) {
		m := manager(t, dst, streamflow.Options{ChunkBytes: 8192, Encoders: []streamflow.Encoder{sealed}})
		mustWait(t, begin(t, m, p, stream))
		mustEqual(t, decrypt(object(t, dst, "data.bin.age")), p)
	})
}

func TestHeldCiphertextIsOfItsKind(t *testing.T) {
	s := newMemStore(true)
	sealed, _ := encrypted(t)
	mem := budget(t, 64<<20)
	var held, chunks int64
	s.before = func(_ context.Context, call string) error {
		if call == "Write" {
			kinds := mem.Stats().Kinds
			held, chunks = kinds[memory.KindEncryption].Bytes, kinds[memory.KindChunk].Bytes
		}
		return nil
	}
	m := manager(t, s, streamflow.Options{Memory: mem, Streams: 1, Encoders: []streamflow.Encoder{sealed}})
	mustWait(t, begin(t, m, content(100), false))
	if held < streamflow.DefaultChunkBytes || chunks != 0 {
		t.Errorf("%d bytes are held as encryption, %d as chunks", held, chunks)
	}
}

func TestCompressed(t *testing.T) {
	sealed, decrypt := encrypted(t)
	text, noise := prose(600_000), content(600_000)
	for name, tc := range map[string]struct {
		p        []byte
		source   string
		keeps    bool // the store keeps a content coding
		encrypt  bool
		want     string
		coding   string
		compress bool
	}{
		"text":                       {p: text, source: "a.log", want: "a.log.zst", compress: true},
		"text, coding kept":          {p: text, source: "a.log", keeps: true, want: "a.log", coding: "zstd", compress: true},
		"text, then encrypted":       {p: text, source: "a.log", encrypt: true, want: "a.log.zst.age", compress: true},
		"text, encrypted and kept":   {p: text, source: "a.log", encrypt: true, keeps: true, want: "a.log.zst.age", compress: true},
		"noise":                      {p: noise, source: "a.bin", want: "a.bin"},
		"noise, then encrypted":      {p: noise, source: "a.bin", encrypt: true, want: "a.bin.age"},
		"compressed by its name":     {p: text, source: "a.zip", keeps: true, want: "a.zip"},
		"too little to be worth it":  {p: text[:100], source: "a.txt", want: "a.txt"},
		"nothing":                    {p: nil, source: "a.txt", want: "a.txt"},
		"shorter than what is tried": {p: text[:10_000], source: "a.txt", want: "a.txt.zst", compress: true},
	} {
		t.Run(name, func(t *testing.T) {
			eachWay(t, func(t *testing.T, s *memStore, stream bool) {
				s.limits.ContentCoding = tc.keeps
				encoders := []streamflow.Encoder{compression.Zstd()}
				if tc.encrypt {
					encoders = append(encoders, sealed)
				}
				m := manager(t, s, streamflow.Options{ChunkBytes: 16 << 10, Encoders: encoders})
				r := mustWait(t, beginNamed(t, m, tc.source, tc.p, stream))
				got := object(t, s, tc.want)
				if r.Bytes != int64(len(got)) || r.Sum.CRC32C != crcOf(got) || s.specs[0].ContentCoding != tc.coding {
					t.Errorf("result %+v, spec %+v", r, s.specs[0])
				}
				if tc.encrypt {
					got = decrypt(got)
				}
				if tc.compress {
					if want := int64(len(tc.p) - len(got)); r.SavedBytes != want {
						t.Errorf("%d bytes were saved, not %d", r.SavedBytes, want)
					}
					got = unzstd(t, got)
				}
				mustEqual(t, got, tc.p)
			})
		})
	}
}

// Of two files beside each other, neither gets the other's name.
func TestCompressedBesideItsName(t *testing.T) {
	sealed, decrypt := encrypted(t)
	names, contents := []string{"a.log", "a.log.zst"}, [][]byte{prose(100_000), content(1000)}
	for name, tc := range map[string]struct {
		keeps    bool // the store keeps a content coding
		encoders []streamflow.Encoder
		adds     string // to both names
		coding   string // of the first
	}{
		"compressed":              {encoders: []streamflow.Encoder{compression.Zstd()}},
		"compressed, coding kept": {keeps: true, encoders: []streamflow.Encoder{compression.Zstd()}, coding: "zstd"},
		"encrypted":               {encoders: []streamflow.Encoder{compression.Zstd(), sealed}, adds: ".age"},
		"encrypted, coding kept":  {keeps: true, encoders: []streamflow.Encoder{compression.Zstd(), sealed}, adds: ".age"},
	} {
		t.Run(name, func(t *testing.T) {
			s, dir := newMemStore(true), t.TempDir()
			s.limits.ContentCoding = tc.keeps
			m := manager(t, s, streamflow.Options{ChunkBytes: 16 << 10, Encoders: tc.encoders})
			for i, p := range contents {
				if err := os.WriteFile(filepath.Join(dir, names[i]), p, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for _, name := range names {
				u, err := m.UploadFile(t.Context(), filepath.Join(dir, name))
				if err != nil {
					t.Fatal(err)
				}
				mustWait(t, u)
			}
			if got := s.specs[0].ContentCoding; got != tc.coding {
				t.Errorf("the content coding is %q, not %q", got, tc.coding)
			}
			for i, p := range contents {
				got := object(t, s, names[i]+tc.adds)
				if tc.adds != "" {
					got = decrypt(got)
				}
				if s.specs[i].ContentCoding != "" {
					got = unzstd(t, got)
				}
				mustEqual(t, got, p)
			}
		})
	}
}

func beginNamed(t *testing.T, m *streamflow.Manager, name string, p []byte, stream bool) *streamflow.Upload {
	t.Helper()
	src := streamflow.Stream(name, bytes.NewReader(p))
	if !stream {
		path := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(path, p, 0o600); err != nil {
			t.Fatal(err)
		}
		var err error
		if src, err = streamflow.OpenFile(path); err != nil {
			t.Fatal(err)
		}
	}
	u, err := m.Upload(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// Units of a stream are held, so they don't grow as those of a file do.
func TestEncodedUnitsStaySmall(t *testing.T) {
	s := newMemStore(true)
	s.limits.MaxUnits = 4
	sealed, decrypt := encrypted(t)
	p := content(200_000)
	m := manager(t, s, streamflow.Options{ChunkBytes: 16 << 10, Encoders: []streamflow.Encoder{sealed}})
	mustWait(t, begin(t, m, p, false))
	mustEqual(t, decrypt(object(t, s, "data.bin.age")), p)
	if got := s.specs[0]; got.Length != store.UnknownLength || got.UnitBytes != 16<<10 {
		t.Errorf("created as %+v", got)
	}
}

func TestEncodedTooLargeIsRefusedBefore(t *testing.T) {
	s := newMemStore(true)
	s.limits.MaxLength = 100_000
	sealed, _ := encrypted(t)
	m := manager(t, s, streamflow.Options{Encoders: []streamflow.Encoder{sealed}})
	if _, err := wait(t, begin(t, m, content(99_999), false)); !errors.Is(err, store.ErrTooLarge) || s.count() != 0 {
		t.Errorf("error is %v, with %d uploads made", err, s.count())
	}
}

// A broken encoder does what none should.
type brokenEncoder struct {
	streamflow.Encoder
	encode func(io.Reader) (io.Reader, error)
}

func (e *brokenEncoder) Encode(r io.Reader) (io.Reader, error) { return e.encode(r) }

func TestEncodingFails(t *testing.T) {
	sealed, _ := encrypted(t)
	for name, tc := range map[string]struct {
		encode func(io.Reader) (io.Reader, error)
		says   string
	}{
		"at once":       {func(io.Reader) (io.Reader, error) { return nil, errBroken }, "encryption: broken on purpose"},
		"while read":    {func(io.Reader) (io.Reader, error) { return iotest.ErrReader(errBroken), nil }, "encryption: broken on purpose"},
		"by its length": {func(io.Reader) (io.Reader, error) { return strings.NewReader("short"), nil }, "5 bytes came of it"},
		"by more": {func(r io.Reader) (io.Reader, error) {
			return io.MultiReader(r, bytes.NewReader(make([]byte, 9000))), nil
		}, "came of it, not"},
	} {
		t.Run(name, func(t *testing.T) {
			for order, unordered := range orders {
				t.Run(order, func(t *testing.T) {
					s := newMemStore(unordered)
					m := manager(t, s, streamflow.Options{ChunkBytes: 4096, Encoders: []streamflow.Encoder{&brokenEncoder{sealed, tc.encode}}})
					_, err := wait(t, begin(t, m, content(20_000), false))
					if streamflow.Code(err) != streamflow.CodeEncryption || !strings.Contains(err.Error(), tc.says) {
						t.Errorf("%s: %v", streamflow.Code(err), err)
					}
					if s.count() != 0 {
						t.Error("something stays at the destination")
					}
				})
			}
		})
	}
}

// A source's own trouble isn't the encoder's.
func TestEncodedSourceFails(t *testing.T) {
	sealed, _ := encrypted(t)
	for name, encoders := range map[string][]streamflow.Encoder{"encrypted": {sealed}, "both": {compression.Gzip(), sealed}} {
		t.Run(name, func(t *testing.T) {
			s := newMemStore(false)
			m := manager(t, s, streamflow.Options{ChunkBytes: 4096, Encoders: encoders})
			u, err := m.Upload(t.Context(), streamflow.Stream("x", io.MultiReader(bytes.NewReader(prose(200_000)), iotest.ErrReader(errBroken))))
			if err != nil {
				t.Fatal(err)
			}
			if _, err := wait(t, u); streamflow.Code(err) != streamflow.CodeFile || !errors.Is(err, errBroken) || s.count() != 0 {
				t.Errorf("%s: %v", streamflow.Code(err), err)
			}
		})
	}
}

// No object gets a name that another upload has.
func TestCompressedToNoTakenName(t *testing.T) {
	for name, want := range map[string]string{"a.log.zst": "a.log", "b.log.zst": "a.log.zst"} {
		t.Run(name+" is taken", func(t *testing.T) {
			s, p := newMemStore(false), prose(100_000)
			m := manager(t, s, streamflow.Options{Encoders: []streamflow.Encoder{compression.Zstd()}})
			file, err := streamflow.OpenFile(writeFile(t, p))
			if err != nil {
				t.Fatal(err)
			}
			for _, src := range []*streamflow.Source{file, streamflow.Stream("", bytes.NewReader(p))} {
				src.SetName("a.log")
				src.SetTaken(func(asked string) bool { return asked == name })
				u, err := m.Upload(t.Context(), src)
				if err != nil {
					t.Fatal(err)
				}
				mustWait(t, u)
				if u.Name() != want {
					t.Errorf("the object is %s, want %s", u.Name(), want)
				}
			}
		})
	}
}

func TestEncodersNeedRoom(t *testing.T) {
	mem := budget(t, 3<<20)
	m := manager(t, newMemStore(false), streamflow.Options{Memory: mem, Encoders: []streamflow.Encoder{compression.Zstd()}})
	_, err := wait(t, begin(t, m, prose(100_000), false))
	limit, ok := errors.AsType[*memory.LimitError](err)
	if !ok || limit.Needed <= 3<<20 || limit.Limit != 3<<20 {
		t.Fatalf("error is %#v", err)
	}
	// What it says would do, does.
	if err := mem.SetLimit(limit.Needed - 4096); err != nil {
		t.Fatal(err)
	}
	if _, err := wait(t, begin(t, m, prose(100_000), false)); !errors.Is(err, memory.ErrLimit) {
		t.Errorf("less than needed: got %v", err)
	}
	if err := mem.SetLimit(limit.Needed); err != nil {
		t.Fatal(err)
	}
	mustWait(t, begin(t, m, prose(100_000), false))
}

// Many encoded uploads share a budget that has room for few encoders.
func TestEncodersTakeTurns(t *testing.T) {
	s := newMemStore(true)
	m := manager(t, s, streamflow.Options{Memory: budget(t, 8<<20), Encoders: []streamflow.Encoder{compression.Gzip()}})
	mustWaitAll(t, m, 16, prose(3<<20), false)
}

func TestEncodersAndSkipIdentical(t *testing.T) {
	sealed, _ := encrypted(t)
	_, err := streamflow.New(openDir(t, t.TempDir(), budget(t, 64<<20), false), &streamflow.Options{SkipIdentical: true, Encoders: []streamflow.Encoder{sealed}})
	if !errors.Is(err, store.ErrUnsupported) {
		t.Errorf("error is %v", err)
	}
}

// What a process that died had encrypted can't be gone on with, nor can what it
// hadn't be gone on with encrypted.
func TestEncodedStartsAnew(t *testing.T) {
	sealed, decrypt := encrypted(t)
	p := content(100_000)
	for name, tc := range map[string]struct {
		before, after []streamflow.Encoder
		says          string
	}{
		"encrypted twice":        {[]streamflow.Encoder{sealed}, []streamflow.Encoder{sealed}, "can't be made again"},
		"not encrypted any more": {[]streamflow.Encoder{sealed}, nil, "can't be made again"},
		"encrypted now":          {nil, []streamflow.Encoder{sealed}, "it wasn't compressed or encrypted as it is now"},
	} {
		t.Run(name, func(t *testing.T) {
			s, path, state := newMemStore(false), writeFile(t, p), t.TempDir()
			dead := make(chan struct{})
			s.before = func(ctx context.Context, call string) error {
				if call == "Read" {
					close(dead)
					<-ctx.Done()
					return ctx.Err()
				}
				return nil
			}
			kept := filepath.Join(t.TempDir(), "state")
			m := manager(t, s, streamflow.Options{ChunkBytes: 4096, StateDir: state, Destination: "there", Encoders: tc.before})
			u, err := m.UploadFile(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			<-dead
			// A process that dies leaves the journal as it is now, and the upload.
			if err := os.CopyFS(kept, os.DirFS(state)); err != nil {
				t.Fatal(err)
			}
			s.before = func(_ context.Context, call string) error {
				if call == "Abort" {
					return errBroken
				}
				return nil
			}
			if err := u.Abort(t.Context()); !errors.Is(err, errBroken) {
				t.Fatal(err)
			}
			s.before = func(context.Context, string) error { return nil }

			m = manager(t, s, streamflow.Options{ChunkBytes: 4096, StateDir: kept, Destination: "there", Encoders: tc.after})
			if u, err = m.UploadFile(t.Context(), path); err != nil {
				t.Fatal(err)
			}
			r := mustWait(t, u)
			if !strings.Contains(r.RestartReason, tc.says) || r.ResumedBytes != 0 || s.count() != 1 {
				t.Errorf("%d uploads, result %+v", s.count(), r)
			}
			if tc.after == nil {
				mustEqual(t, object(t, s, "data.bin"), p)
			} else {
				mustEqual(t, decrypt(object(t, s, "data.bin.age")), p)
			}
		})
	}
}

// Encoders are held for as long as their uploads take, so those of many uploads must
// leave the budget below the level at which no upload goes on.
func TestManyEncodersLeaveRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newMemStore(true)
		s.before = func(context.Context, string) error {
			time.Sleep(time.Second)
			return nil
		}
		m := manager(t, s, streamflow.Options{Memory: budget(t, 64<<20), Encoders: []streamflow.Encoder{compression.Gzip()}})
		mustWaitAll(t, m, 120, prose(256<<10), false)
	})
}
