package encryption

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"strings"

	"filippo.io/age"
	"filippo.io/age/agessh"
	"filippo.io/age/tag"
)

// What a file of recipients may have, as the age program has it.
const (
	maxLineBytes = 8 << 10
	maxFileBytes = 16 << 20
)

var (
	errIdentity = errors.New("this is a private key: it decrypts, and isn't needed here; give the public one, age1…")
	errPlugin   = errors.New("this recipient needs a plugin of age, and plugins aren't run")
	errUnknown  = errors.New("this is no recipient: want age1… of age-keygen, or a public key of SSH, ssh-ed25519 or ssh-rsa")
)

// ParseRecipient reads one recipient as the age program takes it: age1…, the
// post-quantum age1pq1… and the hardware's age1tag1… among them, or a public key
// of SSH as it stands in authorized_keys. An error never shows a private key.
func ParseRecipient(text string) (age.Recipient, error) {
	switch {
	case strings.HasPrefix(strings.ToUpper(text), "AGE-SECRET-KEY-"), strings.HasPrefix(strings.ToUpper(text), "AGE-PLUGIN-"), strings.Contains(text, "PRIVATE KEY"):
		return nil, errIdentity
	case strings.HasPrefix(text, "age1tag1"), strings.HasPrefix(text, "age1tagpq1"):
		return tag.ParseRecipient(text)
	case strings.HasPrefix(text, "age1pq1"):
		return age.ParseHybridRecipient(text)
	case strings.HasPrefix(text, "age1") && strings.Count(text, "1") > 1:
		return nil, errPlugin
	case strings.HasPrefix(text, "age1"):
		return age.ParseX25519Recipient(text)
	case strings.HasPrefix(text, "ssh-"):
		return agessh.ParseRecipient(text)
	default:
		return nil, errUnknown
	}
}

// ParseRecipients reads recipients, one a line. Empty lines and those that begin
// with # don't count. An error names the line.
func ParseRecipients(r io.Reader) ([]age.Recipient, error) {
	var all []age.Recipient
	lines := bufio.NewScanner(io.LimitReader(r, maxFileBytes))
	lines.Buffer(nil, maxLineBytes)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		recipient, err := ParseRecipient(line)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		all = append(all, recipient)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("read recipients: %w", err)
	}
	if len(all) == 0 {
		return nil, errors.New("there is no recipient in it")
	}
	return all, nil
}
