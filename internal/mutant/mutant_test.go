package mutant

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

// switches returns what a file of this package declares, with the name that turns
// it on in the file that can.
func switches(t *testing.T, file string) map[string]string {
	t.Helper()
	f, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	found := make(map[string]string)
	for _, d := range f.Decls {
		g, ok := d.(*ast.GenDecl)
		if !ok || g.Tok == token.IMPORT {
			continue
		}
		for _, s := range g.Specs {
			v := s.(*ast.ValueSpec)
			found[v.Names[0].Name] = ""
			if call, ok := v.Values[0].(*ast.CallExpr); ok {
				found[v.Names[0].Name], _ = strconv.Unquote(call.Args[0].(*ast.BasicLit).Value)
			}
		}
	}
	return found
}

// Both builds know the same switches, each is turned on by its own name in lower
// case, and each stands somewhere in the code.
func TestSwitches(t *testing.T) {
	off, on := switches(t, "off.go"), switches(t, "on.go")
	if a, b := slices.Sorted(maps.Keys(off)), slices.Sorted(maps.Keys(on)); !slices.Equal(a, b) {
		t.Errorf("off.go declares %v, on.go %v", a, b)
	}
	code := shipped(t)
	for name, env := range on {
		if env != strings.ToLower(name) {
			t.Errorf("%s is turned on by %q", name, env)
		}
		if !strings.Contains(code, "mutant."+name) {
			t.Errorf("%s is used nowhere", name)
		}
	}
}

// shipped returns the code that the switches stand in.
func shipped(t *testing.T) string {
	t.Helper()
	var code strings.Builder
	for _, dir := range []string{"coherence", "internal/gather", "tiered"} {
		err := filepath.WalkDir(filepath.Join(root, dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			code.Write(text)
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return code.String()
}

// Every guard of a script stands in it once, and the script can be mutated.
func TestCuts(t *testing.T) {
	code := shipped(t)
	for _, c := range cuts {
		source, err := os.ReadFile(filepath.Join(root, "tiered/internal/script", c.script+".lua"))
		if os.IsNotExist(err) {
			source, err = os.ReadFile(filepath.Join(root, "coherence/script", c.script+".lua"))
		}
		if err != nil {
			t.Fatal(err)
		}
		if n := strings.Count(string(source), c.guard); n != 1 {
			t.Errorf("%s: the guard stands %d times in %s.lua", c.mutant, n, c.script)
			continue
		}
		if c.apply(string(source)) == string(source) {
			t.Errorf("%s changes nothing", c.mutant)
		}
		if !strings.Contains(code, `mutant.Script("`+c.script+`"`) {
			t.Errorf("%s.lua is not mutated", c.script)
		}
	}
}
