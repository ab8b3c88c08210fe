package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"
)

// playerEnv makes the test binary the program itself, so that tests can run it
// as a process without building it.
const playerEnv = "TIERCACHE_MULTINODE_PLAY"

func TestMain(m *testing.M) {
	if os.Getenv(nodeEnv) != "" || os.Getenv(playerEnv) != "" {
		main()
	}
	os.Exit(m.Run())
}

// lastLine parses what -json promises.
func lastLine(t *testing.T, out string) Programme {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	var p Programme
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &p); err != nil {
		t.Fatalf("the last line is no JSON object: %v\n%s", err, out)
	}
	return p
}

// playScript runs the program in this process with acts of the test's own.
func playScript(t *testing.T, acts []act, args ...string) (int, Programme) {
	t.Helper()
	t.Setenv("TMPDIR", t.TempDir())
	original := script
	script = acts
	defer func() { script = original }()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	var out, errs bytes.Buffer
	code := run(ctx, append([]string{"-nodes", "2", "-json"}, args...), &out, &errs)
	t.Logf("stderr: %s", errs.String())
	return code, lastLine(t, out.String())
}

func TestExitStatus(t *testing.T) {
	kept := act{"kept", "", func(_ context.Context, _ *director, r *Result) error {
		r.check(true, "p", "m")
		return nil
	}}
	broken := act{"broken", "", func(_ context.Context, _ *director, r *Result) error {
		r.check(false, "p", "m")
		r.check(true, "p", "m")
		return nil
	}}
	failed := act{"failed", "", func(context.Context, *director, *Result) error { return io.ErrUnexpectedEOF }}
	for _, tc := range []struct {
		name string
		acts []act
		code int
		run  int // acts
	}{
		{"kept", []act{kept, kept}, 0, 2},
		{"a broken promise lets the story go on", []act{broken, kept}, 1, 2},
		{"a failure ends it", []act{failed, kept}, 1, 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			code, p := playScript(t, tc.acts, "-seed", "7")
			if code != tc.code || p.OK != (tc.code == 0) || len(p.Acts) != tc.run || p.Seed != 7 {
				t.Errorf("exit %d, %+v; want exit %d after %d acts", code, p, tc.code, tc.run)
			}
		})
	}
}

func TestOptions(t *testing.T) {
	for _, tc := range []struct {
		args string
		code int
	}{
		{"-h", 0},
		{"-nodes 1", 2},
		{"-nodes 17", 2},
		{"-acts 9", 2},
		{"-acts 1,x", 2},
		{"-real -redis 127.0.0.1:1", 2},
		{"-unknown", 2},
		{"argument", 2},
	} {
		var out, errs bytes.Buffer
		if code := run(context.Background(), strings.Fields(tc.args), &out, &errs); code != tc.code || errs.Len() == 0 {
			t.Errorf("%s: exit %d, said %q; want exit %d and a word about it", tc.args, code, errs.String(), tc.code)
		}
	}
	opts, err := parseOptions(strings.Fields("-acts 3,1 -nodes 4 -seed 9"), io.Discard)
	if err != nil || !slices.Equal(opts.acts, []int{3, 1}) || opts.nodes != 4 || opts.seed != 9 || opts.backendKind() != "embedded" {
		t.Errorf("parseOptions = %+v, %v", opts, err)
	}
	opts, err = parseOptions(nil, io.Discard)
	if err != nil || len(opts.acts) != len(script) || opts.seed == 0 || opts.nodes != 3 {
		t.Errorf("defaults = %+v, %v", opts, err)
	}
}

func TestTable(t *testing.T) {
	var out bytes.Buffer
	p := Programme{OK: false, Acts: []Result{
		{Act: 1, Checks: []Check{{"a", "long measurement", true}, {"longer promise", "b", false}}},
		{Act: 12, Error: "no"},
	}}
	newScreen(&out).table(p)
	want := []string{
		"",
		"act  promised               measured          verdict",
		"---  ---------------------  ----------------  -------",
		"1    a                      long measurement  kept",
		"1    longer promise         b                 BROKEN",
		"12   the act can be played  it failed         BROKEN",
	}
	got := strings.Split(out.String(), "\n")
	if len(got) < len(want) || !slices.Equal(got[:len(want)], want) || !strings.HasPrefix(got[len(want)], "A PROMISE BROKE") {
		t.Errorf("table:\n%s", out.String())
	}
}
