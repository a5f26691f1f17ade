package filestore

import (
	"errors"
	"slices"
	"sync"

	"github.com/streamflow/streamflow/internal/durable"
)

// acknowledge logs that bytes are in the file.
func (f *files) acknowledge(n span) error {
	written := record{verb: verbWritten, span: n}
	if !f.store.syncAcks {
		return f.add(written)
	}
	if err := f.synced(f.part.Sync()); err != nil {
		return err
	}
	safe := f.state.safe
	if err := f.add(written, record{verb: verbSynced}); err != nil {
		return err
	}
	err := f.log.Sync()
	if err != nil {
		f.state.safe = safe
	}
	return f.synced(err)
}

// sync makes bytes and log survive power loss, and after them the entries of
// directories in the root; those of a small upload together with others.
func (f *files) sync(dirs ...string) error {
	var err error
	if f.state.isSmall() {
		err = f.store.syncer.Sync(f.store.root, dirs, f.part, f.log)
	} else {
		err = durable.SyncFiles(f.part, f.log)
	}
	if err = f.synced(err); err == nil {
		f.state.safe = slices.Clone(f.state.written)
	}
	return err
}

// synced takes what a sync returned. One that fails may have dropped the bytes it
// was for, and the next one wouldn't say so: what isn't known to be safe then
// counts as missing, and the log, which may have lost some of its own, is written anew.
func (f *files) synced(err error) error {
	if err == nil {
		return nil
	}
	f.state.written = slices.Clone(f.state.safe)
	f.state.finishing = false
	f.distrust()
	return errors.Join(err, f.compact())
}

// distrust has nobody believe the log beyond what is safe until it is written anew.
func (f *files) distrust() {
	f.unsure = true
	f.store.doubts.put(f.id, f.state.safe)
}

// doubts are the uploads whose logs may say more than is safe, with what is. They last as
// long as the process: on a disk that doesn't take a new log nothing else can be noted.
type doubts struct {
	mu   sync.Mutex
	safe map[string]spans // by id; not changed
}

func (d *doubts) put(id string, safe spans) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.safe == nil {
		d.safe = make(map[string]spans)
	}
	d.safe[id] = slices.Clone(safe)
}

// get returns a copy of what is safe of an upload that there are doubts about.
func (d *doubts) get(id string) (safe spans, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	safe, ok = d.safe[id]
	return slices.Clone(safe), ok
}

func (d *doubts) has(id string) bool {
	_, ok := d.get(id)
	return ok
}

func (d *doubts) remove(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.safe, id)
}
