package uploadid_test

import (
	"strings"
	"testing"

	"github.com/streamflow/streamflow/internal/uploadid"
)

func TestNew(t *testing.T) {
	if a, b := uploadid.New(), uploadid.New(); a == b || !uploadid.Valid(a) || !uploadid.Valid(b) {
		t.Errorf("%q and %q", a, b)
	}
}

func TestValid(t *testing.T) {
	const id = "0123456789abcdef0123456789abcdef"
	for name, c := range map[string]struct {
		id   string
		want bool
	}{
		"one": {id, true}, "none": {"", false}, "short": {id[1:], false}, "long": {id + "0", false},
		"upper case": {strings.ToUpper(id), false}, "a path": {"../" + id[3:], false}, "a NUL": {id[1:] + "\x00", false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := uploadid.Valid(c.id); got != c.want {
				t.Errorf("Valid is %v", got)
			}
		})
	}
}
