package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"filippo.io/age"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/compression"
	"github.com/streamflow/streamflow/encryption"
	"github.com/streamflow/streamflow/store"
)

// encodeFlags say what becomes of bytes on their way.
type encodeFlags struct {
	compress  choice
	encryptTo []string
}

func (f *encodeFlags) add(flags *pflag.FlagSet) {
	f.compress = choice{of: []string{"none", "gzip", "zstd"}, chosen: "none"}
	flags.VarPF(&f.compress, "compress", "", "compress what shrinks by it; a tus server takes gzip and puts the bytes back").NoOptDefVal = "gzip"
	flags.StringArrayVar(&f.encryptTo, "encrypt-to", nil, "encrypt to `RECIPIENT|FILE`, a public key of age or SSH or a file of them; may be repeated")
}

// An encoding is what the flags ask for at one destination.
type encoding struct {
	encoders []streamflow.Encoder
	// onTheWay is undone by the destination.
	onTheWay store.Compression
	// extension is what every name gets.
	extension string
	// openEnded: how many bytes there will be isn't known before.
	openEnded bool
}

func (f *encodeFlags) encoding(cmd *cobra.Command, dst destination) (encoding, error) {
	var e encoding
	sealed, err := f.encryption()
	if err != nil {
		return e, usagef(cmd, "--encrypt-to: %w", err)
	}
	if f.compress.chosen != "none" {
		switch undone := dst.url != "" && sealed == nil; {
		case undone && f.compress.chosen == "gzip":
			e.onTheWay = store.Gzip
		case undone:
			return e, usagef(cmd, "--compress %s: a tus server takes gzip", f.compress.chosen)
		default:
			e.encoders, e.openEnded = append(e.encoders, codingOf(f.compress.chosen)), true
		}
	}
	if sealed != nil {
		e.encoders, e.extension = append(e.encoders, sealed), sealed.Extension()
	}
	return e, nil
}

func codingOf(name string) *compression.Coding {
	if name == "zstd" {
		return compression.Zstd()
	}
	return compression.Gzip()
}

// encryption returns nil where nothing is to be encrypted.
func (f *encodeFlags) encryption() (*encryption.Encryption, error) {
	var all []age.Recipient
	for _, text := range f.encryptTo {
		recipients, err := readRecipients(text)
		if err != nil {
			return nil, err
		}
		all = append(all, recipients...)
	}
	if len(all) == 0 {
		return nil, nil
	}
	return encryption.New(all...)
}

// readRecipients takes text for a recipient, or else for a file of them. It never
// shows what may be a private key.
func readRecipients(text string) ([]age.Recipient, error) {
	if isKey(text) {
		recipient, err := encryption.ParseRecipient(text)
		return []age.Recipient{recipient}, err
	}
	file, err := os.Open(text)
	if err != nil {
		return nil, fmt.Errorf("%q is neither a recipient, age1… or ssh-…, nor a file: %w", text, errors.Unwrap(err))
	}
	defer file.Close()
	recipients, err := encryption.ParseRecipients(file)
	if err != nil {
		return nil, fmt.Errorf("file %s: %w", text, err)
	}
	return recipients, nil
}

func isKey(text string) bool {
	lower := strings.ToLower(text)
	for _, prefix := range []string{"age1", "ssh-", "age-"} {
		if strings.HasPrefix(lower, prefix) {
			return true
		}
	}
	return false
}
