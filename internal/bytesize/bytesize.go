// Package bytesize reads and writes sizes as people do: 64MiB, 1.5GiB, 100MB.
//
// Use it for flags, variables and texts. Everything else counts in plain
// bytes. Its functions keep no state and may be called from anywhere.
package bytesize

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// ErrInvalid is in every error of Parse.
var ErrInvalid = errors.New("a size is a number and a unit, as in 64MiB, 1.5GiB or 100MB")

// The binary units.
const (
	KiB = 1 << 10
	MiB = 1 << 20
	GiB = 1 << 30
)

// prefixes are the letters that multiply, each by 1024 or 1000 more than the
// one before.
const prefixes = "KMGTPE"

// Parse returns the bytes that s stands for. A bare number is bytes. K, Ki and
// KiB are 1024, KB is 1000, and so on up to E. Case doesn't matter, nor does
// space before the unit. The number may have a fraction, which is rounded to
// whole bytes.
//
// Errors: ErrInvalid, also for what is negative or above math.MaxInt64.
func Parse(s string) (int64, error) {
	number, unit := split(strings.TrimSpace(s))
	scale, ok := scaleOf(unit)
	if number == "" || !ok {
		return 0, invalid(s, "")
	}
	if whole, err := strconv.ParseInt(number, 10, 64); err == nil {
		if whole > math.MaxInt64/scale {
			return 0, invalid(s, " is too large")
		}
		return whole * scale, nil
	}
	f, err := strconv.ParseFloat(number, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) {
		return 0, invalid(s, "")
	}
	if scale == 1 && f != math.Trunc(f) {
		return 0, invalid(s, " has a fraction of a byte")
	}
	f = math.Round(f * float64(scale))
	if f >= math.MaxInt64 {
		return 0, invalid(s, " is too large")
	}
	return int64(f), nil
}

func invalid(s, why string) error {
	return fmt.Errorf("%q%s: %w", s, why, ErrInvalid)
}

// split parts s after its leading digits and points. A sign, an exponent or a
// hexadecimal digit is no part of a number.
func split(s string) (number, unit string) {
	end := strings.IndexFunc(s, func(r rune) bool { return r != '.' && (r < '0' || r > '9') })
	if end < 0 {
		end = len(s)
	}
	return s[:end], strings.TrimLeft(s[end:], " ")
}

func scaleOf(unit string) (scale int64, ok bool) {
	if unit == "" || strings.EqualFold(unit, "b") {
		return 1, true
	}
	unit = strings.ToUpper(unit)
	power := strings.IndexByte(prefixes, unit[0]) + 1
	base := int64(1024)
	switch unit[1:] {
	case "", "I", "IB":
	case "B":
		base = 1000
	default:
		return 0, false
	}
	scale = 1
	for range power {
		scale *= base
	}
	return scale, power > 0
}

// Format writes n in the largest binary unit that fits, with at most one
// decimal: 512B, 64MiB, 1.5GiB. It is for reading: what it drops, Parse can't
// bring back, unlike with [Exact].
func Format(n int64) string {
	if n > -KiB && n < KiB {
		return strconv.FormatInt(n, 10) + "B"
	}
	f, prefix := float64(n)/KiB, 0
	// What would be written as 1024 belongs to the next unit.
	for math.Abs(f) >= KiB-0.05 && prefix < len(prefixes)-1 {
		f /= KiB
		prefix++
	}
	digits := strings.TrimSuffix(strconv.FormatFloat(f, 'f', 1, 64), ".0")
	return digits + prefixes[prefix:prefix+1] + "iB"
}

// Exact writes n in the largest binary unit that divides it: 64MiB, 1536MiB,
// 1000000B. Parse makes the same n of it, unless n is negative.
func Exact(n int64) string {
	unit := ""
	for _, prefix := range prefixes {
		if n == 0 || n%KiB != 0 {
			break
		}
		n, unit = n/KiB, string(prefix)+"i"
	}
	return strconv.FormatInt(n, 10) + unit + "B"
}
