package rufh

import (
	"net/http"
	"testing"
)

func TestField(t *testing.T) {
	for value, want := range map[string]struct {
		n     int64
		isInt bool
		b     bool
		is    bool
	}{
		"0":                {0, true, false, false},
		"12":               {12, true, false, false},
		"12;unit=bytes":    {12, true, false, false},
		"999999999999999":  {999999999999999, true, false, false},
		"1000000000000000": {}, // sixteen digits
		"-1":               {},
		"+1":               {},
		"1.0":              {},
		"\"1\"":            {},
		"one":              {},
		"1, 2":             {},
		"?1":               {0, false, true, true},
		"?0":               {0, false, false, true},
		"?2":               {},
		"true":             {},
		"":                 {},
		":AAAA:":           {},
		"?1, ?1":           {},
	} {
		header := http.Header{HeaderOffset: {value}}
		n, isInt := integer(header, HeaderOffset)
		if isInt != want.isInt || isInt && n != want.n {
			t.Errorf("%q is the number %d, %t", value, n, isInt)
		}
		if b, is := boolean(header, HeaderOffset); is != want.is || b != want.b {
			t.Errorf("%q is %t, %t", value, b, is)
		}
	}
	if _, ok := integer(http.Header{HeaderOffset: {"1", "1"}}, HeaderOffset); ok {
		t.Error("two numbers are one")
	}
}

// FuzzField: whatever comes, what is read is written the same way.
func FuzzField(f *testing.F) {
	for _, seed := range []string{"12", "?1", "a;b=1", ":AAAA:", "1.5", "@1", "%\"x\""} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		header := http.Header{HeaderOffset: {value}}
		if n, ok := integer(header, HeaderOffset); ok {
			again, ok := integer(http.Header{HeaderOffset: {format(n)}}, HeaderOffset)
			if !ok || again != n || n < 0 {
				t.Fatalf("%q is %d, and then %d", value, n, again)
			}
		}
		if b, ok := boolean(header, HeaderOffset); ok {
			if again, ok := boolean(http.Header{HeaderOffset: {formatBoolean(b)}}, HeaderOffset); !ok || again != b {
				t.Fatalf("%q is %t", value, b)
			}
		}
		if v := interop(http.Header{HeaderInterop: {value}}); v != 0 && v != version6 && v != version8 {
			t.Fatalf("%q is version %d", value, v)
		}
	})
}
