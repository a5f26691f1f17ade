package encryption_test

import (
	"bytes"
	"fmt"
	"io"
	"log"
	"strings"

	"filippo.io/age"

	"github.com/streamflow/streamflow/encryption"
)

func Example() {
	identity, err := age.GenerateX25519Identity() // as age-keygen does
	if err != nil {
		log.Fatal(err)
	}
	recipients, err := encryption.ParseRecipients(strings.NewReader(identity.Recipient().String()))
	if err != nil {
		log.Fatal(err)
	}
	sealed, err := encryption.New(recipients...) // for streamflow.Options.Encoders
	if err != nil {
		log.Fatal(err)
	}

	secret, err := sealed.Encode(strings.NewReader("hello"))
	if err != nil {
		log.Fatal(err)
	}
	stored, err := io.ReadAll(secret)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(int64(len(stored)) == sealed.EncodedBytes(5), bytes.Contains(stored, []byte("hello")))

	opened, err := age.Decrypt(bytes.NewReader(stored), identity)
	if err != nil {
		log.Fatal(err)
	}
	text, err := io.ReadAll(opened)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(string(text))
	// Output:
	// true false
	// hello
}
