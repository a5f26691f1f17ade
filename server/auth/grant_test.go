package auth_test

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/streamflow/streamflow/server/auth"
)

const key = "0123456789abcdef0123456789abcdef"

// An application signs a URL, and gives it to a browser.
func ExampleGrant_URL() {
	key, err := os.ReadFile("testdata/url.key") // a line of the server's --url-key-file
	if err != nil {
		log.Fatal(err)
	}
	grant := auth.Grant{
		Owner:    "alice",
		Expires:  1893456000, // yours: time.Now().Add(15*time.Minute).Unix()
		Nonce:    "yours is left empty",
		MaxBytes: 10 << 20,
		Type:     "image/*",
	}
	files := &url.URL{Scheme: "https", Host: "files.example", Path: "/files/"}
	signed, id, err := grant.URL(files, []byte(strings.TrimSpace(string(key))))
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(signed.Path, len(signed.Query().Get("grant")))
	fmt.Println("the upload will be", id)
	// Output:
	// /files/ 186
	// the upload will be 36439a6cf1a3257551ee0084b2a62e48
}

func openKeys(t *testing.T, lines ...string) *auth.Options {
	t.Helper()
	keys, err := auth.OpenKeys(write(t, lines...), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return &auth.Options{Keys: keys}
}

// bearing is whoever has that grant in the URL.
func bearing(o *auth.Options, grant string) context.Context {
	u := &url.URL{RawQuery: url.Values{auth.QueryGrant: {grant}}.Encode()}
	return o.Authenticate(context.Background(), &http.Request{URL: u, Header: http.Header{}})
}

// signed makes a grant as another language would.
func signed(key, text string) string {
	payload := base64.RawURLEncoding.EncodeToString([]byte(text))
	h := hmac.New(sha256.New, []byte(key))
	h.Write([]byte(payload))
	return payload + "." + base64.RawURLEncoding.EncodeToString(h.Sum(nil))
}

func TestGrantSignatures(t *testing.T) {
	const good = `{"owner":"alice","expires":1893456000,"nonce":"0123456789abcdef"}`
	value := signed(key, good)
	other := strings.Repeat("k", 40)
	for name, test := range map[string]struct {
		grant string
		keys  []string
		want  string // "" is a good one
	}{
		"good":                 {value, []string{key}, ""},
		"with a comment":       {value, []string{"# old", "", key}, ""},
		"by the older key":     {value, []string{other, key}, ""},
		"by a key that is new": {signed(other, good), []string{other, key}, ""},
		"by no key":            {value, []string{other}, "not signed"},
		"without any key":      {value, nil, "not signed"},
		"no signature":         {strings.Split(value, ".")[0], []string{key}, "not signed"},
		"an empty signature":   {strings.Split(value, ".")[0] + ".", []string{key}, "not signed"},
		"another payload":      {signed(key, strings.Replace(good, "alice", "root", 1))[:80] + value[80:], []string{key}, "not signed"},
		"too long":             {value + strings.Repeat("A", 4000), []string{key}, "not signed"},
		"an unknown claim":     {signed(key, `{"owner":"alice","expires":1893456000,"nonce":"0123456789abcdef","scopes":"read"}`), []string{key}, `unknown field "scopes"`},
		"no owner":             {signed(key, `{"expires":1893456000,"nonce":"0123456789abcdef"}`), []string{key}, "can't be the owner"},
		"no expiry":            {signed(key, `{"owner":"alice","nonce":"0123456789abcdef"}`), []string{key}, "needs the time when it expires"},
		"no nonce":             {signed(key, `{"owner":"alice","expires":1893456000}`), []string{key}, "the nonce of a grant"},
		"a negative bound":     {signed(key, `{"owner":"alice","expires":1893456000,"nonce":"0123456789abcdef","max_bytes":-1}`), []string{key}, "max_bytes"},
		"any type as */*":      {signed(key, `{"owner":"alice","expires":1893456000,"nonce":"0123456789abcdef","type":"*/*"}`), []string{key}, "the type of a grant"},
		"two values":           {signed(key, good+good), []string{key}, "behind its JSON"},
		"no JSON":              {signed(key, "alice"), []string{key}, "not as documented"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := bearing(openKeys(t, test.keys...), test.grant)
			err := auth.Allow(ctx, auth.Create)
			if err == nil {
				t.Fatal("it has a scope")
			}
			if got := auth.FromContext(ctx).Owner; (got == "alice") != (test.want == "") || got != "alice" && got != "" {
				t.Errorf("owner is %q: %v", got, err)
			}
			if !strings.Contains(err.Error(), test.want) || strings.Contains(err.Error(), key) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func TestSignMistakes(t *testing.T) {
	good := auth.Grant{Owner: "alice", Expires: time.Now().Add(time.Hour).Unix()}
	for name, sign := range map[string]func() error{
		"short key": func() error { _, _, err := good.Sign([]byte("short")); return err },
		"no owner":  func() error { _, _, err := auth.Grant{Expires: 1}.Sign([]byte(key)); return err },
		"no expiry": func() error { _, _, err := auth.Grant{Owner: "alice"}.Sign([]byte(key)); return err },
		"long type": func() error {
			g := good
			g.Type = "a/" + strings.Repeat("b", 4000)
			_, _, err := g.Sign([]byte(key))
			return err
		},
	} {
		if err := sign(); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	one, first, err := good.Sign([]byte(key))
	two, second, err2 := good.Sign([]byte(key))
	if err != nil || err2 != nil || one == two || first == second {
		t.Errorf("two grants are %s and %s, %v, %v", first, second, err, err2)
	}
}

func TestKeyFileMistakes(t *testing.T) {
	_, err := auth.OpenKeys(write(t, key, "short"), slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), "line 2: a key has 32 bytes") || strings.Contains(err.Error(), "short") {
		t.Errorf("error is %v", err)
	}
}
