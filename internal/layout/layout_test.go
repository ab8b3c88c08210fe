package layout

import (
	"encoding/json"
	"errors"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const module = "github.com/tiercache/tiercache"

// shipped are the packages that users import.
var shipped = []string{module + "/codec", module + "/coherence", module + "/tiered"}

// allowed are the modules that these may import themselves. What those link in
// turn is theirs to answer for.
var allowed = []string{
	module,
	"github.com/dgraph-io/ristretto/v2",
	"github.com/redis/go-redis/v9",
	"github.com/vmihailenco/msgpack/v5",
	"golang.org/x/sync",
}

type pkg struct {
	ImportPath string
	Imports    []string
	Standard   bool
	Module     *struct{ Path string }
}

func list(t *testing.T, args ...string) []pkg {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Imports,Standard,Module"}, args...)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list %v: %v", args, err)
	}
	var pkgs []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return pkgs
		} else if err != nil {
			t.Fatal(err)
		}
		pkgs = append(pkgs, p)
	}
}

// TestShippedDependencies: users of tiercache get the standard library and four
// modules, and never a test dependency.
func TestShippedDependencies(t *testing.T) {
	deps := list(t, append([]string{"-deps"}, shipped...)...)
	byPath := make(map[string]pkg, len(deps))
	for _, p := range deps {
		byPath[p.ImportPath] = p
	}
	ours := 0
	for _, p := range deps {
		if p.Module == nil || p.Module.Path != module {
			continue
		}
		ours++
		for _, path := range p.Imports {
			dep, known := byPath[path]
			if !known || dep.Standard {
				continue
			}
			ok := false
			for _, a := range allowed {
				ok = ok || dep.Module != nil && dep.Module.Path == a
			}
			if !ok {
				t.Errorf("%s imports %s", p.ImportPath, path)
			}
		}
	}
	if ours < len(shipped) {
		t.Fatalf("only %d packages of this module were listed", ours)
	}
}

// TestImportDirection: codec and coherence are leaves, tiered stands on both,
// and nothing stands on the examples or the test servers but tests and examples.
func TestImportDirection(t *testing.T) {
	for _, p := range list(t, module+"/...") {
		for _, path := range p.Imports {
			rel, ours := strings.CutPrefix(path, module+"/")
			if !ours {
				continue
			}
			from := strings.TrimPrefix(p.ImportPath, module+"/")
			top, _, _ := strings.Cut(from, "/")
			switch {
			case strings.HasPrefix(rel, "examples"):
				t.Errorf("%s imports an example", from)
			case top == "codec",
				top == "coherence" && !strings.HasPrefix(rel, "internal/"),
				top == "tiered" && rel == "internal/redistest",
				top == "coherence" && rel == "internal/redistest":
				t.Errorf("%s imports %s", from, rel)
			}
		}
	}
}

// TestOneHome: only remote*.go and the scripts name Redis' data commands in the
// read path, and only local.go knows ristretto.
func TestOneHome(t *testing.T) {
	files, err := filepath.Glob("../../tiered/*.go")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for imported, home := range map[string]string{
			`"github.com/redis/go-redis/v9"`:      "remote*.go",
			`"github.com/dgraph-io/ristretto/v2"`: "local.go",
		} {
			if at, _ := filepath.Match(home, filepath.Base(file)); strings.Contains(string(text), imported) && !at {
				t.Errorf("%s imports %s, which is for %s", filepath.Base(file), imported, home)
			}
		}
	}
}

// TestReadmeNamesTests: a guarantee whose test is gone is a claim.
func TestReadmeNamesTests(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	exists := make(map[string]bool)
	err = filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range regexp.MustCompile(`(?m)^func ((?:Test|Fuzz)\w+)`).FindAllSubmatch(text, -1) {
			exists[string(m[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile(`\b(?:Test|Fuzz)[A-Z]\w+`).FindAllString(string(readme), -1)
	if len(named) < 20 {
		t.Errorf("the README names %d tests only", len(named))
	}
	for _, name := range named {
		if !exists[name] {
			t.Errorf("the README names %s, which does not exist", name)
		}
	}
}
