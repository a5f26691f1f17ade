package s3store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/streamflow/streamflow/internal/bucket"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// piecesDir is where pieces lie until they are a part of their upload: below the
// prefix, where no object may be.
const piecesDir = ".streamflow/"

// A piece is an object that becomes one part of an upload. It is a multipart
// upload of its own until all its units are there.
type piece struct {
	bucket.Multipart
	number int64 // of the part it becomes

	// turn holds one token. Whoever has it may use the rest.
	turn    chan struct{}
	written map[int64]int64 // sizes by part number
	whole   bool            // it is an object
	copied  bool            // it is a part of the upload
	joined  bool            // and gone itself
}

// piecePrefix is what the keys of an upload's pieces begin with.
func (s *Store) piecePrefix(a address) string {
	sum := sha256.Sum256([]byte(a.ID))
	name := base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(sum[:16])
	return s.prefix + piecesDir + strings.ToLower(name) + "/"
}

// piece returns the piece of that index.
func (u *Upload) piece(index int64) *piece {
	u.mu.Lock()
	defer u.mu.Unlock()
	p := u.pieces[index]
	if p == nil {
		p = &piece{number: u.layout().direct + index + 1, turn: make(chan struct{}, 1), written: make(map[int64]int64)}
		p.Key = u.store.piecePrefix(u.address) + strconv.FormatInt(index, 10)
		p.turn <- struct{}{}
		if u.pieces == nil {
			u.pieces = make(map[int64]*piece)
		}
		u.pieces[index] = p
	}
	return p
}

