// Package filestore keeps uploads in a directory.
//
// Use it for `streamflow serve` (finished files are named by upload id) and for
// uploads to a directory (they appear under their own names). Ranges of an
// upload may be written in any order, at the same time.
//
// # Layout
//
// An upload under way is two files: DIR/.streamflow/ID.part holds the bytes at
// their places, DIR/.streamflow/ID.log says which of them are there. Finish
// renames the part to DIR/NAME, or DIR/ID with [Options.ByID]. By name, nothing
// else then stays behind; by id, the small log stays as the upload's metadata.
//
// # What survives what
//
// Write puts bytes into the file before it logs them, and logs them before it
// acknowledges them, so what is acknowledged survives kill -9 of the process. The
// log has no fsync unless [Options.SyncAcks] is set, so after a reboot (the log
// knows the boot it was written in) only ranges that were synced count. Finish
// syncs bytes and log, both at once, before the file gets its name, and the
// directories after it: a finished upload survives power loss.
//
// By id, of an upload of up to 1 MiB all that is synced at once, under both names of
// the file, as a second sync would take as long as all the rest. Its final name then
// shows a moment before it is finished. A reboot in that moment leaves its bytes to
// be held against their sum.
//
// A sync that fails may have lost what it was for, and the next one succeeds all the
// same. So only what was synced before counts then, and the rest has to be sent again;
// also where it was acknowledged. The log is written anew to say so. A disk that doesn't
// take that either leaves it to the process to remember, until it does.
//
// Where the system has no boot id, acknowledgements are always synced.
//
// # Concurrency
//
// A Store and its Uploads are safe for concurrent use. All changes to one
// upload in this process go through one turn (see fence), so a Write that was
// taken over can't put late bytes over its successor's, and what it has put
// there is acknowledged first. Between processes a file lock, held during Write
// and Finish, makes the second writer fail with a *store.TransientError; systems
// without flock have no such lock.
//
// A Write that waits for its source holds no buffer, and once more than a
// hundred wait, no descriptor. Then it has let go of the lock, too: if another
// process writes to the upload meanwhile, the Write ends with
// store.ErrSuperseded.
//
// As many uploads keep their files open after Create or Write, without the lock:
// who goes on at once needn't open and read them again. If another process has
// changed them by then, they are.
package filestore
