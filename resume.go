package streamflow

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/streamflow/streamflow/internal/journal"
	"github.com/streamflow/streamflow/store"
)

// locate says where the upload stands at the destination, and opens or creates
// it there the first time.
func (u *Upload) locate(ctx context.Context) (store.Info, error) {
	if u.dest != nil {
		return u.dest.Info(ctx)
	}
	dest, info, err := u.open(ctx)
	if err != nil {
		return store.Info{}, err
	}
	u.dest = dest
	u.setID(info.ID, u.resumed)
	u.save() // before the first byte
	return info, nil
}

func (u *Upload) open(ctx context.Context) (store.Upload, store.Info, error) {
	if u.previous != nil {
		dest, info, err := u.reopen(ctx)
		if err != nil {
			return nil, store.Info{}, fmt.Errorf("resume: %w", err)
		}
		u.previous = nil
		if dest != nil {
			u.recorded = true
			return dest, info, nil
		}
	}
	u.recorded = false
	return u.m.dst.Create(ctx, u.spec())
}

// spec is of a new upload.
func (u *Upload) spec() store.Spec {
	spec := store.Spec{
		Name: u.object.name, Length: u.object.length, UnitBytes: u.unitBytes, Metadata: u.src.metadata,
		ContentCoding: u.object.coding, NoReplace: u.m.opts.NoReplace,
	}
	if u.m.dst.Limits().ContentCoding {
		spec.Head = u.head()
	}
	if u.stream != nil && spec.Length == store.UnknownLength {
		spec.Length = u.stream.length()
	}
	return spec
}

// headBytes of an object tell its media type.
const headBytes = 512

// head returns how the object begins, or nil where nothing is known of it.
func (u *Upload) head() []byte {
	switch {
	case u.object.encoded && u.object.coding == "": // encrypted, say
		return nil
	case u.src.file != nil:
		head := make([]byte, headBytes)
		n, _ := u.src.file.ReadAt(head, 0) // trouble comes up again when it is sent
		return head[:n]
	case u.object.encoded || u.stream.base > 0 || len(u.stream.held) == 0:
		return nil
	default:
		p := u.stream.held[0].p
		return p[:min(len(p), headBytes)]
	}
}

// reopen opens the unfinished upload that the journal knows. It returns nil,
// and notes the reason, where a new one has to be made.
func (u *Upload) reopen(ctx context.Context) (store.Upload, store.Info, error) {
	old, info, err := u.m.dst.Open(ctx, u.previous.UploadID)
	if isGone(err) {
		u.reason = "the unfinished upload is gone at the destination"
		return nil, store.Info{}, nil
	}
	if err != nil {
		return nil, store.Info{}, err
	}
	diff := u.previous.Source.Difference(u.src.identity)
	switch {
	case u.m.opts.NoResume:
		u.reason = "resuming is turned off"
	case diff != "":
		u.reason = "source changed since the upload began: " + diff
	case u.previous.NoReplace != u.m.opts.NoReplace && !info.Complete:
		u.reason = "whether it may replace what has its name isn't as it was"
	case u.previous.Terms != u.terms() && !info.Complete:
		u.reason = "what the destination is to keep with it, metadata or the like, isn't as it was"
	case u.previous.Encoded:
		u.reason = "what it was compressed or encrypted to can't be made again"
	case u.object.encoded:
		u.reason = "it wasn't compressed or encrypted as it is now"
	case info.Length != u.object.length:
		u.reason = fmt.Sprintf("the unfinished upload is of %d bytes, the source of %d", info.Length, u.object.length)
	default:
		if info.UnitBytes > 0 {
			u.unitBytes = info.UnitBytes
		}
		u.resumed = info.Offset
		if u.m.dst.Limits().Unordered {
			u.resumed = presentBytes(info, info.Length, u.unitBytes)
		}
		return old, info, nil
	}
	u.m.opts.Logger.Warn("starting anew", "upload", u.Name(), "reason", u.reason)
	if info.Complete {
		return nil, store.Info{}, nil // only the journal didn't know: what is finished stays
	}
	if err := old.Abort(ctx); err != nil {
		u.m.opts.Logger.Warn("discarding the unfinished upload failed", "upload", u.Name(), "error", err)
	}
	return nil, store.Info{}, nil
}

// discard removes the unfinished upload from the destination and the journal.
// It does nothing the second time.
func (u *Upload) discard(ctx context.Context) error {
	if u.journaled && u.entry == nil {
		if err := u.retake(ctx); err != nil {
			return fmt.Errorf("discard: %w", err)
		}
		defer u.closeEntry()
	}
	if u.dest == nil && u.previous != nil {
		old, info, err := u.m.dst.Open(ctx, u.previous.UploadID)
		switch {
		case err == nil && !info.Complete: // only the journal may not know that it is
			u.dest = old
		case err != nil && !isGone(err):
			return fmt.Errorf("discard: %w", err)
		}
	}
	if u.dest != nil {
		if err := u.dest.Abort(ctx); err != nil && !isGone(err) {
			return fmt.Errorf("discard: %w", err)
		}
	}
	u.dest, u.previous = nil, nil
	return u.removeEntry()
}

