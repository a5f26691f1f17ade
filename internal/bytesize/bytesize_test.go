package bytesize_test

import (
	"errors"
	"fmt"
	"math"
	"testing"

	"github.com/streamflow/streamflow/internal/bytesize"
)

func TestParse(t *testing.T) {
	for s, want := range map[string]int64{
		"0":                          0,
		"1":                          1,
		"1000b":                      1000,
		"64MiB":                      64 << 20,
		"64Mi":                       64 << 20,
		"64M":                        64 << 20,
		"64m":                        64 << 20,
		"64mib":                      64 << 20,
		"64MB":                       64e6,
		"64mb":                       64e6,
		" 64 MiB ":                   64 << 20,
		"1.5GiB":                     3 << 29,
		"1.5":                        -1,
		".5K":                        512,
		"1.K":                        1024,
		"1.0":                        1,
		"0.3K":                       307,
		"1E":                         1 << 60,
		"7EiB":                       7 << 60,
		"8EiB":                       -1,
		"9223372036854775807":        math.MaxInt64,
		"9223372036854775808":        -1,
		"99999999999999999999999999": -1,
		"":                           -1,
		" ":                          -1,
		"-1":                         -1,
		"-1MiB":                      -1,
		"+1":                         -1,
		".":                          -1,
		"1.2.3M":                     -1,
		"1e3":                        -1,
		"0x10":                       -1,
		"1_000":                      -1,
		"MiB":                        -1,
		"64 Mi B":                    -1,
		"64MiBs":                     -1,
		"64iB":                       -1,
		"NaN":                        -1,
		"inf":                        -1,
		"lots":                       -1,
		"64ＭiB":                      -1,
		"75%":                        -1,
		"1,5GiB":                     -1,
		"1KB":                        1000,
		"1PB":                        1e15,
		"1\x00MiB":                   -1,
	} {
		t.Run(s, func(t *testing.T) {
			got, err := bytesize.Parse(s)
			switch {
			case want < 0 && !errors.Is(err, bytesize.ErrInvalid):
				t.Errorf("Parse(%q) = %d, %v; want ErrInvalid", s, got, err)
			case want >= 0 && (err != nil || got != want):
				t.Errorf("Parse(%q) = %d, %v; want %d", s, got, err, want)
			}
		})
	}
}

func TestFormat(t *testing.T) {
	for n, want := range map[int64]string{
		0:              "0B",
		1:              "1B",
		1023:           "1023B",
		1024:           "1KiB",
		-2048:          "-2KiB",
		1536:           "1.5KiB",
		64 << 20:       "64MiB",
		64<<20 - 1:     "64MiB",
		1<<20 - 1:      "1MiB",
		100e6:          "95.4MiB",
		3 << 29:        "1.5GiB",
		math.MaxInt64:  "8EiB",
		math.MinInt64:  "-8EiB",
		1<<30 - 1<<10:  "1GiB",
		1<<30 - 99<<10: "1023.9MiB",
	} {
		if got := bytesize.Format(n); got != want {
			t.Errorf("Format(%d) = %s, want %s", n, got, want)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, s := range []string{"64MiB", "1.5GiB", "100MB", "-1", "8EiB", "1e3", ".K"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, err := bytesize.Parse(s)
		if err != nil {
			if n != 0 || !errors.Is(err, bytesize.ErrInvalid) {
				t.Fatalf("Parse(%q) = %d, %v", s, n, err)
			}
			return
		}
		if n < 0 {
			t.Fatalf("Parse(%q) = %d", s, n)
		}
		if again, err := bytesize.Parse(fmt.Sprint(n)); err != nil || again != n {
			t.Fatalf("Parse(%d) = %d, %v", n, again, err)
		}
	})
}

// FuzzFormat holds what Format writes within its one decimal of n.
func FuzzFormat(f *testing.F) {
	for _, n := range []int64{0, 1023, 1 << 20, 1<<20 - 1, math.MaxInt64} {
		f.Add(n)
	}
	f.Fuzz(func(t *testing.T, n int64) {
		n &= math.MaxInt64 >> 1 // Parse takes nothing negative, nor the 8EiB that MaxInt64 rounds to
		got, err := bytesize.Parse(bytesize.Format(n))
		if err != nil {
			t.Fatalf("Parse(Format(%d)): %v", n, err)
		}
		if diff := math.Abs(float64(got) - float64(n)); diff > 0.06*float64(n) {
			t.Fatalf("Format(%d) = %s, off by %.0f", n, bytesize.Format(n), diff)
		}
	})
}

func TestExact(t *testing.T) {
	for n, want := range map[int64]string{
		0:             "0B",
		1:             "1B",
		1000000:       "1000000B",
		2e6:           "2000000B",
		64 << 20:      "64MiB",
		3 << 29:       "1536MiB",
		1<<30 + 1<<10: "1048577KiB",
		1 << 62:       "4EiB",
		math.MaxInt64: "9223372036854775807B",
	} {
		got := bytesize.Exact(n)
		if again, err := bytesize.Parse(got); got != want || err != nil || again != n {
			t.Errorf("Exact(%d) = %s, want %s; that is %d, %v", n, got, want, again, err)
		}
	}
}

func Example() {
	n, _ := bytesize.Parse("1.5GiB")
	fmt.Println(n, bytesize.Format(n/24))
	// Output: 1610612736 64MiB
}
