package filestore

import (
	"os"

	"github.com/streamflow/streamflow/internal/durable"
)

// compactBytes is the size from which a log is written anew, shorter.
const compactBytes = 8 << 10

func (f *files) openLog() (*os.File, error) {
	return f.dir.OpenFile(logName(f.id), os.O_RDWR|os.O_APPEND, 0)
}

// cut drops what a crash or a full disk left after the last whole record.
func (f *files) cut() error {
	info, err := f.log.Stat()
	if err != nil {
		return err
	}
	if info.Size() == f.logBytes {
		return nil
	}
	f.store.log.Warn("cut a torn record off the log of an upload",
		"upload", f.id, "bytes", info.Size()-f.logBytes)
	return f.log.Truncate(f.logBytes)
}

// cutPart drops what a Write that died may have left after the end.
func (f *files) cutPart() error {
	info, err := f.part.Stat()
	if err != nil || info.Size() == f.state.length {
		return err
	}
	return f.part.Truncate(f.state.length)
}

// add appends records to the log, all or none, and applies them. After an error the log
// says what it said.
func (f *files) add(records ...record) error {
	if f.logBytes >= f.compactAt {
		if err := f.shorten(); err != nil {
			return err
		}
	}
	if f.torn {
		if err := f.log.Truncate(f.logBytes); err != nil {
			return err
		}
		f.torn = false
	}
	var lines []byte
	for _, r := range records {
		lines = append(lines, r.encode()...)
	}
	if n, err := f.log.Write(lines); err != nil {
		f.torn = n > 0 && f.log.Truncate(f.logBytes) != nil
		return err
	}
	f.logBytes += int64(len(lines))
	for _, r := range records {
		f.state.apply(r)
	}
	return nil
}

// shorten is compact where that can wait.
func (f *files) shorten() error {
	err := f.compact()
	if err == nil || f.log == nil {
		return err
	}
	// The long log is as good; only its size is a pity.
	f.compactAt = 2 * f.logBytes
	f.store.log.Warn("could not shorten the log of an upload", "upload", f.id, "error", err)
	return nil
}

// announce tells the log that bytes in n are about to be replaced, if there are
// any: a crash in the middle must not leave a sum that isn't theirs.
func (f *files) announce(n span) error {
	if !f.state.written.summed(n) {
		return nil
	}
	safe := f.state.safe.summed(n)
	if err := f.add(record{verb: verbRewrite, span: n}); err != nil || !safe {
		return err
	}
	return f.synced(f.log.Sync())
}

// compact replaces the log by the shortest that says the same. After an error the old
// one is still there, or none is open.
func (f *files) compact() error {
	f.state.written = f.state.written.merge(len(f.state.written) - recentSpans)
	f.state.safe = f.state.safe.merge(len(f.state.safe) - recentSpans)
	data := f.state.encode()
	// What was promised to survive power loss must do so in the new log too.
	promised := f.store.syncAcks || len(f.state.safe) > 0
	err := durable.WriteFile(f.dir.Root, logName(f.id), data, promised)
	if err != nil && f.hasName() {
		return err
	}
	// The old log has lost its name: nothing more may be added to it, also where
	// the new one can't be opened, or its name may not last.
	_ = f.log.Close()
	f.log, f.torn = nil, false
	if err != nil {
		f.distrust()
		return err
	}
	if f.log, err = f.openLog(); err != nil {
		f.log = nil
		return err
	}
	f.store.doubts.remove(f.id)
	f.logBytes = int64(len(data))
	f.compactAt = max(compactBytes, 2*f.logBytes)
	return nil
}

// hasName says whether the log is the one that its name leads to.
func (f *files) hasName() bool {
	log, err := f.log.Stat()
	if err != nil {
		return false
	}
	named, err := f.dir.Lstat(logName(f.id))
	return err == nil && os.SameFile(log, named)
}
