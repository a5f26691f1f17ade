package auth

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

// QueryGrant is the parameter of a URL that has a signed [Grant].
const QueryGrant = "grant"

const (
	maxGrantBytes = 2 << 10
	minNonceBytes = 16
	maxNonceBytes = 128
)

// A Grant is the right to make one upload, which an application gives to a browser
// by a signed URL. Whoever has the URL can begin that upload, go on with it, and
// discard it until it is finished; nothing else, and not read it.
//
// The grant and its upload are one: the id of the upload follows from the grant, so
// beginning it again finds the same one, whenever and on whichever server.
//
// In a URL it is BASE64URL(json) "." BASE64URL(HMAC-SHA256(key, BASE64URL(json))),
// without padding, so any language can sign one.
type Grant struct {
	// Owner is whom the upload belongs to: no spaces, at most 128 bytes. Required.
	Owner string `json:"owner"`
	// Expires is when the upload must have begun, in seconds since 1970. It may go on
	// afterwards. Required.
	Expires int64 `json:"expires"`
	// Nonce tells grants apart: 16 to 128 bytes that nobody guesses. Sign makes one.
	Nonce string `json:"nonce"`
	// MaxBytes bounds the length of the upload, which then must be declared when
	// it begins; 0 leaves that to the server.
	MaxBytes int64 `json:"max_bytes,omitempty"`
	// Type is the one media type that the upload may declare, as image/png, or
	// image/* for all of a kind; empty is any.
	Type string `json:"type,omitempty"`

	id string // of the upload
}

// Sign returns the value of the parameter [QueryGrant], and the id that the upload
// will have.
func (g Grant) Sign(key []byte) (value, id string, err error) {
	if g.Nonce == "" {
		g.Nonce = rand.Text()
	}
	if err := g.check(); err != nil {
		return "", "", fmt.Errorf("sign grant: %w", err)
	}
	if len(key) < minKeyBytes {
		return "", "", fmt.Errorf("sign grant: the key has %d bytes: want %d or more", len(key), minKeyBytes)
	}
	text, err := json.Marshal(g)
	if err != nil {
		panic(err) // strings and numbers: can't be
	}
	payload := base64.RawURLEncoding.EncodeToString(text)
	value = payload + "." + base64.RawURLEncoding.EncodeToString(mac(key, payload))
	if len(value) > maxGrantBytes {
		return "", "", fmt.Errorf("sign grant: it is longer than %d bytes", maxGrantBytes)
	}
	return value, uploadOf(payload), nil
}

// URL returns the URL of the collection of uploads at which the grant is good.
func (g Grant) URL(collection *url.URL, key []byte) (signed *url.URL, id string, err error) {
	value, id, err := g.Sign(key)
	if err != nil {
		return nil, "", err
	}
	u := *collection
	query := u.Query()
	query.Set(QueryGrant, value)
	u.RawQuery = query.Encode()
	return &u, id, nil
}

func mac(key []byte, payload string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(payload))
	return h.Sum(nil)
}

// uploadOf is the id of the upload of a grant: the first 128 bits of the SHA-256
// of its first part.
func uploadOf(payload string) string {
	sum := sha256.Sum256([]byte(payload))
	return hex.EncodeToString(sum[:16])
}

var errGrant = errors.New("the URL is not signed by this server's keys")

// parseGrant reads a value that one of the keys has signed.
func parseGrant(value string, keys [][]byte) (*Grant, error) {
	payload, signature, _ := strings.Cut(value, ".")
	sum, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || len(value) > maxGrantBytes {
		return nil, errGrant
	}
	signed := false
	for _, key := range keys {
		if hmac.Equal(sum, mac(key, payload)) {
			signed = true
		}
	}
	if !signed {
		return nil, errGrant
	}
	// From here on it is what an application wrote, which hears of its mistakes.
	text, err := base64.RawURLEncoding.Strict().DecodeString(payload)
	if err != nil {
		return nil, errors.New("the grant is not BASE64URL without padding")
	}
	g := &Grant{id: uploadOf(payload)}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields() // a restriction that isn't understood would be none
	if err := d.Decode(g); err != nil {
		return nil, fmt.Errorf("the grant is not as documented: %w", err)
	}
	if _, err := d.Token(); err != io.EOF {
		return nil, errors.New("the grant has something behind its JSON")
	}
	return g, g.check()
}

func (g *Grant) check() error {
	kind, of, _ := strings.Cut(g.Type, "/")
	switch {
	case !validOwner(g.Owner):
		return fmt.Errorf("%.40q can't be the owner of a grant", g.Owner)
	case g.Expires <= 0:
		return errors.New("a grant needs the time when it expires")
	case len(g.Nonce) < minNonceBytes || len(g.Nonce) > maxNonceBytes:
		return fmt.Errorf("the nonce of a grant has %d to %d bytes", minNonceBytes, maxNonceBytes)
	case g.MaxBytes < 0:
		return errors.New("max_bytes of a grant is negative")
	case g.Type != "" && (kind == "" || of == "" || kind == "*"):
		return fmt.Errorf("the type of a grant is a media type or KIND/*, not %.40q", g.Type)
	}
	return nil
}

// admit says whether the grant is for that upload.
func (g *Grant) admit(spec store.Spec, now time.Time) error {
	switch {
	case now.Unix() >= g.Expires:
		return unauthorized("the URL has expired", true)
	case g.MaxBytes > 0 && spec.Length == store.UnknownLength:
		return fmt.Errorf("%w: this URL is for an upload whose length is declared when it begins", store.ErrInvalid)
	case g.MaxBytes > 0 && spec.Length > g.MaxBytes:
		return protocol.TooLarge(g.MaxBytes, "the upload is larger than this URL is for")
	case g.Type != "" && !g.matches(spec.Metadata[store.MetadataFiletype]):
		return &protocol.Refusal{
			Status: http.StatusUnsupportedMediaType,
			Code:   protocol.CodeFile,
			Detail: "this URL is for an upload of the type " + g.Type,
		}
	}
	return nil
}

func (g *Grant) matches(declared string) bool {
	t, _, err := mime.ParseMediaType(declared)
	if err != nil {
		return false
	}
	if kind, all := strings.CutSuffix(g.Type, "*"); all {
		return strings.HasPrefix(t, strings.ToLower(kind))
	}
	return t == strings.ToLower(g.Type)
}
