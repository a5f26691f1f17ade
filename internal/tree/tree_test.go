package tree_test

import (
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/streamflow/streamflow/internal/tree"
)

// plant makes files with their names as content; a name that ends in / is an
// empty directory.
func plant(t *testing.T, names ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range names {
		at := filepath.Join(root, filepath.FromSlash(name))
		dir := filepath.Dir(at)
		if strings.HasSuffix(name, "/") {
			dir = at
		}
		if err := os.MkdirAll(dir, 0o777); err != nil {
			t.Fatal(err)
		}
		if dir == at {
			continue
		}
		if err := os.WriteFile(at, []byte(name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func finder(t *testing.T, opts tree.Options) *tree.Finder {
	t.Helper()
	f, err := tree.New(opts)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// collect returns the names found, and the errors by name.
func collect(files iter.Seq2[tree.File, error]) (names []string, errs map[string]error) {
	errs = make(map[string]error)
	for f, err := range files {
		if err != nil {
			errs[f.Name] = err
		} else {
			names = append(names, f.Name)
		}
	}
	slices.Sort(names)
	return names, errs
}

func TestFiles(t *testing.T) {
	root := plant(t, "a.log", "b.txt", "build/x.txt", "build/deep/y.log", "src/build", "src/main.go", "src/a/b/c.go", "empty/")
	for name, test := range map[string]struct {
		opts tree.Options
		want string
	}{
		"all":                       {tree.Options{}, "a.log b.txt build/deep/y.log build/x.txt src/a/b/c.go src/build src/main.go"},
		"include by name":           {tree.Options{Include: []string{"*.go"}}, "src/a/b/c.go src/main.go"},
		"include by path":           {tree.Options{Include: []string{"src/*.go"}}, "src/main.go"},
		"include from the root":     {tree.Options{Include: []string{"/*.log"}}, "a.log"},
		"include any depth":         {tree.Options{Include: []string{"src/**/*.go"}}, "src/a/b/c.go src/main.go"},
		"exclude by name":           {tree.Options{Exclude: []string{"*.go", "*.log"}}, "b.txt build/x.txt src/build"},
		"exclude a directory":       {tree.Options{Exclude: []string{"build/"}}, "a.log b.txt src/a/b/c.go src/build src/main.go"},
		"exclude file or directory": {tree.Options{Exclude: []string{"build"}}, "a.log b.txt src/a/b/c.go src/main.go"},
		"exclude wins":              {tree.Options{Include: []string{"*.go"}, Exclude: []string{"main.*"}}, "src/a/b/c.go"},
		"alternatives":              {tree.Options{Include: []string{"*.{log,txt}"}}, "a.log b.txt build/deep/y.log build/x.txt"},
		"nothing":                   {tree.Options{Include: []string{"*.zip"}}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			names, errs := collect(finder(t, test.opts).Tree(root).Files())
			if got := strings.Join(names, " "); got != test.want || len(errs) > 0 {
				t.Errorf("found %s\nwant  %s\nerrors %v", got, test.want, errs)
			}
		})
	}
}

func TestGlob(t *testing.T) {
	root := plant(t, "logs/a.gz", "logs/b.gz", "logs/c.txt", "logs/old/d.gz", "logs/old/e.txt", "x/y/z.gz")
	for pattern, want := range map[string]string{
		"logs/*.gz":        "a.gz b.gz",
		"logs/*":           "a.gz b.gz c.txt old/d.gz old/e.txt", // with the tree of a directory, as the shell would have it
		"logs/**/*.gz":     "a.gz b.gz old/d.gz",
		"*/*/*.gz":         "logs/old/d.gz x/y/z.gz",
		"{logs,x/y}/*.gz":  "logs/a.gz logs/b.gz x/y/z.gz",
		"logs/[bc].*":      "b.gz c.txt",
		"logs/none*":       "",
		"lo?s/old/../*.gz": "logs/a.gz logs/b.gz",
	} {
		t.Run(pattern, func(t *testing.T) {
			files, err := finder(t, tree.Options{}).Glob(root + "/" + pattern)
			if err != nil {
				t.Fatal(err)
			}
			names, errs := collect(files.Files())
			if got := strings.Join(names, " "); got != want || len(errs) > 0 {
				t.Errorf("found %s\nwant  %s\nerrors %v", got, want, errs)
			}
		})
	}
}

func TestLinks(t *testing.T) {
	root := plant(t, "a.txt", "dir/b.txt")
	for link, to := range map[string]string{
		"file": "a.txt", "tree": "dir", "dir/up": "..", "self": "self", "broken": "nowhere",
	} {
		if err := os.Symlink(to, filepath.Join(root, filepath.FromSlash(link))); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("not followed", func(t *testing.T) {
		names, errs := collect(finder(t, tree.Options{}).Tree(root).Files())
		if got := strings.Join(names, " "); got != "a.txt dir/b.txt" {
			t.Errorf("found %s", got)
		}
		for _, link := range []string{"file", "tree", "dir/up", "self", "broken"} {
			if !errors.Is(errs[link], tree.ErrSkipped) {
				t.Errorf("%s: %v", link, errs[link])
			}
		}
	})
	t.Run("followed", func(t *testing.T) {
		names, errs := collect(finder(t, tree.Options{FollowLinks: true}).Tree(root).Files())
		if got := strings.Join(names, " "); got != "a.txt dir/b.txt file tree/b.txt" {
			t.Errorf("found %s", got)
		}
		for _, link := range []string{"dir/up", "tree/up", "self", "broken"} {
			if errs[link] == nil || errors.Is(errs[link], tree.ErrSkipped) {
				t.Errorf("%s: %v", link, errs[link])
			}
		}
	})
	t.Run("followed, one avoided", func(t *testing.T) {
		avoid := filepath.Join(root, "dir")
		names, errs := collect(finder(t, tree.Options{FollowLinks: true, Avoid: avoid}).Tree(root).Files())
		if got := strings.Join(names, " "); got != "a.txt file" {
			t.Errorf("found %s", got)
		}
		if errs["dir"] == nil || errs["tree"] == nil {
			t.Errorf("errors %v", errs)
		}
	})
	t.Run("root", func(t *testing.T) {
		names, _ := collect(finder(t, tree.Options{}).Tree(filepath.Join(root, "tree")).Files())
		if got := strings.Join(names, " "); got != "b.txt" {
			t.Errorf("found %s", got)
		}
	})
}

// More entries than a batch holds are all found, and the walk ends when told.
func TestLargeDirectory(t *testing.T) {
	names := make([]string, 1300)
	for i := range names {
		names[i] = fmt.Sprintf("d/%04d", i)
	}
	root := plant(t, names...)
	got, errs := collect(finder(t, tree.Options{}).Tree(root).Files())
	if !slices.Equal(got, names) || len(errs) > 0 {
		t.Errorf("found %d of %d files, errors %v", len(got), len(names), errs)
	}
	seen := 0
	for _, err := range finder(t, tree.Options{}).Tree(root).Files() {
		if err != nil {
			t.Error(err)
		}
		if seen++; seen == 700 {
			break
		}
	}
}

// A tree has what a walk finds, and nothing else.
func TestHas(t *testing.T) {
	root := plant(t, "a.log", "b.txt", "build/x.txt", "src/deep/c.log", "src/deep/d.txt")
	for link, to := range map[string]string{"file.log": "a.log", "linked": "src"} {
		if err := os.Symlink(to, filepath.Join(root, link)); err != nil {
			t.Fatal(err)
		}
	}
	names := []string{
		"a.log", "b.txt", "build", "build/x.txt", "build/none", "none/x.txt", "a.log/x", "src/deep", "src/deep/c.log",
		"src/deep/d.txt", "file.log", "linked", "linked/deep/c.log",
	}
	for name, opts := range map[string]tree.Options{
		"all":           {},
		"include":       {Include: []string{"*.log"}},
		"exclude":       {Exclude: []string{"build/", "d.txt"}},
		"above":         {Exclude: []string{"deep"}},
		"links":         {FollowLinks: true},
		"links, chosen": {FollowLinks: true, Include: []string{"*.log"}, Exclude: []string{"src/"}},
	} {
		t.Run(name, func(t *testing.T) {
			f := finder(t, opts)
			glob, err := f.Glob(root + "/*/deep")
			if err != nil {
				t.Fatal(err)
			}
			for what, files := range map[string]tree.Tree{"tree": f.Tree(root), "glob": glob} {
				found, _ := collect(files.Files())
				for _, name := range names {
					if got, want := files.Has(name), slices.Contains(found, name); got != want {
						t.Errorf("%s: has %s: %t, found: %t", what, name, got, want)
					}
				}
			}
		})
	}
}

// Whether a walk comes to a directory doesn't depend on whether it is there yet.
func TestEnters(t *testing.T) {
	root := plant(t, "a.log", "photos/2020/x.jpg")
	f := finder(t, tree.Options{Exclude: []string{"cache/"}})
	all := f.Tree(root)
	names := []string{".", "photos", "photos/2020", "photos/2020/new", "new", "new/cache", "cache/new"}
	for pattern, want := range map[string]string{
		"":      ". photos photos/2020 photos/2020/new new",
		"*":     ". photos photos/2020 photos/2020/new new",
		"*.log": ".",
		"n*":    ". new",
		"*/*":   ". photos photos/2020 photos/2020/new new",
		"*/2*":  ". photos photos/2020 photos/2020/new new",
		"**/2*": ". photos photos/2020 photos/2020/new new",
	} {
		t.Run(pattern, func(t *testing.T) {
			files := all
			if pattern != "" {
				var err error
				if files, err = f.Glob(root + "/" + pattern); err != nil {
					t.Fatal(err)
				}
			}
			entered := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !files.Enters(name) })
			if got := strings.Join(entered, " "); got != want || files.Root() != root {
				t.Errorf("enters %s, want %s, below %s", got, want, files.Root())
			}
		})
	}
}

func TestMissingRoot(t *testing.T) {
	_, errs := collect(finder(t, tree.Options{}).Tree(filepath.Join(t.TempDir(), "no")).Files())
	if !errors.Is(errs[""], os.ErrNotExist) {
		t.Errorf("errors %v", errs)
	}
}

func TestMalformedPatterns(t *testing.T) {
	for _, text := range []string{"", "/", "[a", "{a"} {
		if _, err := tree.New(tree.Options{Exclude: []string{text}}); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
	if _, err := finder(t, tree.Options{}).Glob("a/[b"); err == nil {
		t.Error("a malformed glob is taken")
	}
}
