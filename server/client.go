package server

import (
	"net/http"
	"net/netip"

	"github.com/streamflow/streamflow/server/auth"
)

// identify puts who makes a request into its context, for all that comes after.
func (s *Server) identify(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		id := auth.FromContext(r.Context())
		if !id.Client.IsValid() {
			id.Client = peerOf(r)
		}
		next(w, r.WithContext(auth.NewContext(r.Context(), id)))
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
