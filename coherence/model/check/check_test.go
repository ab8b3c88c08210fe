package main

import (
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const good = `State-vector 148 byte, depth reached 361, errors: 0
    78855 states, stored
  298.308	total actual memory usage
pan: elapsed time 0.36 seconds
`

func TestParse(t *testing.T) {
	failed := strings.Replace("pan:1: assertion violated I11 (at depth 47)\nWarning: Search not completed\n"+good, "errors: 0", "errors: 1", 1)
	for _, c := range []struct {
		name, out string
		err       error
		want      result
	}{
		{"whole", good, nil, result{states: 78855, depth: 361, memory: 298.308, seconds: 0.36, whole: true}},
		{"violated", failed, nil, result{errors: 1, violated: "I11", states: 78855, depth: 361, memory: 298.308, seconds: 0.36}},
		{"too deep", "error: max search depth too small\n" + good, nil, result{states: 78855, depth: 361, memory: 298.308, seconds: 0.36}},
		{"memory", "pan: reached -DMEMLIM bound\n" + good, nil, result{states: 78855, depth: 361, memory: 298.308, seconds: 0.36}},
		{"killed", good, errors.New("killed"), result{states: 78855, depth: 361, memory: 298.308, seconds: 0.36}},
	} {
		got, err := parse(c.out, c.err)
		if err != nil || got != c.want {
			t.Errorf("%s: parse = %+v, %v; want %+v", c.name, got, err, c.want)
		}
	}
	if _, err := parse("Segmentation fault\n", errors.New("exit status 139")); err == nil {
		t.Error("parse made a result of a crash")
	}
}

func TestVerdict(t *testing.T) {
	plain, off := trial{name: "full"}, trial{name: "NO_GEN", guard: "NO_GEN", expect: "I1"}
	for _, c := range []struct {
		t    trial
		r    result
		err  error
		want bool
	}{
		{plain, result{whole: true}, nil, true},
		{plain, result{}, nil, false},
		{plain, result{errors: 1, violated: "I5"}, nil, false},
		{plain, result{}, errors.New("gcc failed"), false},
		{off, result{errors: 1, violated: "I1"}, nil, true},
		{off, result{errors: 1, violated: "I5"}, nil, false},
		{off, result{whole: true}, nil, false},
	} {
		if line, ok := c.t.verdict(c.r, c.err); ok != c.want {
			t.Errorf("verdict(%+v) = %v: %s", c.r, ok, line)
		}
	}
}

func TestClaims(t *testing.T) {
	for options, want := range map[string]string{
		full: "I1 I5 I6 I11", fenced: "I1 I5 I6 I9 I11", warm: "I1 I5 I6", other + " OWN": "I1 I5 I6 I9 I14",
	} {
		if got := (trial{options: options}).claims(); got != want {
			t.Errorf("%s claims %s, want %s", options, got, want)
		}
	}
}

var (
	tested  = regexp.MustCompile(`(?m)^#(?:ifn?def (\w+)|if)|defined\((\w+)\)`)
	choices = []string{"FINE", "LATE", "OWN", "REFRESH", "WARM", // configurations, not guards
		"MAXENTRY", "MAXEPOCH", "ROLLBACKS", "CRASHES", "RING", "WRITERS", "UPDATES", "OBSERVED", "WATCHED",
		"COARSE", "FLUSH", "REGISTRY", "BUS", "RECORD", "PROMPT", "ROLLBACK", "JOINS", "READERS", "ON0", "ON1"}
)

// Every switch of a model stands in its table and in README.md, and none else.
func TestTableIsComplete(t *testing.T) {
	for model, table := range map[string][]trial{"": switches, strong: strongSwitches} {
		t.Run("model "+model, func(t *testing.T) { complete(t, model, table) })
	}
}

func complete(t *testing.T, model string, table []trial) {
	files, err := filepath.Glob(filepath.Join("..", model, "*.pml"))
	if err != nil || len(files) == 0 {
		t.Fatal("no model: ", err)
	}
	known := map[string]bool{}
	for _, f := range files {
		for _, m := range tested.FindAllStringSubmatch(read(t, f), -1) {
			if name := m[1] + m[2]; name != "" && !slices.Contains(choices, name) {
				known[name] = true
			}
		}
	}
	listed := map[string]bool{}
	text := read(t, "../README.md")
	for _, s := range table {
		if s.model != model || listed[s.guard] || !known[s.guard] {
			t.Errorf("%s stands twice in the table, or not in the model %q", s.guard, model)
		}
		if !strings.Contains(text, "`"+s.guard+"`") {
			t.Errorf("README.md does not explain %s", s.guard)
		}
		listed[s.guard] = true
	}
	for name := range known {
		if !listed[name] {
			t.Errorf("the table does not have the switch %s", name)
		}
	}
}

func read(t *testing.T, file string) string {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
