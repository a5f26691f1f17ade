// Package memory decides who may hold how many bytes.
//
// Use it where the memory of a program must stay inside a budget whatever its
// input: a [Manager] has a limit, and everything of size is acquired from it
// before it exists, released exactly once, and reported with its owner when it
// is not. Managers form a tree, so that each upload, connection or tenant has
// a limit and a guarantee of its own inside the budget of all; a charge counts
// at every ancestor.
//
// There are three ways to hold memory:
//
//   - [Manager.Acquire] returns a [Buffer] from slabs outside the Go heap.
//   - [Manager.Reserve] takes all that one unit of work needs in one step, so
//     that nobody holds half and waits for the rest.
//   - [Track] charges for an object that somebody else allocated and follows
//     it with a weak pointer.
//
// [OpenProcess] makes the root for a whole process, whose limit is the budget
// less what the Go runtime and the program's own pages take.
//
// # Waiting
//
// Acquire and Reserve wait for room. A request that can never fit fails at
// once with a [*LimitError] that names the smallest limit that would do. One
// that can fit is served first come, first served within its manager, and the
// managers take turns. A small request may pass a large one that has no room
// yet, but only [MaxOvertakes] times; after that nobody who competes for the
// room it lacks is served before it: that of the lowest manager that has none, so
// that whoever fills a manager can still take what its parent has beside it.
// Whoever holds memory and waits for more can still wait for himself: reserve
// what belongs together in one step.
//
// # Levels
//
// A manager is at level [Normal], [Warning] or [Critical], by the fraction of
// its limit in use. Idle cached buffers are given up before a level rises, and
// a level is left only 5 points below the mark where it was entered. Entering
// one starts the cleanup chain: idle buffers, expired and unreachable
// resources, hooks by priority, and a collection where the Go heap is the
// cause.
//
// # Concurrency
//
// Everything here is safe for concurrent use. Callbacks run on a goroutine of
// the root manager, one at a time, and may call back into the package; Close
// of the root waits for them.
package memory
