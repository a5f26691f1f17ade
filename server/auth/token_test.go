package auth_test

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/server/auth"
	"github.com/streamflow/streamflow/store"
)

// write makes a file of the lines and returns its path.
func write(t *testing.T, lines ...string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "tokens")
	rewrite(t, path, lines...)
	return path
}

func rewrite(t *testing.T, path string, lines ...string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(strings.Join(lines, "\n")+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
}

func newToken(t *testing.T, owner string, scopes auth.Scopes, expires time.Time) (line, secret string) {
	t.Helper()
	token, secret, err := auth.NewToken(owner, scopes, expires)
	if err != nil {
		t.Fatal(err)
	}
	return token.String(), secret
}

func open(t *testing.T, path string) *auth.Options {
	t.Helper()
	tokens, err := auth.OpenTokens(path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return &auth.Options{Tokens: tokens}
}

// who is whoever sends that Authorization.
func who(o *auth.Options, authorization ...string) context.Context {
	r := &http.Request{URL: new(url.URL), Header: http.Header{"Authorization": authorization}}
	return o.Authenticate(context.Background(), r)
}

func TestTokens(t *testing.T) {
	alice, aliceSecret := newToken(t, "alice", auth.Create|auth.Append, time.Time{})
	bob, bobSecret := newToken(t, "bob", auth.Read, time.Now().Add(time.Hour))
	old, oldSecret := newToken(t, "eve", auth.Read, time.Now().Add(-time.Second))
	_, unknown := newToken(t, "eve", auth.Admin, time.Time{})
	o := open(t, write(t, "# who may what", "", alice+" # the first", "\t"+strings.ReplaceAll(bob, " ", " \t "), old))
	const status401 = http.StatusUnauthorized
	for name, test := range map[string]struct {
		authorization []string
		owner         string
		scopes        auth.Scopes
		challenge     string
	}{
		"a token":               {[]string{"Bearer " + aliceSecret}, "alice", auth.Create | auth.Append, ""},
		"another":               {[]string{"Bearer " + bobSecret}, "bob", auth.Read, ""},
		"scheme in lower case":  {[]string{"bearer  " + bobSecret}, "bob", auth.Read, ""},
		"none":                  {nil, "", 0, `Bearer realm="uploads"`},
		"expired":               {[]string{"Bearer " + oldSecret}, "", 0, "invalid_token"},
		"unknown":               {[]string{"Bearer " + unknown}, "", 0, "invalid_token"},
		"the hash":              {[]string{"Bearer " + strings.Fields(alice)[0]}, "", 0, "invalid_token"},
		"a part":                {[]string{"Bearer " + aliceSecret[:len(aliceSecret)-1]}, "", 0, "invalid_token"},
		"empty":                 {[]string{"Bearer "}, "", 0, "invalid_token"},
		"another scheme":        {[]string{"Basic " + aliceSecret}, "", 0, "invalid_token"},
		"two fields":            {[]string{"Bearer " + aliceSecret, "Bearer " + bobSecret}, "", 0, "invalid_token"},
		"two tokens in a field": {[]string{"Bearer " + aliceSecret + ", Bearer " + bobSecret}, "", 0, "invalid_token"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := who(o, test.authorization...)
			if id := auth.FromContext(ctx); id.Owner != test.owner || id.Scopes != test.scopes {
				t.Errorf("it is %+v", id)
			}
			err := auth.Allow(ctx, auth.Append, auth.Read)
			if test.scopes != 0 {
				if err != nil {
					t.Errorf("refused: %v", err)
				}
				return
			}
			refusal, ok := errors.AsType[*protocol.Refusal](err)
			if !ok || refusal.Status != status401 || refusal.Code != protocol.CodeToken || !errors.Is(err, store.ErrDenied) {
				t.Fatalf("error is %#v", err)
			}
			if got := refusal.Header.Get("WWW-Authenticate"); !strings.Contains(got, test.challenge) {
				t.Errorf("challenge is %s", got)
			}
			for _, secret := range []string{aliceSecret, bobSecret, oldSecret, unknown} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("the error tells a token: %v", err)
				}
			}
		})
	}
}

func TestAllowScopes(t *testing.T) {
	ctx := auth.NewContext(context.Background(), auth.Identity{Owner: "alice", Scopes: auth.Create})
	err := auth.Allow(ctx, auth.Delete)
	refusal, ok := errors.AsType[*protocol.Refusal](err)
	if !ok || refusal.Status != http.StatusForbidden || !strings.Contains(refusal.Header.Get("Www-Authenticate"), `insufficient_scope", scope="delete"`) {
		t.Errorf("error is %#v", err)
	}
	if err := auth.Allow(context.Background(), auth.Read); protocol.Status(err) != http.StatusUnauthorized {
		t.Errorf("nobody is refused with %v", err)
	}
}

