package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// small is a module whose only test says what its functions return.
var small = map[string]string{
	"go.mod": "module small\n\ngo 1.25\n",
	"a/echo.lua": `if a then return 1 end
return 2
`,
	"a/a.go": `package a

import _ "embed"

//go:embed echo.lua
var echo string

var Echo = echo + "" // made before any init runs

type T[V any] struct{ v V }

func (t *T[V]) get(n int) (V, bool) { return t.v, n > 0 && n < 10 || n == 20 }

func (t T[V]) other() bool { return false }

func other() bool { return true }

func nested(a, b, c bool) bool {
	return a && (b || !c) // one guard in another
}

func order() (s string) {
	s += "a"
	s += "b"
	return s
}

func declares(n int) (int, error) {
	var err error
	x, err := double(n)
	if err != nil {
		return 0, err
	}
	x++
	return x, nil
}

func double(n int) (int, error) { return n + n, nil }

func argument(n int) int {
	for i := 0; i < n; i++ {
		switch {
		case i > 3:
			n = add(n, 1)
			return n
		}
	}
	return add(n, 2)
}

func add(a, b int) int { return a + b }

func wait(c chan int) int {
	select {
	case n := <-c:
		return n
	default:
		return 0
	}
}
`,
	"a/a_test.go": `package a

import (
	"fmt"
	"testing"
)

func Test(t *testing.T) {
	c := make(chan int, 1)
	c <- 7
	x := &T[int]{5}
	v, in := x.get(20)
	d, err := declares(4)
	fmt.Println(len(Echo), v, in, x.other(), other(), nested(true, false, true), order(), d, err, argument(2), argument(9), wait(c))
}
`,
}

var smallRows = []row{
	{name: "script", place: "a/echo.lua", guard: "if a then return 1 end\n", instead: ""},
	{name: "script2", place: "a/echo.lua", guard: "return 2", instead: ""},
	{name: "operand", place: "a/a.go:get", guard: "n == 20", instead: "false"},
	{name: "result", place: "a/a.go:T.get", guard: "return t.v, n > 0 && n < 10 || n == 20", instead: "return t.v, n > 100"},
	{name: "method", place: "a/a.go:T.other", guard: "return false", instead: "return true"},
	{name: "outer", place: "a/a.go:nested", guard: "b||!c", instead: "b || c"},
	{name: "inner", place: "a/a.go:nested", guard: "!c", instead: "c"},
	{name: "inner2", place: "a/a.go:nested", guard: "!c", instead: "len([]int{1}) > 0"},
	{name: "swap", place: "a/a.go:order", guard: `s += "a"`, instead: `s += "b"; s += "a"`},
	{name: "swap", place: "a/a.go:order", guard: `s += "b"`},
	{name: "drop", place: "a/a.go:order", guard: `s += "b"`},
	{name: "define", place: "a/a.go:declares", guard: "x, err := double(n)", instead: "x := 40"},
	{name: "define2", place: "a/a.go:declares", guard: "x, err := double(n)", instead: "x := 50"},
	{name: "define2", place: "a/a.go:declares", guard: "x++"},
	{name: "in define", place: "a/a.go:declares", guard: "double(n)", instead: "double(n * 10)"},
	{name: "argument", place: "a/a.go:argument", guard: "2", instead: "20"},
	{name: "case", place: "a/a.go:argument", guard: "i > 3", instead: "i > 0"},
	{name: "comm", place: "a/a.go:wait", guard: "c", instead: "make(chan int)"},
}

func writeSmall(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "a"), 0o755); err != nil {
		t.Fatal(err)
	}
	for name, text := range small {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// One build serves every mutant, and each changes what it says and nothing else.
func TestMutate(t *testing.T) {
	dir := writeSmall(t)
	s := &suite{root: dir, dir: t.TempDir()}
	rows := append([]row{{name: "", place: "a/a.go:order", guard: "return s", instead: "return s", test: "a.Test"}}, smallRows...)
	if err := s.build(rows); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{
		"":          "32 5 true false true false ab 9 <nil> 4 10 7",
		"script":    "9 5 true false true false ab 9 <nil> 4 10 7",
		"script2":   "24 5 true false true false ab 9 <nil> 4 10 7",
		"operand":   "32 5 false false true false ab 9 <nil> 4 10 7",
		"result":    "32 5 false false true false ab 9 <nil> 4 10 7",
		"method":    "32 5 true true true false ab 9 <nil> 4 10 7",
		"outer":     "32 5 true false true true ab 9 <nil> 4 10 7",
		"inner":     "32 5 true false true true ab 9 <nil> 4 10 7",
		"inner2":    "32 5 true false true true ab 9 <nil> 4 10 7",
		"swap":      "32 5 true false true false ba 9 <nil> 4 10 7",
		"drop":      "32 5 true false true false a 9 <nil> 4 10 7",
		"define":    "32 5 true false true false ab 41 <nil> 4 10 7",
		"define2":   "32 5 true false true false ab 50 <nil> 4 10 7",
		"in define": "32 5 true false true false ab 81 <nil> 4 10 7",
		"argument":  "32 5 true false true false ab 9 <nil> 22 10 7",
		"case":      "32 5 true false true false ab 9 <nil> 3 10 7",
		"comm":      "32 5 true false true false ab 9 <nil> 4 10 0",
	} {
		if o, err := s.run(name, "a", "^Test$", timeout); err != nil || !strings.Contains(string(o.output), "\n"+want+"\n") {
			t.Errorf("%q: %v, %s, want %s", name, err, o.output, want)
		}
	}
}

// A row that does not fit the code is named.
func TestMutateRefuses(t *testing.T) {
	dir := writeSmall(t)
	for want, r := range map[string]row{
		"stands there 0 times":          {place: "a/a.go:add", guard: "a - b", instead: "0"},
		"stands there 3 times":          {place: "a/a.go:get", guard: "n", instead: "0"},
		"two functions of that name":    {place: "a/a.go:other", guard: "false", instead: "true"},
		"has no function \"none\"":      {place: "a/a.go:none", guard: "false", instead: "true"},
		"no such file":                  {place: "a/b.go:add", guard: "a", instead: "b"},
		"is no Go: a +":                 {place: "a/a.go:add", guard: "a + b", instead: "a +"},
		"stands there 0 times, not onc": {place: "a/echo.lua", guard: "return 3", instead: ""},
	} {
		r.name = "bad"
		_, err := mutate(dir, []row{smallRows[0], r})
		if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), "bad: "+r.place) {
			t.Errorf("%v: %v, want %q", r, err, want)
		}
	}
	twice := []row{{name: "bad", place: "a/a.go:add", guard: "a", instead: "0"}, {name: "bad", place: "a/a.go:add", guard: "b", instead: "0"}}
	if _, err := mutate(dir, twice); err == nil || !strings.Contains(err.Error(), "make it one row") {
		t.Errorf("two cuts of one statement: %v", err)
	}
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
