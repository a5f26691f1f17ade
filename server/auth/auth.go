// Package auth says who makes a request to an upload server and what that one
// may do: by bearer tokens from a file, by signed URLs that are good for one upload
// each, or by what a program that embeds the
// server has found out itself.
//
// Use [NewContext] in a middleware of your own in front of the server, and
// [FromContext] wherever it matters who asks.
//
// # Concurrency
//
// An [Identity] is a value. Everything else is safe for concurrent use.
package auth

import (
	"context"
	"net/netip"
)

// An Identity is who makes a request.
type Identity struct {
	// Owner is whom the uploads of the request belong to; empty is nobody.
	Owner string
	// Scopes are what the owner may do.
	Scopes Scopes
	// Client is the address that the request comes from, as far as the server
	// can tell; the zero address where it can't.
	Client netip.Addr
}

// clientBits is how much of an IPv6 address tells one client from another: a
// network has so many bits at least, and its hosts choose the rest at will.
const clientBits = 64

// Key names the client in whatever is counted per client: its owner where there
// is one, else the address, of which an IPv6 client has a whole /64.
func (i Identity) Key() string {
	switch addr := i.Client.Unmap().WithZone(""); {
	case i.Owner != "":
		return "owner " + i.Owner
	case !addr.IsValid():
		return "unknown"
	case addr.Is4():
		return addr.String()
	default:
		network, _ := addr.Prefix(clientBits) // fails for IPv4 only
		return network.String()
	}
}

type callerKey struct{}

// A caller is what the context of a request knows of who makes it.
type caller struct {
	id  Identity
	err error // why it is nobody, where something was tried
	// grant is what the owner may do besides, or nil
	grant *Grant
}

func callerFrom(ctx context.Context) caller {
	c, _ := ctx.Value(callerKey{}).(caller)
	return c
}

// NewContext returns a context of a request that id makes. A server that asks
// for authentication trusts it and looks for no token if it has a scope; it sets
// Client where that isn't valid.
func NewContext(ctx context.Context, id Identity) context.Context {
	return context.WithValue(ctx, callerKey{}, caller{id: id})
}

// FromContext returns who makes the request that ctx belongs to. Without one it
// is the zero Identity, which may do nothing.
func FromContext(ctx context.Context) Identity { return callerFrom(ctx).id }

// WithClient sets Client in the identity of ctx, unless it is there already.
func WithClient(ctx context.Context, client netip.Addr) context.Context {
	c := callerFrom(ctx)
	if c.id.Client.IsValid() {
		return ctx
	}
	c.id.Client = client
	return context.WithValue(ctx, callerKey{}, c)
}
