package auth

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/streamflow/streamflow/protocol"
	"github.com/streamflow/streamflow/store"
)

// Options say how a server finds out who makes a request. The zero value is for
// programs that do it themselves: only an identity by [NewContext] counts.
type Options struct {
	// Tokens that requests may bear; default: none.
	Tokens *Tokens
	// Keys that sign grants, which requests have in their URL; default: none. The
	// store must take ids that are chosen.
	Keys *Keys
}

// Authenticate returns ctx, of r, with who makes it: whoever the program around the
// server knows, bears a token, or has a grant, in that order. It never fails: what
// is wrong with a token is said by [Allow], to whoever asks for more than
// everybody may do.
func (o *Options) Authenticate(ctx context.Context, r *http.Request) context.Context {
	c := callerFrom(ctx)
	switch value := r.URL.Query().Get(QueryGrant); {
	case c.id.Scopes != 0:
		return ctx
	case value != "" && o.Keys != nil && len(r.Header.Values("Authorization")) == 0:
		grant, err := parseGrant(value, o.Keys.file.Get())
		if err != nil {
			c.err = unauthorized(err.Error(), true)
			break
		}
		c.grant, c.id.Owner = grant, grant.Owner
	default:
		var token Token
		token, c.err = o.token(r.Header)
		c.id.Owner, c.id.Scopes = token.Owner, token.Scopes
	}
	return context.WithValue(ctx, callerKey{}, c)
}

// token returns the one that a request bears, or why there is none.
func (o *Options) token(header http.Header) (Token, error) {
	secret, err := bearer(header)
	if err != nil {
		return Token{}, err
	}
	if o.Tokens == nil {
		return Token{}, unauthorized(errUnknownToken.Error(), true)
	}
	token, err := o.Tokens.find(secret)
	if err != nil {
		return Token{}, unauthorized(err.Error(), true)
	}
	return token, nil
}

// bearer returns the token in the one Authorization field of a request
// (RFC 6750, section 2.1).
func bearer(header http.Header) (string, error) {
	fields := header.Values("Authorization")
	if len(fields) == 0 {
		return "", unauthorized("send a token, as Authorization: Bearer TOKEN", false)
	}
	scheme, secret, _ := strings.Cut(fields[0], " ")
	if len(fields) > 1 || !strings.EqualFold(scheme, "Bearer") {
		return "", unauthorized("the Authorization field is not one Bearer token", true)
	}
	return strings.TrimSpace(secret), nil
}

// unauthorized refuses a request that has no valid token. Why is no secret: who
// has no token learns nothing of those there are.
func unauthorized(why string, sent bool) error {
	challenge := `Bearer realm="uploads"`
	if sent {
		challenge += `, error="invalid_token"`
	}
	return &protocol.Refusal{
		Status: http.StatusUnauthorized,
		Code:   protocol.CodeToken,
		Detail: why,
		Header: http.Header{"Www-Authenticate": {challenge}},
		Err:    store.ErrDenied,
	}
}

// insufficient refuses what the token of a request has no scope for.
func insufficient(want Scopes) error {
	return &protocol.Refusal{
		Status: http.StatusForbidden,
		Code:   protocol.CodeDenied,
		Detail: fmt.Sprintf("this needs a token with the scope %s", want),
		Header: http.Header{"Www-Authenticate": {fmt.Sprintf(`Bearer realm="uploads", error="insufficient_scope", scope="%s"`, want)}},
		Err:    store.ErrDenied,
	}
}

// Allow returns nil if whoever makes the request has one of the scopes, else a
// *[protocol.Refusal] that says what is missing.
func Allow(ctx context.Context, oneOf ...Scopes) error {
	c := callerFrom(ctx)
	for _, scope := range oneOf {
		if c.id.Scopes.Has(scope) {
			return nil
		}
	}
	switch {
	case c.err != nil:
		return c.err
	case c.grant != nil:
		return insufficient(oneOf[0])
	case c.id.Scopes == 0:
		return unauthorized("this needs an authenticated request", false)
	default:
		return insufficient(oneOf[0])
	}
}
