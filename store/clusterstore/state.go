package clusterstore

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/streamflow/streamflow/internal/bucket"
	"github.com/streamflow/streamflow/internal/checksum"
	"github.com/streamflow/streamflow/store"
)

const (
	stateVersion = 1
	// maxStateBytes bounds what is read as a state: 10,000 parts take 1 MiB.
	maxStateBytes = 16 << 20
	// maxSpecBytes bounds name and metadata, which are read and written with a state.
	maxSpecBytes = 32 << 10
	// stateCost is what a byte of a state costs: as it is read, kept, changed and
	// sent, and where the list of parts goes to S3.
	stateCost = 12
)

// A state is what is known of an upload: the one thing that nodes agree on.
//
// Its bytes are those of the runs, then those of the tails.
type state struct {
	Version int `json:"version"`
	// Revision is another one for each writing, by which a writer whose answer was
	// lost knows its own.
	Revision string `json:"revision"`
	// Epoch rises when another process takes over, or this one can't be sure any
	// more what its own requests did.
	Epoch int64  `json:"epoch"`
	Node  string `json:"node"` // whose epoch it is

	Name      []byte            `json:"name"` // any bytes, as the values of metadata
	Metadata  map[string][]byte `json:"metadata,omitempty"`
	Length    int64             `json:"length"` // or store.UnknownLength
	UnitBytes int64             `json:"unit,omitempty"`
	// Coding is the content coding, or "".
	Coding string `json:"coding,omitempty"`
	// Sniffed is the media type by the first bytes.
	Sniffed string `json:"sniffed,omitempty"`
	// Readable is that of store.Spec.
	Readable bool      `json:"readable,omitempty"`
	Created  time.Time `json:"created"`
	Modified time.Time `json:"modified"`
	// Aborted: it is as good as gone.
	Aborted bool `json:"aborted,omitempty"`
	// Careful: a body broke off in a part, and what had come of that was lost.
	Careful bool `json:"careful,omitempty"`

	Runs  []run    `json:"runs,omitempty"`
	Tails []object `json:"tails,omitempty"`
	// Sum is that of a finished upload, whose runs and tails are gone.
	Sum *uint32 `json:"sum,omitempty"`
}

// A run is the parts of one multipart upload, or the object they have become. The
// first may be of the upload's final key, and is completed by Finish only.
type run struct {
	Key string `json:"key"`
	// Multipart is S3's id, or "" once there is an object.
	Multipart string `json:"multipart,omitempty"`
	// Frozen: it takes no bytes of clients any more, as somebody else's late part
	// might replace them.
	Frozen bool   `json:"frozen,omitempty"`
	Size   int64  `json:"size"`
	Sum    uint32 `json:"sum"`
	Parts  []part `json:"parts,omitempty"`
}

type part struct {
	ETag string    `json:"etag"`
	Size int64     `json:"size"`
	Sum  store.Sum `json:"sum"` // where S3 knows it
}

// An object holds bytes that are less than a part. It never changes.
type object struct {
	Key  string `json:"key"`
	Size int64  `json:"size"`
	Sum  uint32 `json:"sum"`
}

func newState(spec store.Spec) (*state, error) {
	if n := specBytes(spec); n > maxSpecBytes {
		err := fmt.Errorf("%w: name and metadata take %d bytes", store.ErrInvalid, n)
		return nil, &store.LimitError{Err: err, Limit: maxSpecBytes}
	}
	now := time.Now().UTC()
	st := &state{
		Version: stateVersion, Name: []byte(spec.Name), Length: spec.Length, UnitBytes: spec.UnitBytes,
		Coding: spec.ContentCoding, Readable: spec.Readable, Created: now, Modified: now,
	}
	for k, v := range spec.Metadata {
		if !utf8.ValidString(k) {
			return nil, fmt.Errorf("%w: metadata key %.40q is not UTF-8", store.ErrInvalid, k)
		}
		if st.Metadata == nil {
			st.Metadata = make(map[string][]byte)
		}
		st.Metadata[k] = []byte(v)
	}
	return st, nil
}

// specBytes is what name and metadata take.
func specBytes(spec store.Spec) int64 {
	n := len(spec.Name)
	for k, v := range spec.Metadata {
		n += len(k) + len(v)
	}
	return int64(n)
}

// encode makes the next revision of st, which is written by node.
func (st *state) encode(node string) ([]byte, error) {
	st.Revision, st.Node = rand.Text(), node
	return json.Marshal(st)
}

