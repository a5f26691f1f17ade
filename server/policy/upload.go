package policy

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/streamflow/streamflow/store"
)

// A countedUpload is an upload of a countedStore. Its calls are made one after
// the other.
type countedUpload struct {
	store.Upload
	ledger  *ledger
	info    store.Info
	account account // of info
}

// SetLength implements store.Upload: the length is reserved, as at a creation.
func (u *countedUpload) SetLength(ctx context.Context, length int64) error {
	after := u.info
	after.Length = length
	to := accountOf(after)
	if err := u.ledger.admit(u.account, to); err != nil {
		return err
	}
	if err := u.Upload.SetLength(ctx, length); err != nil {
		u.moved(ctx, to, u.info.Offset, err)
		return err
	}
	u.info, u.account = after, to
	return nil
}

// Write implements store.Upload.
func (u *countedUpload) Write(ctx context.Context, off int64, r io.Reader, size int64) (int64, error) {
	return u.write(ctx, off, r, func(r io.Reader) (int64, error) { return u.Upload.Write(ctx, off, r, size) })
}

// WriteVerified implements store.Verifier where the store's uploads do.
func (u *countedUpload) WriteVerified(ctx context.Context, off int64, r io.Reader, size int64, verify func() error) (int64, error) {
	v, ok := u.Upload.(store.Verifier)
	if !ok {
		return 0, fmt.Errorf("verify: %w", store.ErrUnsupported)
	}
	return u.write(ctx, off, r, func(r io.Reader) (int64, error) { return v.WriteVerified(ctx, off, r, size, verify) })
}

func (u *countedUpload) write(ctx context.Context, off int64, r io.Reader, do func(io.Reader) (int64, error)) (int64, error) {
	if u.info.Length != store.UnknownLength {
		n, err := do(r)
		u.moved(ctx, u.account, off+n, err)
		return n, err
	}
	g := &growth{Reader: r, ledger: u.ledger}
	n, err := do(g)
	grown := u.account
	grown.bytes += g.taken
	u.moved(ctx, grown, off+n, err)
	return n, err
}

// Finish implements store.Upload.
func (u *countedUpload) Finish(ctx context.Context, sum store.Sum) (store.Info, error) {
	info, err := u.Upload.Finish(ctx, sum)
	if err != nil {
		u.moved(ctx, u.account, u.info.Offset, err)
		return info, err
	}
	u.is(u.account, info)
	return info, nil
}

// Abort implements store.Upload.
func (u *countedUpload) Abort(ctx context.Context) error {
	err := u.Upload.Abort(ctx)
	if err != nil {
		u.moved(ctx, u.account, u.info.Offset, err)
		return err
	}
	u.is(u.account, store.Info{})
	return nil
}

// moved notes what has become of the upload, which the ledger had as counted.
// After an error the store is asked, as it may have more or fewer bytes.
func (u *countedUpload) moved(ctx context.Context, counted account, offset int64, err error) {
	after := u.info
	after.Offset = offset
	if err != nil {
		switch info, err := u.Info(context.WithoutCancel(ctx)); {
		case err == nil:
			after = info
		case errors.Is(err, store.ErrNotFound):
			after = store.Info{}
		}
	}
	u.is(counted, after)
}

func (u *countedUpload) is(counted account, info store.Info) {
	u.info, u.account = info, accountOf(info)
	u.ledger.change(counted, u.account)
}

// A growth takes the bytes of an upload of unknown length from the quota before
// it passes them on, so that no two uploads take the same room.
type growth struct {
	io.Reader
	ledger *ledger
	taken  int64
}

// Read implements io.Reader.
func (g *growth) Read(p []byte) (int, error) {
	n, err := g.Reader.Read(p)
	taken, full := g.ledger.grow(int64(n))
	g.taken += taken
	if full != nil {
		return int(taken), full
	}
	return n, err
}
