package server

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/streamflow/streamflow/memory"
)

const (
	// lobbyShare is the part of the budget that is set aside, as far as that makes
	// lobbyLeast to lobbyMost connections.
	lobbyShare = 64
	lobbyLeast = 4
	lobbyMost  = 16
	// lobbyAfter is how long there must have been none: who comes before that waits,
	// as room comes and goes.
	lobbyAfter = time.Second / 2
	// lobbyWait is how long a visitor waits for a place among the others: enough
	// where room is given back all the time and there is a queue for it.
	lobbyWait = 100 * time.Millisecond
)

// A lobby is a guaranteed part of the budget, for connections that come when the
// rest is full. Whoever is there hears at once how the server is, and soon that it
// is full: a server that answers nobody is taken for dead, and ended. When it is
// full too, one of those in it goes, so silent ones keep nobody out.
type lobby struct {
	mem    *memory.Manager
	places int
	open   bool // since the last one found no room; of Accept alone

	visitors []*connection // the oldest first; guarded by the mutex of the listener
}

func newLobby(mem *memory.Manager, sizes []int64) (lobby, error) {
	var cost int64 // of one connection
	for _, size := range sizes {
		cost += memory.Cost(size)
	}
	places := min(max(lobbyLeast, mem.Limit()/lobbyShare/cost), lobbyMost)
	mem, err := mem.Child("lobby", &memory.ChildOptions{Limit: places * cost, Guarantee: places * cost})
	return lobby{mem: mem, places: int(places)}, err
}

// room charges for the connection that comes next, and says whether its place is
// in the lobby.
func (l *listener) room() (charge memory.Reservation, visitor bool, err error) {
	charge, err = l.mem.TryReserve(memory.KindConnection, l.sizes...)
	if errors.Is(err, memory.ErrFull) && !l.lobby.open {
		ctx, cancel := context.WithTimeout(l.ctx, lobbyAfter)
		charge, err = l.mem.Reserve(ctx, memory.KindConnection, l.sizes...)
		cancel()
	}
	l.lobby.open = errors.Is(err, memory.ErrFull) || errors.Is(err, context.DeadlineExceeded)
	if !l.lobby.open {
		return charge, false, err
	}
	l.makeWay()
	charge, err = l.lobby.mem.Reserve(l.ctx, memory.KindConnection, l.sizes...)
	return charge, true, err
}

// makeWay closes a connection in a lobby that is full: the oldest that has asked for
// nothing, or else the oldest, which has its answer by now.
func (l *listener) makeWay() {
	l.mu.Lock()
	var gone *connection
	if len(l.lobby.visitors) >= l.lobby.places {
		silent := func(c *connection) bool { return !c.handled.Load() }
		i := max(0, slices.IndexFunc(l.lobby.visitors, silent))
		gone = l.lobby.visitors[i]
		l.lobby.visitors = slices.Delete(l.lobby.visitors, i, i+1)
	}
	l.mu.Unlock()
	if gone != nil {
		_ = gone.Close() // also where somebody else has
	}
}

// leaveLobby reports whether c was there.
func (l *listener) leaveLobby(c *connection) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	i := slices.Index(l.lobby.visitors, c)
	if i >= 0 {
		l.lobby.visitors = slices.Delete(l.lobby.visitors, i, i+1)
	}
	return i >= 0
}

// enter gives a visitor a place among the other connections, if there is one soon.
func (c *connection) enter(ctx context.Context) bool {
	ctx, cancel := context.WithTimeout(ctx, lobbyWait)
	defer cancel()
	charge, err := c.listener.mem.Reserve(ctx, memory.KindConnection, c.listener.sizes...)
	if err != nil {
		return false
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	visits := c.listener.leaveLobby(c)
	if visits {
		c.release()
		c.visitor.Store(false)
	}
	c.charges = append(c.charges, charge) // of two requests of HTTP/2 at once, both count
	if c.closed {
		c.release()
	}
	return !c.visitor.Load()
}

// admitVisitor refuses what a connection in the lobby asks for, but for what costs
// nothing more.
func (s *Server) admitVisitor(w http.ResponseWriter, r *http.Request) error {
	c := connectionOf(r.Context())
	if c == nil || !c.visitor.Load() {
		return nil
	}
	if at := s.endpoints[r.URL.Path]; at.always && r.ProtoMajor < 2 {
		w.Header().Set("Connection", "close")
		return nil
	}
	if c.enter(r.Context()) {
		return nil
	}
	s.metrics.refused.timeout.Inc()
	return busy()
}
