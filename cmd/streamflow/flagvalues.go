package main

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"

	"github.com/streamflow/streamflow/internal/bytesize"
)

// flagError says shortly what pflag says of a flag with a wrong value.
func flagError(err error) error {
	var invalid *pflag.InvalidValueError
	if errors.As(err, &invalid) {
		return fmt.Errorf("--%s: %w", invalid.GetFlag().Name, valueError(invalid))
	}
	return err
}

// valueError says what a flag wants. Our own values say so themselves; those of
// pflag say which function of Go didn't take it.
func valueError(err *pflag.InvalidValueError) error {
	var want string
	switch err.GetFlag().Value.Type() {
	case "bool":
		want = "true or false"
	case "int":
		want = "a whole number"
	case "float64":
		want = "a number such as 0.7"
	case "duration":
		want = "a duration such as 30s, 5m or 24h"
	default:
		return err.Unwrap()
	}
	return fmt.Errorf("%q: want %s", err.GetValue(), want)
}

// choices is the value of a flag that takes some of a few words, parted by
// commas.
type choices struct {
	of     []string
	chosen []string
}

func (c *choices) Set(s string) error {
	words := strings.Split(s, ",")
	for _, word := range words {
		if !slices.Contains(c.of, word) {
			return fmt.Errorf("%q is none of %s", word, strings.Join(c.of, ", "))
		}
	}
	c.chosen = words
	return nil
}

func (c *choices) words() []string      { return c.of }
func (c *choices) has(word string) bool { return slices.Contains(c.chosen, word) }
func (c *choices) String() string       { return strings.Join(c.chosen, ",") }
func (c *choices) Type() string         { return strings.Join(c.of, ",") }

// A choice is the value of a flag that takes one of a few words.
type choice struct {
	of     []string
	chosen string
}

func (c *choice) Set(s string) error {
	if !slices.Contains(c.of, s) {
		return fmt.Errorf("%q is none of %s", s, strings.Join(c.of, ", "))
	}
	c.chosen = s
	return nil
}

func (c *choice) words() []string { return c.of }
func (c *choice) String() string  { return c.chosen }
func (c *choice) Type() string    { return strings.Join(c.of, "|") }

// A size is the value of a flag in bytes.
type size int64

func (n *size) Set(s string) error {
	bytes, err := bytesize.Parse(s)
	*n = size(bytes)
	return err
}

func (n *size) String() string {
	if *n == 0 {
		return "0" // so that help doesn't call it the default
	}
	return bytesize.Exact(int64(*n))
}

func (n *size) Type() string { return "size" }

// A count is the value of a flag for how many at once. 0 is auto.
type count int

func (c *count) Set(s string) error {
	if s == "auto" {
		*c = 0
		return nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 1 {
		return fmt.Errorf("%q: want 1 or more, or auto", s)
	}
	*c = count(n)
	return nil
}

func (c *count) String() string {
	if *c == 0 {
		return "auto"
	}
	return strconv.Itoa(int(*c))
}

func (c *count) Type() string { return "n|auto" }

// A byteRate is the value of a flag in bytes a second. 0 means no limit.
type byteRate int64

func (r *byteRate) Set(s string) error {
	bytes, err := bytesize.Parse(strings.TrimSuffix(s, "/s"))
	*r = byteRate(bytes)
	return err
}

func (r *byteRate) String() string {
	if *r == 0 {
		return "0"
	}
	return bytesize.Exact(int64(*r)) + "/s"
}

func (r *byteRate) Type() string { return "size/s" }

// A logLevel is the value of --log-level.
type logLevel struct{ slog.Level }

func (l *logLevel) Set(s string) error {
	if err := l.UnmarshalText([]byte(s)); err != nil {
		return fmt.Errorf("%q is none of debug, info, warn, error", s)
	}
	return nil
}

func (l *logLevel) String() string { return strings.ToLower(l.Level.String()) }
func (l *logLevel) Type() string   { return "debug|info|warn|error" }
