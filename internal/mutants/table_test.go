package main

import (
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const root = "../.."

// Every mutant stands in the table once, and every mutation names a test that
// exists.
func TestTableIsComplete(t *testing.T) {
	var listed []string
	for _, m := range table {
		listed = append(listed, m.name)
		test, _, _ := strings.Cut(strings.TrimPrefix(m.test, "^"), "$")
		if !strings.Contains(tests(t, m.pkg), "func "+test+"(") {
			t.Errorf("%s: no test %s in %s", m.name, test, m.pkg)
		}
	}
	slices.Sort(listed)
	if known := mutants(t); !slices.Equal(listed, known) {
		t.Errorf("the table has %v\nof the mutants %v", listed, known)
	}
}

var named = regexp.MustCompile(`(?m)^\t(?:\w+ += is\(|\{)"(\w+)"`)

// mutants reads the names out of the switches and the cuts.
func mutants(t *testing.T) (names []string) {
	t.Helper()
	for _, file := range []string{"on.go", "mutant.go"} {
		text, err := os.ReadFile(filepath.Join(root, "internal/mutant", file))
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range named.FindAllStringSubmatch(string(text), -1) {
			names = append(names, m[1])
		}
	}
	slices.Sort(names)
	return names
}

func tests(t *testing.T, pkg string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(root, pkg, "gated*_test.go"))
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

func TestFailures(t *testing.T) {
	for output, want := range map[string]string{
		"=== RUN   TestA\n--- FAIL: TestA (0.00s)\nFAIL\n":                                     "TestA",
		"=== RUN   TestA\n--- PASS: TestA (0.00s)\nPASS\n":                                     "",
		"=== RUN   TestA\n--- PASS: TestA (0.00s)\n=== RUN   TestB\npanic: test timed out\n":   "TestB (panic or timeout)",
		"=== RUN   TestA\n=== RUN   TestA/x\n--- FAIL: TestA (0.00s)\n    --- FAIL: TestA/x\n": "TestA",
	} {
		if got := strings.Join(failures(output, !strings.Contains(output, "PASS\n")), ", "); got != want {
			t.Errorf("failures(%q) = %q, want %q", output, got, want)
		}
	}
}
