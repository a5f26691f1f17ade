package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"go.yaml.in/yaml/v3"

	"github.com/streamflow/streamflow/internal/transport"
)

const (
	configFlag     = "config"
	showConfigFlag = "show-config"
)

// sourceNote is the annotation of a flag that says where its value is from; without
// one it is the command line, or nothing but the default.
const sourceNote = "source"

// configurable returns the flags of every command that has settings, and has cmd
// show what holds instead of running where that is asked for.
func configurable(cmd *cobra.Command) flagGroup {
	g := newFlagGroup("Configuration")
	show := false
	g.flags.String(configFlag, "", "TOML or YAML file with settings: its keys are the names of flags, without --")
	g.flags.BoolVar(&show, showConfigFlag, false, "print what holds and where it is from, as TOML, and do nothing")
	args, run := cmd.Args, cmd.RunE
	cmd.Args = func(cmd *cobra.Command, given []string) error {
		if show {
			return nil // nothing is done with them
		}
		return args(cmd, given)
	}
	cmd.RunE = func(cmd *cobra.Command, given []string) error {
		if show {
			return showConfig(cmd.OutOrStdout(), cmd.Flags())
		}
		return run(cmd, given)
	}
	return g
}

// applySettings gives each flag that isn't on the command line the value of its
// variable or else that in the file of --config. What is empty counts as unset.
func applySettings(flags *pflag.FlagSet) error {
	given := map[string]bool{}
	flags.Visit(func(f *pflag.Flag) { given[valueOf(f)] = true })
	if err := applyEnvironment(flags, given); err != nil {
		return err
	}
	file := flags.Lookup(configFlag)
	if file == nil || file.Value.String() == "" {
		return nil
	}
	flags.Visit(func(f *pflag.Flag) { given[valueOf(f)] = true })
	return applyConfig(flags, given, file.Value.String())
}

func applyConfig(flags *pflag.FlagSet, given map[string]bool, path string) error {
	settings, err := readConfig(path)
	if err != nil {
		return err
	}
	for _, key := range slices.Sorted(maps.Keys(settings)) {
		f := flags.Lookup(key)
		if f == nil || !configurableFlag(f) {
			return &usageError{"streamflow", fmt.Errorf("%s: there is no setting %q for this command", path, key)}
		}
		texts, err := textsOf(settings[key])
		if err == nil && !given[valueOf(f)] {
			err = setFrom(flags, f, texts, "file "+path)
		}
		if err != nil {
			return &usageError{"streamflow", fmt.Errorf("%s: %s: %w", path, key, err)}
		}
	}
	return nil
}

// configurableFlag: the others say what to do with the settings.
func configurableFlag(f *pflag.Flag) bool {
	return f.Name != configFlag && f.Name != showConfigFlag && f.Name != "help"
}

func readConfig(path string) (map[string]any, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("--%s: %w", configFlag, err)
	}
	settings := map[string]any{}
	switch ext := strings.ToLower(filepath.Ext(path)); ext {
	case ".toml":
		err = toml.Unmarshal(text, &settings)
	case ".yaml", ".yml":
		err = yaml.Unmarshal(text, &settings)
	default:
		err = errors.New("want a file that ends in .toml, .yaml or .yml")
	}
	if err != nil {
		return nil, &usageError{"streamflow", fmt.Errorf("--%s %s: %w", configFlag, path, err)}
	}
	return settings, nil
}

// textsOf returns a value of a file as it would be on a command line.
func textsOf(value any) ([]string, error) {
	switch v := value.(type) {
	case nil:
		return nil, nil
	case string:
		if v == "" {
			return nil, nil
		}
		return []string{v}, nil
	case bool, int, int64, uint64, float64:
		return []string{fmt.Sprint(v)}, nil
	case []any:
		var all []string
		for _, element := range v {
			texts, err := textsOf(element)
			if err != nil {
				return nil, err
			}
			all = append(all, texts...)
		}
		return all, nil
	default:
		return nil, errors.New("want a text, a number, true or false, or a list of them")
	}
}

// setFrom sets a flag, and remembers where the value is from.
func setFrom(flags *pflag.FlagSet, f *pflag.Flag, texts []string, from string) error {
	if len(texts) == 0 {
		return nil
	}
	if _, list := f.Value.(pflag.SliceValue); !list {
		texts = []string{strings.Join(texts, ",")}
	}
	for _, text := range texts {
		if err := flags.Set(f.Name, text); err != nil {
			var invalid *pflag.InvalidValueError
			if errors.As(err, &invalid) {
				err = valueError(invalid) // the flag is named by the caller
			}
			return err
		}
	}
	return flags.SetAnnotation(f.Name, sourceNote, []string{from})
}

// showConfig prints all settings in a form that --config takes.
func showConfig(w io.Writer, flags *pflag.FlagSet) error {
	from := map[string]string{}
	flags.Visit(func(f *pflag.Flag) {
		from[valueOf(f)] = "flag"
		if at := f.Annotations[sourceNote]; len(at) > 0 {
			from[valueOf(f)] = at[0]
		}
	})
	var failed error
	flags.VisitAll(func(f *pflag.Flag) {
		if failed != nil || !configurableFlag(f) || valueOf(f) != f.Name {
			return
		}
		_, failed = fmt.Fprintf(w, "%s = %s # %s\n", f.Name, tomlOf(f), cmp.Or(from[f.Name], "default"))
	})
	return failed
}

func tomlOf(f *pflag.Flag) string {
	list, ok := f.Value.(pflag.SliceValue)
	if !ok {
		return strconv.Quote(masked(f.Value.String()))
	}
	var all []string
	for _, text := range list.GetSlice() {
		all = append(all, strconv.Quote(masked(text)))
	}
	return "[" + strings.Join(all, ", ") + "]"
}

// masked hides what may be secret in a URL. Other secrets are in files.
func masked(text string) string {
	if u, err := url.Parse(text); err == nil && u.User != nil {
		return transport.Shown(u)
	}
	return transport.ShownText(text)
}
