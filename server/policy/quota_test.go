package policy_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"iter"
	"log/slog"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/server/policy"
	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
	"github.com/streamflow/streamflow/store/storetest"
)

func newStore(t *testing.T) *filestore.Store {
	t.Helper()
	mem, err := memory.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	st, err := filestore.Open(t.TempDir(), mem, &filestore.Options{ByID: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(st.Close(), mem.Close()); err != nil {
			t.Error(err)
		}
	})
	return st
}

func newPolicy(t *testing.T, st store.Store, opts policy.Options) *policy.Policy {
	t.Helper()
	p, err := policy.New(t.Context(), st, opts, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// A model does random things to a store and knows what should be counted.
type model struct {
	*testing.T
	ctx     context.Context
	files   *filestore.Store
	policy  *policy.Policy
	faulty  *storetest.Faulty
	store   policy.Backend
	random  *rand.Rand
	uploads []store.Upload
	quota   int64
}

func TestCountedIsOnDisk(t *testing.T) {
	for seed := range uint64(4) {
		m := &model{T: t, ctx: t.Context(), files: newStore(t), random: rand.New(rand.NewPCG(seed, 0)), quota: 100_000}
		opts := policy.Options{Quota: m.quota, MaxUploads: 20}
		m.policy = newPolicy(t, m.files, opts)
		m.faulty = storetest.NewFaulty(m.files)
		m.store = m.policy.Store(m.faulty)
		steps := []func() error{
			m.create, m.create, m.write, m.write, m.write, m.writeBroken, m.writeUnverified, m.setLength,
			m.finish, m.abort, m.abortAgain, m.concatenate, m.takeOver, m.cancelled, m.fault,
		}
		refused := 0
		for i := range 300 {
			n := m.random.IntN(len(steps))
			if err := steps[n](); errors.Is(err, store.ErrNoSpace) {
				refused++
			}
			m.check(i, n)
		}
		if refused == 0 {
			t.Errorf("seed %d: nothing was refused", seed)
		}
		bytes, open := m.policy.Counted()
		again := newPolicy(t, m.files, opts)
		if b, o := again.Counted(); b != bytes || o != open {
			t.Errorf("seed %d: counted %d bytes and %d open, after a restart %d and %d", seed, bytes, open, b, o)
		}
	}
}

func (m *model) check(step, kind int) {
	m.Helper()
	var bytes int64
	open := 0
	for _, list := range []iter.Seq2[store.Info, error]{
		m.files.Unfinished(m.ctx, time.Time{}), m.files.Finished(m.ctx, time.Time{}),
	} {
		for info, err := range list {
			if err != nil {
				m.Fatal(err)
			}
			bytes += max(info.Length, info.Offset)
			if info.Offset != info.Length {
				open++
			}
		}
	}
	counted, countedOpen := m.policy.Counted()
	if counted != bytes || countedOpen != open {
		m.Fatalf("step %d of kind %d: counted %d bytes and %d open, on disk are %d and %d", step, kind, counted, countedOpen, bytes, open)
	}
	if bytes > m.quota {
		m.Fatalf("step %d: %d bytes are more than the quota", step, bytes)
	}
}

func (m *model) create() error {
	length := m.random.Int64N(20_000)
	if m.random.IntN(2) == 0 {
		length = store.UnknownLength
	}
	up, _, err := m.store.Create(m.ctx, store.Spec{Length: length})
	if err == nil {
		m.uploads = append(m.uploads, up)
	}
	return err
}

// some returns an upload, or nil.
func (m *model) some() (store.Upload, store.Info) {
	if len(m.uploads) == 0 {
		return nil, store.Info{}
	}
	up := m.uploads[m.random.IntN(len(m.uploads))]
	info, err := up.Info(m.ctx)
	if err != nil {
		return nil, store.Info{}
	}
	return up, info
}

// unit returns bytes that continue an upload.
func (m *model) unit(info store.Info) []byte {
	n := m.random.Int64N(8_000)
	if info.Length != store.UnknownLength {
		n = min(n, info.Length-info.Offset)
	}
	return make([]byte, n)
}

func (m *model) write() error {
	up, info := m.some()
	if up == nil || info.Complete {
		return nil
	}
	unit := m.unit(info)
	_, err := up.Write(m.ctx, info.Offset, bytes.NewReader(unit), int64(len(unit)))
	return err
}

func (m *model) writeBroken() error {
	up, info := m.some()
	if up == nil || info.Complete {
		return nil
	}
	unit := m.unit(info)
	broken := io.MultiReader(bytes.NewReader(unit[:len(unit)/2]), errReader{})
	_, err := up.Write(m.ctx, info.Offset, broken, int64(len(unit)))
	return err
}

type errReader struct{}

func (errReader) Read([]byte) (int, error) { return 0, errors.New("the connection broke") }

func (m *model) writeUnverified() error {
	up, info := m.some()
	if up == nil || info.Complete {
		return nil
	}
	unit := m.unit(info)
	_, err := up.(store.Verifier).WriteVerified(m.ctx, info.Offset, bytes.NewReader(unit), int64(len(unit)), func() error {
		if m.random.IntN(2) == 0 {
			return store.ErrChecksum
		}
		return nil
	})
	return err
}

func (m *model) setLength() error {
	up, info := m.some()
	if up == nil {
		return nil
	}
	return up.SetLength(m.ctx, info.Offset+m.random.Int64N(20_000)-100)
}

func (m *model) finish() error {
	up, _ := m.some()
	if up == nil {
		return nil
	}
	_, err := up.Finish(m.ctx, store.Sum{})
	return err
}

func (m *model) abort() error {
	if len(m.uploads) == 0 {
		return nil
	}
	i := m.random.IntN(len(m.uploads))
	up := m.uploads[i]
	m.uploads = slices.Delete(m.uploads, i, i+1)
	return up.Abort(m.ctx)
}

func (m *model) abortAgain() error {
	up, _ := m.some()
	if up == nil {
		return nil
	}
	return errors.Join(up.Abort(m.ctx), up.Abort(m.ctx))
}

func (m *model) concatenate() error {
	_, one := m.some()
	_, two := m.some()
	up, _, err := m.store.Concatenate(m.ctx, store.Spec{}, []string{one.ID, two.ID, one.ID})
	if err == nil {
		m.uploads = append(m.uploads, up)
	}
	return err
}

func (m *model) takeOver() error {
	if len(m.uploads) == 0 {
		return nil
	}
	i := m.random.IntN(len(m.uploads))
	info, err := m.uploads[i].Info(m.ctx)
	if err != nil {
		return err
	}
	up, _, err := m.store.Open(m.ctx, info.ID)
	if err == nil {
		m.uploads[i] = up
	}
	return err
}

// fault has the next call of a kind fail, or its answer be lost.
func (m *model) fault() error {
	ops := []storetest.Op{storetest.OpWrite, storetest.OpSetLength, storetest.OpFinish, storetest.OpAbort}
	op := ops[m.random.IntN(len(ops))]
	m.faulty.Add(storetest.Fault{
		Op: op, Call: m.faulty.Calls(op) + 1, Times: 1,
		Effect: []storetest.Effect{storetest.Fail, storetest.Lost}[m.random.IntN(2)], After: m.random.Int64N(500),
	})
	return nil
}

func (m *model) cancelled() error {
	ctx, cancel := context.WithCancel(m.ctx)
	cancel()
	defer func(before context.Context) { m.ctx = before }(m.ctx)
	m.ctx = ctx
	return errors.Join(m.create(), m.abort(), m.concatenate())
}
