package hook_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/streamflow/streamflow/server/hook"
)

// An endpoint that lets nobody upload what isn't a picture. In a program of its
// own it would listen on the address that is given as --hook.
func ExampleVerify() {
	secret, err := hook.ParseSecret("whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oDZmvL4Pk7xZM=") // from a file
	if err != nil {
		log.Fatal(err)
	}
	endpoint := func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 128<<10))
		if err == nil {
			err = hook.Verify(r, body, secret)
		}
		var m hook.Message
		if err == nil {
			err = json.Unmarshal(body, &m)
		}
		if err != nil {
			http.Error(w, "not from our server", http.StatusForbidden)
			return
		}
		var reply hook.Reply
		if m.Event == hook.PreCreate && !strings.HasPrefix(m.Upload.Metadata["filetype"], "image/") {
			reply.Refuse = &hook.Refuse{Status: http.StatusUnsupportedMediaType, Message: "pictures only"}
		}
		_ = json.NewEncoder(w).Encode(reply)
	}

	forged := httptest.NewRequest("POST", "/", strings.NewReader(`{"event": "pre-create"}`))
	answer := httptest.NewRecorder()
	endpoint(answer, forged)
	fmt.Println(answer.Code)
	// Output: 403
}

func TestVerify(t *testing.T) {
	secret, err := hook.ParseSecret(secretText)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := webhooks.NewWebhook(secretText) // as an independent sender would
	if err != nil {
		t.Fatal(err)
	}
	const body = `{"version":1}`
	for name, test := range map[string]struct {
		age    time.Duration
		body   string
		id     string
		secret hook.Secret
		ok     bool
	}{
		"good":           {0, body, "a", secret, true},
		"another body":   {0, body + " ", "a", secret, false},
		"another id":     {0, body, "b", secret, false},
		"played again":   {6 * time.Minute, body, "a", secret, false},
		"of the future":  {-6 * time.Minute, body, "a", secret, false},
		"another secret": {0, body, "a", mustSecret(t, strings.Replace(secretText, "C", "D", 1)), false},
		"no secret":      {0, body, "a", hook.Secret{}, false},
	} {
		t.Run(name, func(t *testing.T) {
			at := time.Now().Add(-test.age)
			signature, err := signer.Sign("a", at, []byte(body))
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest("POST", "/", nil)
			r.Header.Set("Webhook-Id", test.id)
			r.Header.Set("Webhook-Timestamp", strconv.FormatInt(at.Unix(), 10))
			r.Header.Set("Webhook-Signature", signature)
			err = hook.Verify(r, []byte(test.body), test.secret)
			if test.ok && err != nil || !test.ok && !errors.Is(err, hook.ErrSignature) {
				t.Errorf("error is %v", err)
			}
		})
	}
}

func mustSecret(t *testing.T, text string) hook.Secret {
	t.Helper()
	secret, err := hook.ParseSecret(text)
	if err != nil {
		t.Fatal(err)
	}
	return secret
}

func TestParseSecret(t *testing.T) {
	for text, ok := range map[string]bool{
		secretText:                               true,
		" " + secretText + "\n":                  true,
		strings.TrimPrefix(secretText, "whsec_"): false,
		"whsec_c2hvcnQ=":                         false,
		"whsec_?":                                false,
		"whsec_" + strings.Repeat("AAAA", 22):    false,
		"":                                       false,
	} {
		_, err := hook.ParseSecret(text)
		if (err == nil) != ok {
			t.Errorf("%q: %v", text, err)
		}
		if err != nil && text != "" && strings.Contains(err.Error(), text) {
			t.Errorf("the error shows the secret: %v", err)
		}
	}
}
