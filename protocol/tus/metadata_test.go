package tus_test

import (
	"errors"
	"maps"
	"testing"

	"github.com/streamflow/streamflow/protocol/tus"
	"github.com/streamflow/streamflow/store"
)

func TestParseMetadata(t *testing.T) {
	for name, c := range map[string]struct {
		header string
		want   map[string]string // nil: refused
	}{
		"one pair":               {"filename d29ybGQ=", map[string]string{"filename": "world"}},
		"several":                {"a YQ==,b Yg==", map[string]string{"a": "a", "b": "b"}},
		"space after a comma":    {"a YQ==, b Yg==", map[string]string{"a": "a", "b": "b"}},
		"no value":               {"is_confidential", map[string]string{"is_confidential": ""}},
		"empty value":            {"a ,b Yg==", map[string]string{"a": "", "b": "b"}},
		"odd characters":         {"n w7bDpAoA/w==", map[string]string{"n": "öä\n\x00\xff"}},
		"duplicate key":          {"a YQ==,a Yg==", nil},
		"bad base64":             {"a !!!!", nil},
		"base64 without padding": {"a YQ", nil},
		"two spaces":             {"a  YQ==", nil},
		"empty pair":             {"a YQ==,", nil},
		"only a comma":           {",", nil},
		"key that is not ASCII":  {"é YQ==", nil},
		"key with a control":     {"a\x01 YQ==", nil},
		"line break":             {"a YQ\r\n==", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tus.ParseMetadata(c.header)
			if c.want == nil {
				if !errors.Is(err, store.ErrInvalid) {
					t.Fatalf("ParseMetadata = %q, %v, want ErrInvalid", got, err)
				}
				return
			}
			if err != nil || !maps.Equal(got, c.want) {
				t.Errorf("ParseMetadata = %q, %v, want %q", got, err, c.want)
			}
		})
	}
}

func TestEncodeMetadata(t *testing.T) {
	got, err := tus.EncodeMetadata(map[string]string{"filename": "world", "b": "", "a": "\r\nEvil: 1"})
	if want := "a DQpFdmlsOiAx,b,filename d29ybGQ="; err != nil || got != want {
		t.Errorf("EncodeMetadata = %q, %v, want %q", got, err, want)
	}
	for _, key := range []string{"", "a b", "a,b", "a\r\nEvil: 1", "é"} {
		if _, err := tus.EncodeMetadata(map[string]string{key: "v"}); !errors.Is(err, store.ErrInvalid) {
			t.Errorf("key %q: %v, want ErrInvalid", key, err)
		}
	}
}

func FuzzMetadata(f *testing.F) {
	f.Add("filename d29ybGQ=,is_confidential")
	f.Add("a YQ==,a Yg==")
	f.Add(", ,")
	f.Fuzz(func(t *testing.T, header string) {
		first, err := tus.ParseMetadata(header)
		if err != nil {
			return
		}
		encoded, err := tus.EncodeMetadata(first)
		if err != nil {
			t.Fatalf("%q was read and can't be written: %v", header, err)
		}
		again, err := tus.ParseMetadata(encoded)
		if err != nil || !maps.Equal(first, again) {
			t.Fatalf("%q became %q: %q, %v", header, encoded, again, err)
		}
	})
}

func TestChangeMetadata(t *testing.T) {
	value := "new"
	before := map[string]string{"a": "1", "b": "2", "tus metadata": "a MQ==, b Mg==", "tus concat": "partial"}
	for name, c := range map[string]struct {
		changes map[string]*string
		want    map[string]string // nil: refused
	}{
		"nothing":          {nil, map[string]string{"a": "1", "b": "2", "tus concat": "partial"}},
		"set and remove":   {map[string]*string{"a": nil, "b": &value, "c": &value}, map[string]string{"b": "new", "c": "new", "tus concat": "partial"}},
		"key with a space": {map[string]*string{"tus concat": nil}, nil},
		"empty key":        {map[string]*string{"": &value}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			kept := maps.Clone(before)
			got, err := tus.ChangeMetadata(before, c.changes)
			if c.want == nil && !errors.Is(err, store.ErrInvalid) || !maps.Equal(got, c.want) {
				t.Errorf("metadata is %q, %v", got, err)
			}
			if !maps.Equal(before, kept) {
				t.Errorf("the argument became %q", before)
			}
		})
	}
}
