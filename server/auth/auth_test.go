package auth_test

import (
	"context"
	"net/netip"
	"testing"

	"github.com/streamflow/streamflow/server/auth"
)

func TestIdentityKey(t *testing.T) {
	for name, test := range map[string]struct {
		id   auth.Identity
		want string
	}{
		"owner":              {auth.Identity{Owner: "alice", Client: netip.MustParseAddr("192.0.2.1")}, "owner alice"},
		"IPv4":               {auth.Identity{Client: netip.MustParseAddr("192.0.2.1")}, "192.0.2.1"},
		"IPv4 in IPv6":       {auth.Identity{Client: netip.MustParseAddr("::ffff:192.0.2.1")}, "192.0.2.1"},
		"IPv6":               {auth.Identity{Client: netip.MustParseAddr("2001:db8:1:2:3::4")}, "2001:db8:1:2::/64"},
		"IPv6 with a zone":   {auth.Identity{Client: netip.MustParseAddr("fe80::1%eth0")}, "fe80::/64"},
		"nobody":             {auth.Identity{}, "unknown"},
		"owner like address": {auth.Identity{Owner: "192.0.2.1"}, "owner 192.0.2.1"},
	} {
		t.Run(name, func(t *testing.T) {
			if got := test.id.Key(); got != test.want {
				t.Errorf("key is %q, want %q", got, test.want)
			}
		})
	}
}

func TestContext(t *testing.T) {
	if id := auth.FromContext(context.Background()); id != (auth.Identity{}) {
		t.Errorf("without one it is %+v", id)
	}
	id := auth.Identity{Owner: "alice", Scopes: auth.Create}
	if got := auth.FromContext(auth.NewContext(context.Background(), id)); got != id {
		t.Errorf("identity is %+v, want %+v", got, id)
	}
}

func TestScopes(t *testing.T) {
	for text, want := range map[string]auth.Scopes{
		"create": auth.Create, "append,create": auth.Create | auth.Append, "admin": auth.Admin,
		"create,append,read,delete": auth.Create | auth.Append | auth.Read | auth.Delete,
	} {
		got, err := auth.ParseScopes(text)
		if err != nil || got != want {
			t.Errorf("%s is %v, %v", text, got, err)
		}
		if again, err := auth.ParseScopes(got.String()); err != nil || again != got {
			t.Errorf("%s is written as %q", text, got)
		}
	}
	for _, text := range []string{"", "create,", "Create", "create append", "all"} {
		if got, err := auth.ParseScopes(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
	if !auth.Admin.Has(auth.Delete) || auth.Create.Has(auth.Create|auth.Append) || auth.Scopes(0).Has(auth.Read) {
		t.Error("scopes have the wrong others")
	}
}
