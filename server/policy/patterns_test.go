package policy_test

import (
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/streamflow/streamflow/server/policy"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestParseType(t *testing.T) {
	for _, test := range []struct {
		pattern string
		fits    []string
		others  []string
	}{
		{"image/*", []string{"image/png", "image/svg+xml"}, []string{"imagex/png", "text/image"}},
		{"Application/PDF", []string{"application/pdf"}, []string{"application/pdfx", "application/x-pdf"}},
	} {
		p, err := policy.ParseType(test.pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range test.fits {
			if !p.Matches(s) {
				t.Errorf("%s isn't %s", s, p)
			}
		}
		for _, s := range test.others {
			if p.Matches(s) {
				t.Errorf("%s is %s", s, p)
			}
		}
	}
	for _, s := range []string{"", "image", "image/", "/png", "*/*", "*", "image/p*", "image/png/x", "image/png;a=b", "image /png", "image/png,a/b", ".png"} {
		if p, err := policy.ParseType(s); err == nil {
			t.Errorf("%q is %s", s, p)
		}
	}
}

func TestParseExtension(t *testing.T) {
	for _, test := range []struct {
		extension string
		fits      []string
		others    []string
	}{
		{".JPG", []string{"a.jpg", "A.JpG", "a.b.jpg", ".jpg"}, []string{"ajpg", "a.jpg.exe", "a.jpg ", "a.jpg.", "jpg", "", "a\x00.jpg", "a.html\n.jpg", "\xff.jpg"}},
		{".tar.gz", []string{"a.tar.gz"}, []string{"a.gz", "atar.gz"}},
		{".ä", []string{"a.Ä"}, []string{"a.a"}},
	} {
		e, err := policy.ParseExtension(test.extension)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range test.fits {
			if !e.Matches(s) {
				t.Errorf("%q doesn't end in %s", s, e)
			}
		}
		for _, s := range test.others {
			if e.Matches(s) {
				t.Errorf("%q ends in %s", s, e)
			}
		}
	}
	for _, s := range []string{"", ".", "jpg", "*.jpg", ".j*", ".jpg.", ".a/b", ". jpg", ".a\x00", "image/png"} {
		if e, err := policy.ParseExtension(s); err == nil {
			t.Errorf("%q is %s", s, e)
		}
	}
}

func FuzzParseType(f *testing.F) {
	f.Add("image/*", "image/png")
	f.Fuzz(func(t *testing.T, pattern, mediaType string) {
		p, err := policy.ParseType(pattern)
		if err != nil {
			return
		}
		again, err := policy.ParseType(string(p))
		if err != nil || again != p {
			t.Errorf("%q is written as %q: %v", pattern, p, err)
		}
		if top, _, _ := strings.Cut(string(p), "/"); p.Matches(mediaType) && !strings.HasPrefix(mediaType, top+"/") {
			t.Errorf("%q is %s", mediaType, p)
		}
	})
}

func FuzzParseExtension(f *testing.F) {
	f.Add(".tar.gz", "a")
	f.Fuzz(func(t *testing.T, extension, name string) {
		e, err := policy.ParseExtension(extension)
		if err != nil {
			return
		}
		if again, err := policy.ParseExtension(string(e)); err != nil || again != e {
			t.Errorf("%q is kept as %q: %v", extension, e, err)
		}
		if e.Matches(name) && !strings.Contains(name, ".") {
			t.Errorf("%q ends in %s", name, e)
		}
	})
}