// take waits for the turn.
func (p *piece) take(ctx context.Context) error {
	select {
	case <-p.turn:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *piece) give() { p.turn <- struct{}{} }

// beginPiece makes the piece's multipart upload, once.
func (u *Upload) beginPiece(ctx context.Context, p *piece) (bucket.Multipart, error) {
	if err := p.take(ctx); err != nil {
		return bucket.Multipart{}, err
	}
	defer p.give()
	switch {
	case p.whole:
		return bucket.Multipart{}, errWhole
	case p.ID != "":
		return p.Multipart, nil
	}
	made, err := u.store.bucket.CreatePiece(ctx, p.Key)
	if err == nil {
		p.Multipart = made
	}
	return made, err
}

// errWhole: the piece has all its units, also the one that is to be written.
var errWhole = errors.New("the piece is whole")

// wrotePiece notes a unit of a piece. Whoever writes the last one joins the
// piece to the upload; the others go on with the next piece meanwhile.
//
// Where there is no memory for that now, the piece waits for Finish: the caller
// holds a unit, and what it waited for might be held by others who wait behind it.
func (u *Upload) wrotePiece(ctx context.Context, p *piece, number, size int64) error {
	if err := p.take(ctx); err != nil {
		return err
	}
	defer p.give()
	l := u.layout()
	if !p.whole {
		p.written[number] = size
	}
	if int64(len(p.written)) < l.units {
		return nil
	}
	charge, err := u.store.mem.TryReserve(memory.KindTransfer, joinBytes(l.units))
	if errors.Is(err, memory.ErrFull) {
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { _ = charge.Release() }()
	return u.join(ctx, p, l.units*l.unit)
}

// joinBytes is what it takes to complete a piece of that many units.
func joinBytes(units int64) int64 { return bucket.CompletePartBytes * (units + 1) }

// join makes an object of the piece's size bytes, a part of the object, and
// removes it. Each step is done once. It needs the turn, and joinBytes reserved.
func (u *Upload) join(ctx context.Context, p *piece, size int64) error {
	if p.joined {
		return nil
	}
	if !p.whole {
		if err := p.lost(ctx, u.store, size, u.completePiece(ctx, p, size)); err != nil {
			return fmt.Errorf("complete piece %d: %w", p.number, err)
		}
		p.whole = true
	}
	if !p.copied {
		if _, err := u.store.bucket.CopyPart(ctx, p.Key, 0, -1, u.address.Multipart, int(p.number)); err != nil {
			return fmt.Errorf("join piece %d: %w", p.number, err)
		}
		p.copied = true
	}
	if err := u.store.bucket.Remove(ctx, p.Key); err != nil {
		return fmt.Errorf("remove piece %d, which is joined: %w", p.number, err)
	}
	p.joined, p.written = true, nil
	return nil
}

func (u *Upload) completePiece(ctx context.Context, p *piece, size int64) error {
	l := layout{unit: u.address.Unit, direct: u.layout().units}
	parts, sum, there, err := u.store.collect(ctx, p.Multipart, l, size)
	if err != nil {
		return err
	}
	if there != size {
		return fmt.Errorf("%w: %d of %d bytes are there", store.ErrIncomplete, there, size)
	}
	return u.store.bucket.CompleteMultipart(ctx, p.Multipart, parts, sum, false)
}

// lost returns nil where err says that the piece's upload isn't there because it is the
// object already, of size bytes: the answer to that was lost.
func (p *piece) lost(ctx context.Context, s *Store, size int64, err error) error {
	if !errors.Is(err, store.ErrNotFound) {
		return err
	}
	o, missing := s.bucket.Head(ctx, p.Key)
	switch {
	case missing == nil && o.Size == size:
		return nil
	case missing != nil && !errors.Is(missing, store.ErrNotFound):
		return missing
	}
	return err
}

// joinAll joins the pieces that are left of length bytes: the last is shorter.
func (u *Upload) joinAll(ctx context.Context, length int64) error {
	return u.eachUnjoined(ctx, func(p *piece) error {
		charge, err := u.store.mem.Reserve(ctx, memory.KindTransfer, joinBytes(int64(len(p.written))))
		if err != nil {
			return err
		}
		defer func() { _ = charge.Release() }()
		start, size := u.layout().at(p.number)
		return u.join(ctx, p, min(size, length-start))
	})
}

// eachUnjoined calls do with each piece that isn't a part yet, by their order,
// and the piece's turn.
func (u *Upload) eachUnjoined(ctx context.Context, do func(*piece) error) error {
	u.mu.Lock()
	pieces := slices.SortedFunc(maps.Values(u.pieces), func(a, b *piece) int { return cmp.Compare(a.number, b.number) })
	u.mu.Unlock()
	for _, p := range pieces {
		if err := p.take(ctx); err != nil {
			return err
		}
		var err error
		if !p.joined {
			err = do(p)
		}
		p.give()
		if err != nil {
			return err
		}
	}
	return nil
}

// countPieces adds what is there of the pieces to what was found of the upload.
func (u *Upload) countPieces(ctx context.Context, found *coverage, length int64) error {
	return u.eachUnjoined(ctx, func(p *piece) error {
		if p.ID == "" || p.copied { // what is copied is a part of the upload
			return nil
		}
		start, _ := u.layout().at(p.number)
		var size int64
		for _, n := range p.written {
			size += n
		}
		if !p.whole {
			err := u.countUnits(ctx, p, start, found, length)
			if err == nil {
				return nil
			}
			if err = p.lost(ctx, u.store, size, err); err != nil {
				return err
			}
			p.whole = true
		}
		found.addRange(bucket.Part{Size: size}, start, size, length)
		return nil
	})
}

func (u *Upload) countUnits(ctx context.Context, p *piece, start int64, found *coverage, length int64) error {
	for q, err := range u.store.bucket.Parts(ctx, p.Multipart) {
		if err != nil {
			return err
		}
		found.addRange(q, start+int64(q.Number-1)*u.address.Unit, u.address.Unit, length)
	}
	return nil
}

// abortPieces removes what a stream left beside its upload, whoever wrote it.
func (s *Store) abortPieces(ctx context.Context, a address) error {
	prefix := s.piecePrefix(a)
	for found, err := range s.bucket.Multiparts(ctx, prefix) {
		if err == nil {
			err = s.bucket.AbortMultipart(ctx, found.Multipart)
		}
		if err != nil {
			return err
		}
	}
	var keys []string // of the few that weren't joined
	for o, err := range s.bucket.Objects(ctx, prefix) {
		if err != nil {
			return err
		}
		keys = append(keys, o.Key)
	}
	for _, key := range keys {
		if err := s.bucket.Remove(ctx, key); err != nil {
			return err
		}
	}
	return nil
}
