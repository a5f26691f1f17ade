package hook

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/streamflow/streamflow/internal/durable"
	"github.com/streamflow/streamflow/internal/lock"
	"github.com/streamflow/streamflow/store"
)

// Names in an outbox. A message is UPLOAD.N.json, where UPLOAD is a hash of the
// upload's id and N the place of its event among those that are recorded, which
// is the order of delivery. So nothing is ever changed, and no two writers meet.
const (
	suffixMessage  = ".json"
	suffixIntended = ".intended" // the upload is about to be finished, or discarded
	setAside       = "set-aside" // directory of what was given up
	lockName       = "lock"
)

// listed is how many names of a directory are held at once.
const listed = 256

// An outbox keeps messages for one target until they are delivered.
type outbox struct {
	dir    *os.Root
	caller *caller
	queue
}

func shortHash(text string) string {
	sum := sha256.Sum256([]byte(text))
	return hex.EncodeToString(sum[:16])
}

// openOutboxes makes one directory for each target in dir, which is locked.
func (h *Hooks) openOutboxes(ctx context.Context, dir string, targets []string, stater Stater) (err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return err
	}
	held, err := lock.Acquire(root, lockName)
	if err != nil {
		return errors.Join(fmt.Errorf("outbox %s: %w", dir, err), root.Close())
	}
	h.unlock = func() error {
		var errs []error
		for _, box := range h.outboxes {
			errs = append(errs, box.dir.Close())
		}
		return errors.Join(append(errs, held.Release(), root.Close())...)
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, h.unlock())
		}
	}()
	var names []string
	for i, name := range targets {
		names = append(names, shortHash(name))
		box, err := openOutbox(ctx, root, names[i], h.callers[i], stater)
		if err != nil {
			return err
		}
		h.outboxes = append(h.outboxes, box)
	}
	return h.warnOfOthers(root, names)
}

// warnOfOthers tells of messages to targets that aren't configured any more.
func (h *Hooks) warnOfOthers(root *os.Root, names []string) error {
	entries, err := fs.ReadDir(root.FS(), ".")
	for _, entry := range entries {
		if entry.IsDir() && !slices.Contains(names, entry.Name()) {
			h.opts.Logger.Warn("the outbox may have messages to a hook that isn't configured: remove the directory, or give the hook again",
				"directory", entry.Name())
		}
	}
	return err
}

func openOutbox(ctx context.Context, root *os.Root, name string, c *caller, stater Stater) (*outbox, error) {
	if err := root.MkdirAll(name+"/"+setAside, 0o700); err != nil {
		return nil, err
	}
	dir, err := root.OpenRoot(name)
	if err != nil {
		return nil, err
	}
	box := &outbox{dir: dir, caller: c, queue: newQueue()}
	if err := box.recover(ctx, stater); err != nil {
		return nil, errors.Join(err, dir.Close())
	}
	return box, nil
}

func fileName(upload string, event Event, suffix string) string {
	return upload + "." + strconv.Itoa(slices.Index(recorded(), event)) + suffix
}

// put records a message, to be delivered after those of the same upload that
// come before it. It survives a power loss.
func (b *outbox) put(m Message) error {
	key := shortHash(m.Upload.ID)
	if err := durable.WriteFile(b.dir, fileName(key, m.Event, suffixMessage), m.encode(), true); err != nil {
		return fmt.Errorf("record %s: %w", m.Event, err)
	}
	b.add(key)
	return nil
}

// intend records a message that is to be delivered once what it tells of has
// happened.
func (b *outbox) intend(m Message) error {
	key := shortHash(m.Upload.ID)
	if err := durable.WriteFile(b.dir, fileName(key, m.Event, suffixIntended), m.encode(), true); err != nil {
		return fmt.Errorf("record %s: %w", m.Event, err)
	}
	return nil
}

// fulfil makes m of what was intended.
func (b *outbox) fulfil(m Message) error {
	if err := b.put(m); err != nil {
		return err
	}
	return b.forget(m.Upload.ID, m.Event)
}

// forget removes what was intended for an upload.
func (b *outbox) forget(upload string, event Event) error {
	err := b.dir.Remove(fileName(shortHash(upload), event, suffixIntended))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// recover looks after what an earlier process intended, before anybody else
// does.
func (b *outbox) recover(ctx context.Context, stater Stater) error {
	return b.walk(func(name string) error {
		if !strings.HasSuffix(name, suffixIntended) {
			return nil
		}
		m, err := b.read(name)
		if errors.Is(err, errDamaged) {
			return b.putAside(name, err)
		}
		if err != nil {
			return fmt.Errorf("read a message: %w", err)
		}
		info, err := stater.Stat(ctx, m.Upload.ID)
		gone := errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrGone)
		switch {
		case err != nil && !gone:
			return fmt.Errorf("look up upload %s: %w", m.Upload.ID, err)
		case gone && m.Event == PostTerminate:
			return b.fulfil(m)
		case gone || m.Event == PostTerminate: // it isn't finished, or is there still
			return b.forget(m.Upload.ID, m.Event)
		case info.Complete:
			m.Upload = newUpload(info)
			return b.fulfil(m)
		default: // its next request finishes it
			return nil
		}
	})
}

// refill queues what had no room.
func (b *outbox) refill() error {
	return b.walk(func(name string) error {
		if key, ok := keyOf(name); ok {
			b.add(key)
		}
		if b.overflows() {
			return io.EOF
		}
		return nil
	})
}

// walk calls fn for each file, until it returns an error; io.EOF is none.
func (b *outbox) walk(fn func(name string) error) error {
	dir, err := b.dir.Open(".")
	if err != nil {
		return err
	}
	defer dir.Close()
	for err == nil {
		var names []string
		names, err = dir.Readdirnames(listed)
		for _, name := range names {
			if err := fn(name); err == io.EOF {
				return nil
			} else if err != nil {
				return err
			}
		}
	}
	if err == io.EOF {
		return nil
	}
	return err
}

// keyOf returns the upload of a message's name.
func keyOf(name string) (string, bool) {
	rest, ok := strings.CutSuffix(name, suffixMessage)
	key, _, dot := strings.Cut(rest, ".")
	return key, ok && dot
}

// errDamaged: the file can be read, and will never be a message.
var errDamaged = errors.New("it is damaged, or of another version")

// read reads a message.
func (b *outbox) read(name string) (Message, error) {
	f, err := b.dir.Open(name)
	if err != nil {
		return Message{}, err
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, maxMessageBytes+1))
	if err != nil {
		return Message{}, err
	}
	var m Message
	if err := json.Unmarshal(body, &m); err != nil {
		return Message{}, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if m.Version != Version || m.Upload.ID == "" || !slices.Contains(recorded(), m.Event) {
		return Message{}, errDamaged
	}
	return m, nil
}

// oldest returns the name of an upload's next message, and what it says.
func (b *outbox) oldest(key string) (name string, m Message, err error) {
	for _, event := range recorded() {
		name = fileName(key, event, suffixMessage)
		if m, err = b.read(name); !errors.Is(err, fs.ErrNotExist) {
			return name, m, err
		}
	}
	return "", Message{}, fs.ErrNotExist
}

// putAside takes a message out of the way, for a person to look at.
func (b *outbox) putAside(name string, why error) error {
	b.caller.opts.Logger.Error("a message was set aside", "hook", b.caller.target.String(), "file", name, "error", why)
	return b.dir.Rename(name, setAside+"/"+name)
}