// retake locks the entry again after run has ended, to discard the upload. Another one
// may have gone on with it since: it is [ErrBusy] while that is under way, and
// [ErrFinished] where the destination has it whole and the journal has forgotten it.
func (u *Upload) retake(ctx context.Context) error {
	entry, err := u.m.journal.Take(u.key())
	if err != nil {
		return err
	}
	u.entry = entry
	record, found, err := entry.Load()
	if found && record.UploadID == u.ownID() {
		return nil
	}
	if err == nil && found { // of another upload, which began anew
		u.closeEntry()
	}
	if u.dest == nil {
		u.previous = nil // whoever had it since has ended it
		return nil
	}
	if info, err := u.dest.Info(ctx); err == nil && info.Complete {
		u.closeEntry()
		return ErrFinished
	}
	return nil
}

// ownID is the upload's id, or that of the one it was to go on with.
func (u *Upload) ownID() string {
	if u.dest == nil && u.previous != nil {
		return u.previous.UploadID
	}
	return u.ID()
}

// key is what the journal knows the upload by: under another name, the same file
// is another one.
func (u *Upload) key() journal.Key {
	return journal.Key{Path: u.src.identity.Path, Object: u.src.name, Destination: u.m.opts.Destination}
}

// terms is a hash of what the destination hears of the object when the upload is
// created, and of nothing if that is nothing.
func (u *Upload) terms() string {
	if len(u.src.metadata) == 0 && u.m.opts.Terms == "" {
		return ""
	}
	h := sha256.New()
	fmt.Fprintf(h, "%q\n", u.m.opts.Terms)
	for _, key := range slices.Sorted(maps.Keys(u.src.metadata)) {
		fmt.Fprintf(h, "%q %q\n", key, u.src.metadata[key])
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}

// take locks the upload's entry in the journal and loads what it says. An error is
// [ErrBusy]: as in save, other trouble costs at most the chance to resume.
func (u *Upload) take() error {
	j := u.m.journal
	if j == nil || u.src.file == nil || u.m.puts(u.src) && !j.Has(u.key()) {
		return nil
	}
	entry, err := j.Take(u.key())
	if errors.Is(err, ErrBusy) {
		return err
	}
	if err != nil {
		u.forgets(err)
		return nil
	}
	u.entry, u.journaled = entry, true
	record, found, err := entry.Load()
	if err != nil {
		u.m.opts.Logger.Warn("the journal entry can't be used: starting anew", "upload", u.Name(), "error", err)
	}
	if found {
		u.previous = &record
	}
	return nil
}

// record saves checkpoints as they are made, until stop, which waits for it.
func (u *Upload) record() (stop func()) {
	if u.entry == nil {
		return func() {}
	}
	end := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-u.checkpoints.added:
				u.save()
			case <-end:
				return
			}
		}
	})
	return func() {
		close(end)
		wg.Wait()
	}
}

// save writes what is known to the journal. Trouble there costs at most the
// chance to resume.
func (u *Upload) save() {
	if u.entry == nil || u.ID() == "" {
		return
	}
	err := u.entry.Save(journal.Record{
		Source: u.src.identity, UploadID: u.ID(), NoReplace: u.m.opts.NoReplace, Terms: u.terms(), Encoded: u.object.encoded,
		Checkpoints: u.checkpoints.all(),
	})
	if err != nil {
		u.forgets(err)
		return
	}
	u.recorded = true
}

// forgets warns of a journal that can't be used. Once is enough: the next
// checkpoint, and the next upload, would say the same.
func (u *Upload) forgets(err error) {
	u.m.forgets.Do(func() {
		u.m.opts.Logger.Warn("the journal can't be used: uploads that break off may start anew", "upload", u.Name(), "error", err)
	})
}

// forgetEntry removes the record of a finished upload.
func (u *Upload) forgetEntry() {
	if err := u.removeEntry(); err != nil {
		u.m.opts.Logger.Warn("the journal keeps a finished upload", "upload", u.Name(), "error", err)
	}
}

func (u *Upload) removeEntry() error {
	if u.entry == nil {
		return nil
	}
	err := u.entry.Remove()
	u.journaled = err != nil
	return err
}

func (u *Upload) closeEntry() {
	if u.entry == nil {
		return
	}
	if err := u.entry.Close(); err != nil {
		u.m.opts.Logger.Warn("unlocking the journal entry failed", "upload", u.Name(), "error", err)
	}
	u.entry = nil
}
