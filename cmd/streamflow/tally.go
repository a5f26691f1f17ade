package main

// A tally is of the files that failed, whose errors are on the console. The
// errors themselves aren't kept: there may be millions.
type tally struct {
	failed int
	first  error
	mixed  bool // not all have the exit code of the first
}

func (t *tally) add(err error) {
	t.failed++
	if t.first == nil {
		t.first = err
	}
	t.mixed = t.mixed || exitCode(err) != exitCode(t.first)
}

// outcome is the error of a whole command in which so many files went well. what is
// said of the others.
func (t *tally) outcome(done int, what string) error {
	switch {
	case t.failed == 0:
		return nil
	case done == 0 && !t.mixed:
		return printedError{t.first}
	default:
		return &partialError{t.failed, t.failed + done, what}
	}
}
