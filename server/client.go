package server

import (
	"net/http"
	"net/netip"

	"github.com/streamflow/streamflow/server/auth"
)

// identify puts who makes a request into its context, for all that comes after.
func (s *Server) identify(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx := auth.WithClient(r.Context(), peerOf(r))
		if s.opts.Auth != nil {
			ctx = s.opts.Auth.Authenticate(ctx, r.Header)
		}
		next(w, r.WithContext(ctx))
	}
}

// peerOf is the address at the other end of the connection, or the zero address
// where it has none, as on a Unix socket.
func peerOf(r *http.Request) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return peer.Addr().Unmap()
}
