package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

const root = "../.."

// The guard of every row stands in the code once, and its mutant is Go.
func TestGuardsStand(t *testing.T) {
	if _, err := mutate(root, table); err != nil {
		t.Error(err)
	}
}

var named = regexp.MustCompile(`^[a-z][a-z0-9]*$`)

func TestRows(t *testing.T) {
	seen := make(map[string]bool)
	for i, r := range table {
		if !r.leads() {
			if r.invariant != "" || r.meaning != "" || i == 0 || table[i-1].name != r.name {
				t.Errorf("row %d, %s: it names no test, and is no further row of the mutant above", i, r.name)
			}
			continue
		}
		if !named.MatchString(r.name) || seen[r.name] {
			t.Errorf("row %d: the name %q is taken, or no word of lower case", i, r.name)
		}
		seen[r.name] = true
		if r.meaning == "" || r.guard == r.instead {
			t.Errorf("%s: it says nothing, or changes nothing", r.name)
		}
	}
}

// Every row names a test that exists.
func TestTestsExist(t *testing.T) {
	for pkg, tests := range testsByPackage(table) {
		code := testCode(t, pkg)
		for _, test := range tests {
			if !strings.Contains(code, "\nfunc "+test+"(t *testing.T)") {
				t.Errorf("no test %s in %q", test, pkg)
			}
		}
	}
}

func testCode(t *testing.T, pkg string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pkg, "*_test.go"))
	if err != nil {
		t.Fatal(err)
	}
	var code strings.Builder
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		code.Write(text)
	}
	return code.String()
}