// What the program around the server says goes before any token.
func TestIdentityOfProgram(t *testing.T) {
	id := auth.Identity{Owner: "carol", Scopes: auth.Append}
	o := new(auth.Options)
	r := &http.Request{URL: new(url.URL), Header: http.Header{"Authorization": {"Bearer x"}}}
	ctx := o.Authenticate(auth.NewContext(context.Background(), id), r)
	if got := auth.FromContext(ctx); got != id {
		t.Errorf("identity is %+v", got)
	}
}

// A token that ends while the server runs ends.
func TestTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line, secret := newToken(t, "alice", auth.Read, time.Now().Add(time.Minute))
		o := open(t, write(t, line))
		if err := auth.Allow(who(o, "Bearer "+secret), auth.Read); err != nil {
			t.Errorf("before: %v", err)
		}
		time.Sleep(time.Minute)
		if err := auth.Allow(who(o, "Bearer "+secret), auth.Read); err == nil {
			t.Error("it is still good")
		}
	})
}

func TestTokensChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		alice, aliceSecret := newToken(t, "alice", auth.Read, time.Time{})
		bob, bobSecret := newToken(t, "bob", auth.Read, time.Time{})
		path := write(t, alice)
		o := open(t, path)
		want := func(name, secret string, good bool) {
			t.Helper()
			if err := auth.Allow(who(o, "Bearer "+secret), auth.Read); (err == nil) != good {
				t.Errorf("%s: %v", name, err)
			}
		}
		want("bob before", bobSecret, false)
		rewrite(t, path, bob)
		time.Sleep(time.Second)
		want("bob after", bobSecret, true)
		want("alice after", aliceSecret, false)
		rewrite(t, path, alice, "nonsense")
		time.Sleep(time.Second)
		want("bob with a broken file", bobSecret, true)
		want("alice with a broken file", aliceSecret, false)
		if err := o.Tokens.Reload(); err == nil || !strings.Contains(err.Error(), "line 2") {
			t.Errorf("reload of a broken file: %v", err)
		}
	})
}

func TestTokenFileMistakes(t *testing.T) {
	good, _ := newToken(t, "alice", auth.Read, time.Time{})
	hash := strings.Fields(good)[0]
	for name, test := range map[string]struct {
		line string
		want string
	}{
		"too few fields":   {hash + " alice read", "line 2: want sha256:HASH OWNER SCOPES EXPIRY"},
		"too many fields":  {good + " more", "line 2: want sha256:"},
		"no hash":          {"secret alice read never", "line 2: the first field is not sha256:"},
		"a short hash":     {hash[:70] + " alice read never", "line 2: the first field"},
		"no hexadecimal":   {hash[:70] + "x alice read never", "line 2: the first field"},
		"unknown scope":    {hash + " alice write never", `line 2: "write" is none of the scopes`},
		"no time":          {hash + " alice read tomorrow", "line 2: the expiry \"tomorrow\" is neither"},
		"a zero time":      {hash + " alice read 0001-01-01T00:00:00Z", "line 2: the expiry"},
		"beyond years":     {hash + " alice read 9999-12-31T23:59:59-01:00", "line 2: the expiry"},
		"a control in it":  {hash + " al\x07ice read never", `line 2: "al\aice" can't be an owner`},
		"not UTF-8":        {hash + " al\xffice read never", "can't be an owner"},
		"long owner":       {hash + " " + strings.Repeat("a", 129) + " read never", "can't be an owner"},
		"the same again":   {good, "line 2: the same token as in line 1"},
		"larger than 1 MB": {strings.Repeat("# comment\n", 120_000), "larger than"},
		"an endless line":  {"#" + strings.Repeat("x", 100_000), "line 2: "},
	} {
		t.Run(name, func(t *testing.T) {
			path := write(t, good, test.line)
			_, err := auth.OpenTokens(path, slog.New(slog.DiscardHandler))
			if err == nil || !strings.Contains(err.Error(), test.want) || !strings.Contains(err.Error(), path) {
				t.Errorf("error is %v, want %s", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), strings.TrimPrefix(hash, "sha256:")) {
				t.Errorf("the error tells a hash: %v", err)
			}
		})
	}
}

func TestNewToken(t *testing.T) {
	for _, owner := range []string{"", "a b", "a#b", "a\nb"} {
		if _, _, err := auth.NewToken(owner, auth.Read, time.Time{}); err == nil {
			t.Errorf("%q is an owner", owner)
		}
	}
	if _, _, err := auth.NewToken("alice", 0, time.Time{}); err == nil {
		t.Error("a token without a scope")
	}
	line, secret := newToken(t, "alice", auth.Read, time.Time{})
	if strings.Contains(line, secret) || !strings.HasPrefix(secret, "streamflow_") {
		t.Errorf("%s of %s", line, secret)
	}
}
