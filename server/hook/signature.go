package hook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	webhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// ErrSignature says that a message has no good signature: it isn't from who has
// the secret, was changed on its way, or is older than five minutes.
var ErrSignature = errors.New("the message has no valid signature")

// A Secret signs messages to endpoints: HMAC-SHA256 by Standard Webhooks 1.0
// (https://www.standardwebhooks.com), for which most languages have a library.
// The zero Secret signs nothing.
type Secret struct{ key []byte }

// Lengths of a key that Standard Webhooks asks for.
const minKeyBytes, maxKeyBytes = 24, 64

const secretPrefix = "whsec_"

// ParseSecret reads a secret in its usual form: "whsec_" and 24 to 64 random
// bytes in base64. White space around it is left out.
func ParseSecret(text string) (Secret, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), secretPrefix)
	key, err := base64.StdEncoding.DecodeString(encoded)
	if !ok || err != nil || len(key) < minKeyBytes || len(key) > maxKeyBytes {
		return Secret{}, fmt.Errorf("a secret is %s and %d to %d random bytes in base64, as from: echo %s$(head -c 32 /dev/urandom | base64)",
			secretPrefix, minKeyBytes, maxKeyBytes, secretPrefix)
	}
	return Secret{key}, nil
}

// sign adds the headers of a message's signature.
func (s Secret) sign(header http.Header, id string, body []byte, now time.Time) error {
	header.Set(webhooks.HeaderWebhookID, id)
	header.Set(webhooks.HeaderWebhookTimestamp, strconv.FormatInt(now.Unix(), 10))
	if s.key == nil {
		return nil
	}
	signer, err := webhooks.NewWebhookRaw(s.key)
	if err != nil {
		return err
	}
	signature, err := signer.Sign(id, now, body)
	if err != nil {
		return err
	}
	header.Set(webhooks.HeaderWebhookSignature, signature)
	return nil
}

// Verify checks the signature of a message that an endpoint has got: r is its
// request and body all of the request's body. Anything wrong is [ErrSignature].
// A message that was recorded and is sent again within five minutes passes: tell
// it by its id.
func Verify(r *http.Request, body []byte, secret Secret) error {
	if secret.key == nil {
		return fmt.Errorf("%w: there is no secret to check it with", ErrSignature)
	}
	verifier, err := webhooks.NewWebhookRaw(secret.key)
	if err == nil {
		err = verifier.Verify(body, r.Header)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrSignature, err)
	}
	return nil
}
