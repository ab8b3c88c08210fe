package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/internal/redistest"
)

// mainEnv makes the test binary the command.
const mainEnv = "TIERCACHE_CHAOS_MAIN"

func TestMain(m *testing.M) {
	_, node := os.LookupEnv(nodeEnv)
	_, command := os.LookupEnv(mainEnv)
	if node || command {
		main()
		return
	}
	goleak.VerifyTestMain(m, redistest.LateDials()...)
}

func lastLine(t *testing.T, out string) (r Result) {
	t.Helper()
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if err := json.Unmarshal([]byte(lines[len(lines)-1]), &r); err != nil {
		t.Fatalf("the last line is no result: %v\n%s", err, out)
	}
	return r
}

func TestRun(t *testing.T) {
	redistest.Need(t, "chaos on a private redis-server")
	var out bytes.Buffer
	o := options{nodes: 3, length: 5 * time.Second, seed: 1, json: true, topology: "standalone"}
	if err := run(t.Context(), o, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	r := lastLine(t, out.String())
	if r.Reads < 1000 || r.Updates == 0 || r.Invalidations == 0 || len(r.Faults) < 2 || r.BoundMS != 1000 || r.Seed != 1 {
		t.Errorf("result %+v", r)
	}
}

func TestStrongRun(t *testing.T) {
	redistest.Need(t, "chaos -strong on a private redis-server")
	var out bytes.Buffer
	o := options{nodes: 2, length: 8 * time.Second, seed: 1, json: true, topology: "standalone", strong: true, html: t.TempDir(),
		least: 10000, kinds: []string{"node joins in an Update", "pub/sub killed"}}
	if err := run(t.Context(), o, &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	r := lastLine(t, out.String())
	s := r.Strong
	if s == nil || s.Operations < o.least || s.Writes < 10 || s.Parts < keys || s.LocalHits == 0 || s.LongestWait[calm] == 0 {
		t.Errorf("result %+v, %+v", r, s)
	}
}

// A Redis that is not ours keeps its data and what is not of the run, and nothing of the run stays.
func TestRunOnForeignRedis(t *testing.T) {
	server := redistest.RunServer(t)
	rdb := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer rdb.Close()
	if err := rdb.Set(t.Context(), "foreign", "1", 0).Err(); err != nil {
		t.Fatal(err)
	}
	o := options{nodes: 2, length: 4 * time.Second, seed: 1, topology: "standalone", redis: server.Addr()}
	if err := run(t.Context(), o, io.Discard); err != nil {
		t.Fatal(err)
	}
	if got, err := rdb.Keys(t.Context(), "*").Result(); err != nil || len(withoutLocks(got)) != 1 {
		t.Errorf("keys left: %q, %v, want the foreign one only", got, err)
	}
}

// withoutLocks leaves out the locks of refreshes, which live for less than a second.
func withoutLocks(keys []string) (out []string) {
	for _, key := range keys {
		if !strings.Contains(key, ":~r:") {
			out = append(out, key)
		}
	}
	return out
}

func TestUnknownFault(t *testing.T) {
	redistest.Need(t, "chaos on a private redis-server")
	o := options{nodes: 2, length: time.Second, seed: 1, topology: "standalone", kinds: []string{"link cut", "sunspots"}}
	if err := run(t.Context(), o, io.Discard); err == nil || !strings.Contains(err.Error(), "sunspots") {
		t.Errorf("error %v, want one that names the unknown kind", err)
	}
}

// TestMutantsAreCaught takes guards out of the library and wants the command to notice: a run that cannot fail
// proves nothing.
func TestMutantsAreCaught(t *testing.T) {
	redistest.Need(t, "chaos against mutants")
	dir := t.TempDir()
	binary := filepath.Join(dir, "chaos")
	for _, args := range [][]string{
		{"run", "../mutants", "-overlay", dir},
		{"build", "-cover=false", "-overlay", filepath.Join(dir, "overlay.json"), "-o", binary, "."},
	} {
		if out, err := exec.Command("go", args...).CombinedOutput(); err != nil {
			t.Fatalf("go %v: %v\n%s", args, err, out)
		}
	}
	for _, m := range []struct {
		mutant, rule string
		args         []string
	}{
		{"", "", []string{"-for", "3s"}},
		{"nogen", "I14: ", nil}, // and the run ends before the bound is broken
		{"nolease", "I1: ", []string{"-faults", "link in a hole"}},
		{"noack", "I15: ", []string{"-strong", "-html", t.TempDir(), "-faults", "link in a hole"}},
		{"afterwrite", "I15: ", []string{"-strong", "-html", t.TempDir(), "-faults", "link in a hole"}},
	} {
		t.Run("mutant="+m.mutant, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
			defer cancel()
			cmd := exec.CommandContext(ctx, binary, append([]string{"-for", "60s", "-seed", "1", "-json"}, m.args...)...)
			cmd.Env = append(os.Environ(), "TIERCACHE_MUTANT="+m.mutant)
			out, err := cmd.Output()
			r := lastLine(t, string(out))
			if m.rule == "" {
				if err != nil || r.Violations > 0 {
					t.Errorf("%v\n%s", err, out)
				}
				return
			}
			if cmd.ProcessState.ExitCode() != 1 || r.Violations == 0 || !strings.Contains(string(out), m.rule) {
				t.Errorf("%v, %d violations, want exit status 1 and one of %s\n%s", err, r.Violations, m.rule, out)
			}
		})
	}
}
