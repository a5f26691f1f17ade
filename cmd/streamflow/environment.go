package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

const variablePrefix = "STREAMFLOW_"

// variableOf names the variable of a flag: --max-memory is
// STREAMFLOW_MAX_MEMORY.
func variableOf(flag string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(flag, "-", "_"))
}

// insteadOf is the annotation of a flag that sets the value of another one.
const insteadOf = "instead-of"

// applyEnvironment gives every flag whose value isn't given the value of its
// variable. An empty variable counts as unset.
func applyEnvironment(flags *pflag.FlagSet, given map[string]bool) error {
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		variable := variableOf(f.Name)
		text := os.Getenv(variable)
		if text == "" || given[valueOf(f)] || f.Name == "help" || f.Name == showConfigFlag || failed != nil {
			return
		}
		if err := setFrom(flags, f, []string{text}, "variable "+variable); err != nil {
			failed = &usageError{"streamflow", fmt.Errorf("variable %s: %w", variable, err)}
		}
	})
	return failed
}

// valueOf names the value that a flag sets, for flags that share one.
func valueOf(f *pflag.Flag) string {
	if other := f.Annotations[insteadOf]; len(other) > 0 {
		return other[0]
	}
	return f.Name
}

// A negation is the value of a flag that says no to another one, as
// --no-resume does to --resume.
type negation struct{ of *bool }

func (n negation) Set(s string) error {
	yes, err := strconv.ParseBool(s)
	if err == nil {
		*n.of = !yes
	}
	return err
}

func (n negation) String() string { return "false" }
func (n negation) Type() string   { return "bool" }
