package journal

import "errors"

// ErrBusy: another process, or another upload of this one, has the entry.
var ErrBusy = errors.New("this upload is already under way")
