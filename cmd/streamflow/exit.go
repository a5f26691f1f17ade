package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"syscall"
	"unicode"

	"github.com/spf13/cobra"

	"github.com/streamflow/streamflow"
	"github.com/streamflow/streamflow/memory"
	"github.com/streamflow/streamflow/store"
)

// Exit codes. Scripts depend on them.
const (
	exitDone        = 0
	exitError       = 1
	exitUsage       = 2
	exitSomeFailed  = 3
	exitNotFound    = 4
	exitRetries     = 5
	exitDenied      = 6
	exitIntegrity   = 7
	exitRefused     = 8 // for memory or quota
	exitInterrupted = 130
)

var errInterrupted = errors.New("interrupted")

// exitCode is the one place where an error becomes an exit code.
func exitCode(err error) int {
	var (
		usage     *usageError
		partial   *partialError
		exhausted *streamflow.RetryError
	)
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.As(err, &usage):
		return exitUsage
	case errors.As(err, &partial):
		return exitSomeFailed
	case errors.Is(err, memory.ErrLimit), errors.Is(err, streamflow.ErrPressure),
		errors.Is(err, store.ErrNoSpace), errors.Is(err, store.ErrTooLarge):
		return exitRefused
	case errors.As(err, &exhausted):
		return exitRetries
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, store.ErrNotFound), errors.Is(err, store.ErrGone):
		return exitNotFound
	case errors.Is(err, store.ErrDenied):
		return exitDenied
	case errors.Is(err, store.ErrChecksum), errors.Is(err, streamflow.ErrSourceChanged):
		return exitIntegrity
	default:
		return exitError
	}
}

// explainCancel makes an interruption of what says no more than that ctx has ended.
func explainCancel(ctx context.Context, err error) error {
	if errors.Is(err, context.Canceled) && errors.Is(context.Cause(ctx), errInterrupted) {
		return errInterrupted
	}
	return err
}

// A usageError is a command line that makes no sense.
type usageError struct {
	command string // "streamflow upload"
	err     error
}

func usagef(cmd *cobra.Command, format string, args ...any) error {
	return &usageError{cmd.CommandPath(), fmt.Errorf(format, args...)}
}

func (e *usageError) Error() string {
	return fmt.Sprintf("%v; see %s --help", e.err, e.command)
}

func (e *usageError) Unwrap() error { return e.err }

// A partialError says that some of what a command was to do failed, or failed for
// different reasons.
type partialError struct {
	failed, all int
	what        string // as "files were not uploaded"
}

func (e *partialError) Error() string { return fmt.Sprintf("%d of %d %s", e.failed, e.all, e.what) }

// errorCode is streamflow.Code, which knows nothing of command lines.
func errorCode(err error) string {
	var usage *usageError
	code := streamflow.Code(err)
	if code == streamflow.CodeWorker && (errors.As(err, &usage) || errors.Is(err, errClash) || errors.Is(err, fs.ErrNotExist)) {
		return streamflow.CodeValidation
	}
	return code
}

// A printedError is known to the user already: only its exit code is left.
type printedError struct{ error }

func (e printedError) Unwrap() error { return e.error }

// printError writes err for a person, with what to do about it.
func printError(w io.Writer, err error) {
	var printed printedError
	if err == nil || errors.As(err, &printed) {
		return
	}
	text := "streamflow: " + err.Error()
	if advice := advise(err); advice != "" {
		text += "; " + advice
	}
	fmt.Fprintln(w, escapeControls(text))
}

// printSkipped tells of what is passed over on purpose.
func printSkipped(w io.Writer, err error) {
	fmt.Fprintln(w, escapeControls(err.Error()))
}

// advise says what to do about an error that doesn't say so itself.
func advise(err error) string {
	var exhausted *streamflow.RetryError
	switch {
	case errors.Is(err, store.ErrNoSpace):
		return "make room, then run the same command again"
	case errors.As(err, &exhausted):
		return "run the same command again when the destination answers"
	case errors.Is(err, streamflow.ErrBusy):
		return "wait for that process, or end it"
	case errors.Is(err, syscall.EMFILE):
		return "raise the limit of open files (ulimit -n), or lower --concurrency"
	case errors.Is(err, fs.ErrPermission):
		return "check the permissions"
	case errors.Is(err, store.ErrDenied):
		return "check the token in --token-file, or the credentials for S3"
	case errors.Is(err, store.ErrTooLarge):
		return "ask for a larger limit at the destination"
	case errors.Is(err, streamflow.ErrSourceChanged):
		return "run the same command again when nothing writes to it"
	case errors.Is(err, store.ErrChecksum):
		return "run the same command again to send it anew"
	case errors.Is(err, fs.ErrNotExist):
		return "check the spelling"
	default:
		return ""
	}
}

// escapeControls makes names in s harmless to a terminal and to a log.
func escapeControls(s string) string {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '\n' || unicode.IsPrint(r):
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
