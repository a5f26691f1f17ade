package encryption_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"filippo.io/age"

	"github.com/streamflow/streamflow/encryption"
)

func identity(t *testing.T) *age.X25519Identity {
	t.Helper()
	id, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func sealed(t *testing.T, recipients ...age.Recipient) *encryption.Encryption {
	t.Helper()
	e, err := encryption.New(recipients...)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

func TestEachRecipientDecrypts(t *testing.T) {
	one, two := identity(t), identity(t)
	e := sealed(t, one.Recipient(), two.Recipient())
	for _, size := range []int{0, 1, 64<<10 - 1, 64 << 10, 64<<10 + 1, 1 << 20} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			plain := bytes.Repeat([]byte{'x'}, size)
			r, err := e.Encode(bytes.NewReader(plain))
			if err != nil {
				t.Fatal(err)
			}
			secret, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if got := e.EncodedBytes(int64(size)); got != int64(len(secret)) {
				t.Errorf("EncodedBytes is %d, %d came", got, len(secret))
			}
			for _, id := range []age.Identity{one, two} {
				back, err := age.Decrypt(bytes.NewReader(secret), id)
				if err != nil {
					t.Fatal(err)
				}
				if got, err := io.ReadAll(back); err != nil || !bytes.Equal(got, plain) {
					t.Errorf("%d bytes came back: %v", len(got), err)
				}
			}
			if _, err := age.Decrypt(bytes.NewReader(secret), identity(t)); err == nil {
				t.Error("somebody else decrypts")
			}
		})
	}
}

func TestSourceErrorComesBack(t *testing.T) {
	want := errors.New("the disk is gone")
	r, err := sealed(t, identity(t).Recipient()).Encode(io.MultiReader(strings.NewReader("text"), iotest.ErrReader(want)))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(r); !errors.Is(err, want) {
		t.Errorf("error is %v", err)
	}
}

type onlyReader struct{ io.Reader }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestParseRecipients(t *testing.T) {
	const ssh = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEC5c2fv0kl2RJGoMRUuYo8BNpvDL7b0T1Ve3W5PZ8Kj user@host"
	key := identity(t)
	for name, c := range map[string]struct{ text, wrong string }{
		"one":                {text: key.Recipient().String()},
		"several":            {text: "# team\n\n" + key.Recipient().String() + "\r\n" + ssh + "\n"},
		"none":               {"# nobody\n", "no recipient"},
		"a private key":      {"# mine\n" + key.String(), "line 2: this is a private key"},
		"of SSH":             {"-----BEGIN OPENSSH PRIVATE KEY-----", "this is a private key"},
		"a plugin's":         {"age1yubikey1qwerty", "plugin"},
		"a typo":             {key.Recipient().String()[:60], "line 1: "},
		"something else":     {"hello", "this is no recipient"},
		"a line too long":    {strings.Repeat("x", 16<<10), "read recipients"},
		"no key of SSH":      {"ssh-ed25519 AAAA", "line 1: "},
		"one of SSH we lack": {"ssh-dss AAAAB3NzaC1kc3MAAACBAP", "line 1: "},
	} {
		t.Run(name, func(t *testing.T) {
			all, err := encryption.ParseRecipients(strings.NewReader(c.text))
			switch {
			case c.wrong == "" && (err != nil || len(all) == 0):
				t.Errorf("%d recipients: %v", len(all), err)
			case c.wrong != "" && (err == nil || !strings.Contains(err.Error(), c.wrong)):
				t.Errorf("error is %v, want %q", err, c.wrong)
			case err != nil && strings.Contains(err.Error(), key.String()):
				t.Error("the error shows a private key")
			}
		})
	}
}

func TestNewWithoutRecipients(t *testing.T) {
	if _, err := encryption.New(); err == nil {
		t.Error("nobody could decrypt that")
	}
}
