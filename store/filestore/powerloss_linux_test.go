package filestore_test

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/streamflow/streamflow/store"
	"github.com/streamflow/streamflow/store/filestore"
)

// A copy of a disk as it is at any moment is what a power loss would leave. The file
// system is one without a journal, where a sync brings along nothing but what it is for.
func TestPowerLoss(t *testing.T) {
	data := randomBytes(100_000)
	for name, c := range map[string]struct {
		opts     filestore.Options
		metadata int
		writes   int // of a fifth of the data each
		finish   bool
	}{
		"created":                    {opts: *synced},
		"created by id":              {opts: filestore.Options{ByID: true, SyncAcks: true}},
		"written":                    {opts: *synced, writes: 2},
		"written, with a long log":   {opts: *synced, writes: 2, metadata: 9000},
		"written, the log too long":  {opts: *synced, writes: 4, metadata: 7900},
		"finished":                   {writes: 5, finish: true},
		"finished by id":             {opts: *byID, writes: 5, finish: true},
		"finished, all acknowledged": {opts: *synced, writes: 5, finish: true},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDisk(t)
			dir := filepath.Join("made", "now")
			before := openInBoot(t, "one", filepath.Join(d.dir, dir), &c.opts)
			others := make([]string, 10)
			for i := range others {
				others[i] = infoOf(t, create(t, before, store.Spec{Name: "other"})).ID
			}
			u := create(t, before, store.Spec{
				Name: "a/b/f", Length: int64(len(data)), Metadata: map[string]string{"k": strings.Repeat("v", c.metadata)},
			})
			info := infoOf(t, u)
			for i := range c.writes {
				write(t, u, int64(i)*20_000, data[i*20_000:][:20_000])
			}
			if c.finish {
				info = finish(t, u, data)
			}
			d.losePower(t)
			after := openInBoot(t, "two", filepath.Join(d.then, dir), &c.opts)
			for _, id := range others {
				if _, err := after.Stat(t.Context(), id); c.opts.SyncAcks && err != nil {
					t.Error(err)
				}
			}
			if c.finish {
				path := strings.Replace(info.Location, d.dir, d.then, 1)
				if !bytes.Equal(readFile(t, path), data) {
					t.Error("it has other bytes")
				}
				return
			}
			again, info, err := after.Open(t.Context(), info.ID)
			if err != nil || info.Offset != int64(c.writes)*20_000 {
				t.Fatalf("%+v, %v", info, err)
			}
			write(t, again, info.Offset, data[info.Offset:])
			if !bytes.Equal(readFile(t, finish(t, again, data).Location), data) {
				t.Error("it has other bytes")
			}
		})
	}
}

// A disk is a file system in a file.
type disk struct {
	image, dir string
	copy, then string // after a power loss
}

func newDisk(t *testing.T) *disk {
	t.Helper()
	if os.Getuid() != 0 {
		t.Skip("only root may mount a disk")
	}
	for _, tool := range []string{"mkfs.ext2", "e2fsck", "mount", "umount"} {
		if _, err := exec.LookPath(tool); err != nil {
			t.Skip(err)
		}
	}
	base := t.TempDir()
	d := &disk{image: filepath.Join(base, "image"), dir: filepath.Join(base, "now"), copy: filepath.Join(base, "copy"), then: filepath.Join(base, "then")}
	for _, dir := range []string{d.dir, d.then} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	writeFile(t, d.image, nil)
	if err := os.Truncate(d.image, 64<<20); err != nil {
		t.Fatal(err)
	}
	run(t, "mkfs.ext2", "-q", d.image)
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.dir).CombinedOutput(); err != nil {
		t.Skipf("no disk can be mounted here: %v\n%s", err, out)
	}
	t.Cleanup(func() { run(t, "umount", d.dir) })
	return d
}

// losePower makes what the disk has now what it has then.
func (d *disk) losePower(t *testing.T) {
	t.Helper()
	run(t, "cp", "--sparse=always", d.image, d.copy)
	_ = exec.Command("e2fsck", "-f", "-y", d.copy).Run() // that there was something to mend is an error
	run(t, "mount", "-o", "loop", d.copy, d.then)
	t.Cleanup(func() { run(t, "umount", d.then) })
}

func run(t *testing.T, command string, args ...string) {
	t.Helper()
	if out, err := exec.Command(command, args...).CombinedOutput(); err != nil {
		t.Errorf("%s: %v\n%s", command, err, out)
	}
}
