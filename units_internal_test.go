package streamflow

import (
	"errors"
	"testing"

	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

func TestUnitBytes(t *testing.T) {
	const mib = 1 << 20
	for name, tc := range map[string]struct {
		limits        store.Limits
		chunk, length int64
		want          int64
		err           error
	}{
		"no limits":               {chunk: mib, length: 1 << 40, want: mib},
		"stream":                  {limits: store.Limits{MaxUnits: 10}, chunk: mib, length: -1, want: mib},
		"at least":                {limits: store.Limits{MinUnitBytes: 5 * mib}, chunk: mib, length: 1, want: 5 * mib},
		"at most":                 {limits: store.Limits{MaxUnitBytes: mib / 2}, chunk: mib, length: 1, want: mib / 2},
		"just enough units":       {limits: store.Limits{MaxUnits: 100}, chunk: mib, length: 100 * mib, want: mib},
		"grown":                   {limits: store.Limits{MaxUnits: 100}, chunk: mib, length: 100*mib + 1, want: mib + 64<<10},
		"grown past the boundary": {limits: store.Limits{MaxUnits: 1, MaxUnitBytes: 100}, chunk: 50, length: 100, want: 100},
		"too many units":          {limits: store.Limits{MaxUnits: 10, MaxUnitBytes: mib}, chunk: mib, length: 11 * mib, err: store.ErrTooLarge},
		"too long":                {limits: store.Limits{MaxLength: 5}, chunk: mib, length: 6, err: store.ErrTooLarge},
		"empty":                   {limits: store.Limits{MaxUnits: 1}, chunk: mib, length: 0, want: mib},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := unitBytes(tc.limits, tc.chunk, tc.length)
			if !errors.Is(err, tc.err) || got != tc.want {
				t.Errorf("got %d, %v", got, err)
			}
		})
	}
}

func TestFileChunk(t *testing.T) {
	const mib = 1 << 20
	s3 := store.Limits{MinUnitBytes: 5 * mib}
	for name, tc := range map[string]struct {
		limits              store.Limits
		chunk, length, want int64
	}{
		"no least":           {chunk: mib, length: 1 << 40, want: mib},
		"as it was asked":    {limits: s3, chunk: 5 * mib, length: 1 << 40, want: 5 * mib},
		"small":              {limits: s3, chunk: mib, length: 64 * mib, want: 5 * mib},
		"grows":              {limits: s3, chunk: mib, length: 640*mib + 1, want: 10 * mib},
		"grows by steps":     {limits: s3, chunk: mib, length: 641 * mib, want: 10*mib + 64<<10},
		"as large as it may": {limits: s3, chunk: mib, length: 1 << 40, want: 16 * mib},
		"a larger least":     {limits: store.Limits{MinUnitBytes: 64 * mib}, chunk: mib, length: 1 << 40, want: 64 * mib},
	} {
		t.Run(name, func(t *testing.T) {
			if got := fileChunk(tc.limits, tc.chunk, tc.length); got != tc.want {
				t.Errorf("got %d, want %d", got, tc.want)
			}
		})
	}
}

func FuzzUnitBytes(f *testing.F) {
	f.Add(int64(0), int64(0), 10000, int64(1<<20), int64(1<<40))
	f.Fuzz(func(t *testing.T, least, most int64, number int, chunk, length int64) {
		if least < 0 || most < 0 || (most > 0 && least > most) || number < 0 || chunk < 4096 || length < 0 ||
			chunk > 1<<40 || length > 1<<50 || least > 1<<40 {
			return
		}
		l := store.Limits{MinUnitBytes: least, MaxUnitBytes: most, MaxUnits: number}
		unit, err := unitBytes(l, chunk, length)
		if err != nil {
			if most == 0 || number == 0 || length <= most*int64(number) {
				t.Fatalf("%+v: %v", l, err)
			}
			return
		}
		switch {
		case unit < least, most > 0 && unit > most:
			t.Fatalf("%+v, length %d: unit %d", l, length, unit)
		case number > 0 && (length+unit-1)/unit > int64(number):
			t.Fatalf("%+v, length %d: %d units of %d", l, length, (length+unit-1)/unit, unit)
		}
	})
}

func TestPresent(t *testing.T) {
	info := store.Info{Offset: 15, Written: []store.Range{{Start: 0, End: 15}, {Start: 20, End: 40}}}
	for r, want := range map[store.Range]bool{
		{Start: 0, End: 10}:  true,
		{Start: 10, End: 20}: false, // in part
		{Start: 20, End: 30}: true,
		{Start: 30, End: 40}: true,
		{Start: 40, End: 45}: false,
	} {
		if got := present(info, r); got != want {
			t.Errorf("%v: got %v", r, got)
		}
	}
	if got := presentBytes(info, 45, 10); got != 30 {
		t.Errorf("%d bytes", got)
	}
}

func TestNarrowed(t *testing.T) {
	for name, tc := range map[string]struct {
		size  int64
		level memory.Level
		want  int64
	}{
		"normal":          {1000, memory.Normal, 1000},
		"normal again":    {300, memory.Normal, 600},
		"warning":         {1000, memory.Warning, 500},
		"not below least": {120, memory.Warning, 100},
	} {
		if got := narrowed(tc.size, tc.level, 100, 1000); got != tc.want {
			t.Errorf("%s: got %d", name, got)
		}
	}
	if got := narrowed(50, memory.Warning, 100, 50); got != 50 {
		t.Errorf("a chunk below the least grew to %d", got)
	}
}