func decodeState(text []byte) (*state, error) {
	st := new(state)
	if err := json.Unmarshal(text, st); err != nil {
		return nil, fmt.Errorf("its state can't be read: %w", err)
	}
	if st.Version != stateVersion {
		return nil, fmt.Errorf("its state is of version %d: this program knows %d", st.Version, stateVersion)
	}
	if st.Length < store.UnknownLength || slices.ContainsFunc(st.Runs, func(r run) bool { return r.Size < 0 }) {
		return nil, errors.New("its state makes no sense")
	}
	return st, nil
}

// clone returns a copy that may be changed.
func (st *state) clone() *state {
	next := *st
	next.Runs = slices.Clone(st.Runs)
	for i := range next.Runs {
		next.Runs[i].Parts = slices.Clone(next.Runs[i].Parts)
	}
	next.Tails = slices.Clone(st.Tails)
	return &next
}

func (st *state) offset() int64 {
	if st.Sum != nil {
		return st.Length
	}
	n := st.tailBytes()
	for _, r := range st.Runs {
		n += r.Size
	}
	return n
}

func (st *state) tailBytes() (n int64) {
	for _, o := range st.Tails {
		n += o.Size
	}
	return n
}

// sum is that of all bytes.
func (st *state) sum() store.Sum {
	if st.Sum != nil {
		return store.Sum{CRC32C: *st.Sum, Known: true}
	}
	total := uint32(0)
	for _, r := range st.Runs {
		total = checksum.Combine(total, r.Sum, r.Size)
	}
	return store.Sum{CRC32C: checksum.Combine(total, sumOf(st.Tails), st.tailBytes()), Known: true}
}

func sumOf(objects []object) uint32 {
	total := uint32(0)
	for _, o := range objects {
		total = checksum.Combine(total, o.Sum, o.Size)
	}
	return total
}

// whole says whether every byte is there, or why not.
func (st *state) whole() error {
	switch have := st.offset(); {
	case st.Length == store.UnknownLength:
		return fmt.Errorf("%w: its length is not known", store.ErrIncomplete)
	case have != st.Length:
		return fmt.Errorf("%w: %d of %d bytes are there", store.ErrIncomplete, have, st.Length)
	}
	return nil
}

// names says whether an object or a multipart upload belongs to st. An object may be
// a run whose completion st hasn't heard of.
func (st *state) names(m bucket.Multipart) bool {
	return slices.ContainsFunc(st.Runs, func(r run) bool { return r.Key == m.Key && (m.ID == "" || m.ID == r.Multipart) }) ||
		slices.ContainsFunc(st.Tails, func(o object) bool { return m == bucket.Multipart{Key: o.Key} })
}

// openRun is the run that takes the next part, or nil.
func (st *state) openRun() *run {
	if len(st.Runs) == 0 {
		return nil
	}
	if last := &st.Runs[len(st.Runs)-1]; last.Multipart != "" && !last.Frozen {
		return last
	}
	return nil
}

// freeze ends the open run.
func (st *state) freeze() {
	if r := st.openRun(); r != nil {
		r.Frozen = true
	}
}

func (r *run) multipart() bucket.Multipart { return bucket.Multipart{Key: r.Key, ID: r.Multipart} }

func (r *run) add(p bucket.Part) {
	r.Parts = append(r.Parts, part{ETag: p.ETag, Size: p.Size, Sum: p.Sum})
	r.grow(p.Size, p.Sum.CRC32C)
}

// grow counts bytes that were added.
func (r *run) grow(n int64, sum uint32) {
	r.Sum = checksum.Combine(r.Sum, sum, n)
	r.Size += n
}

// completed: an object is there instead of the parts.
func (r *run) completed() { r.Multipart, r.Parts, r.Frozen = "", nil, false }

// list has the parts as S3 wants them to be completed.
func (r *run) list() []bucket.Part {
	parts := make([]bucket.Part, len(r.Parts))
	for i, p := range r.Parts {
		parts[i] = bucket.Part{Number: i + 1, Size: p.Size, ETag: p.ETag, Sum: p.Sum}
	}
	return parts
}

// metadata is that of the spec, or nil.
func (st *state) metadata() map[string]string {
	if len(st.Metadata) == 0 {
		return nil
	}
	m := make(map[string]string, len(st.Metadata))
	for k, v := range st.Metadata {
		m[k] = string(v)
	}
	return m
}

// info is what callers see of a state.
func (s *Store) info(id string, st *state) store.Info {
	info := store.Info{
		ID: id, Name: string(st.Name), Length: st.Length, Offset: st.offset(), Sum: st.sum(),
		Complete: st.Sum != nil, UnitBytes: st.UnitBytes, CreatedAt: st.Created, ModifiedAt: st.Modified,
		Metadata: st.metadata(),
	}
	if st.Sum != nil {
		info.Location = s.bucket.URI(s.target(id))
	}
	return info
}
