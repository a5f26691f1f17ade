package bucket

import (
	"context"
	"os"

	"github.com/minio/minio-go/v7/pkg/credentials"
)

// newCredentials returns the fixed ones, or the chain that AWS tools go through.
// The chain asks the machine it runs on only where there may be an answer:
// elsewhere that would wait for a timeout.
func newCredentials(fixed Credentials, amazon bool) *credentials.Credentials {
	if fixed != (Credentials{}) {
		return credentials.NewStaticV4(fixed.AccessKey, fixed.SecretKey, fixed.SessionToken)
	}
	chain := []credentials.Provider{&credentials.EnvAWS{}, &credentials.FileAWSCredentials{}}
	if amazon || anySet("AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI") {
		chain = append(chain, &credentials.IAM{})
	}
	return credentials.New(unobserved{&credentials.Chain{Providers: chain}})
}

// What is unobserved is no part of the exchange that needs the credentials.
type unobserved struct{ credentials.Provider }

func (u unobserved) RetrieveWithCredContext(cc *credentials.CredContext) (credentials.Value, error) {
	own := *cc
	if own.Context != nil {
		own.Context = context.WithValue(own.Context, exchangeKey{}, nil)
	}
	return u.Provider.RetrieveWithCredContext(&own)
}

func anySet(names ...string) bool {
	for _, name := range names {
		if os.Getenv(name) != "" {
			return true
		}
	}
	return false
}

// renew forgets credentials that the service calls expired, those with that token of a
// session, and reports whether there are others now. Of several requests that are told
// so at once, one has renewed them for all.
func (b *Bucket) renew(token string) bool {
	now, err := b.creds.GetWithContext(b.core.CredContext())
	if err == nil && now.SessionToken == token {
		b.creds.Expire()
		now, err = b.creds.GetWithContext(b.core.CredContext())
	}
	return err == nil && now.SessionToken != token
}

// anonymous: no credentials were found anywhere.
func (b *Bucket) anonymous() bool {
	value, err := b.creds.GetWithContext(b.core.CredContext())
	return err == nil && value.SignerType == credentials.SignatureAnonymous
}
