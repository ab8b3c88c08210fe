package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"time"
)

// A plan says what to run.
type plan struct {
	groups []group
	rounds int
	quick  bool
	trace  string // a file for group HitRatio
}

func (p plan) benchtime(g group) string {
	if p.quick {
		return g.quick
	}
	return g.full
}

func (p plan) roundsOf(g group) int {
	if g.steady {
		return min(p.rounds, 2)
	}
	return p.rounds
}

// sizes are the flags of the suite; its defaults are those of a quick run.
func (p plan) sizes() (args []string) {
	if !p.quick {
		args = append(args, "-suite.keys=100000", "-suite.entries=1000000", "-suite.accesses=1000000")
	}
	if p.trace != "" {
		args = append(args, "-suite.trace="+p.trace)
	}
	return args
}

// run carries the plan out and writes the raw output of each group when all rounds
// have passed. Rounds are outermost, so that a group's are spread over the whole run.
func (p plan) run(root string, progress io.Writer) error {
	dir, err := os.MkdirTemp("", "benchreport-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	binary := filepath.Join(dir, "bench.test")
	if err := command(root, progress, "go", "test", "-c", "-o", binary, ".").Run(); err != nil {
		return fmt.Errorf("go test -c: %w", err)
	}
	outputs := make(map[string]*bytes.Buffer)
	for _, g := range p.groups {
		outputs[g.name] = bytes.NewBufferString(p.header(g))
	}
	start := time.Now()
	for round := 1; round <= p.rounds; round++ {
		for _, g := range p.groups {
			if round > p.roundsOf(g) {
				continue
			}
			fmt.Fprintf(progress, "%3.0fs  round %d of %d: %s\n", time.Since(start).Seconds(), round, p.rounds, g.name)
			fmt.Fprintf(outputs[g.name], "round: %d\n", round)
			args := append([]string{"-test.run=^$", "-test.bench=^Benchmark" + g.name + "$", "-test.benchtime=" + p.benchtime(g)}, p.sizes()...)
			cmd := command(root, progress, binary, args...)
			cmd.Stdout = outputs[g.name]
			if err := cmd.Run(); err != nil {
				return fmt.Errorf("group %s: %w\n%s", g.name, err, outputs[g.name])
			}
		}
	}
	return p.keep(root, outputs)
}

// keep writes outputs that can be read and hold results.
func (p plan) keep(root string, outputs map[string]*bytes.Buffer) error {
	if err := os.MkdirAll(filepath.Join(root, resultsDir), 0o755); err != nil {
		return err
	}
	for _, g := range p.groups {
		r, err := parse(bytes.NewReader(outputs[g.name].Bytes()))
		if err == nil && len(r.lines) == 0 {
			err = fmt.Errorf("no results: is redis-server missing?\n%s", outputs[g.name])
		}
		if err != nil {
			return fmt.Errorf("group %s: %w", g.name, err)
		}
		if err := os.WriteFile(filepath.Join(root, resultsDir, g.name+".txt"), outputs[g.name].Bytes(), 0o644); err != nil {
			return err
		}
	}
	return nil
}

func command(root string, errors io.Writer, name string, args ...string) *exec.Cmd {
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Stderr = root, errors
	return cmd
}

// header describes machine and run in configuration lines; go test adds the processor.
func (p plan) header(g group) string {
	var s strings.Builder
	for _, l := range [][2]string{
		{"date", time.Now().UTC().Format(time.DateOnly)},
		{"cores", strconv.Itoa(runtime.NumCPU())},
		{"go", runtime.Version()},
		{"redis", redisVersion()},
		{"load", loadAverage()},
		{"rounds", strconv.Itoa(p.roundsOf(g))},
		{"benchtime", p.benchtime(g)},
		{"sizes", strings.Join(p.sizes(), " ")},
	} {
		fmt.Fprintf(&s, "%s: %s\n", l[0], l[1])
	}
	return s.String()
}

// redisVersion reads "Redis server v=7.0.15 sha=...".
func redisVersion() string {
	out, err := exec.Command("redis-server", "--version").Output()
	_, rest, found := strings.Cut(string(out), "v=")
	version, _, _ := strings.Cut(rest, " ")
	if err != nil || !found {
		return "none"
	}
	return version
}

// loadAverage is that of the last minute, where the system tells it.
func loadAverage() string {
	text, err := os.ReadFile("/proc/loadavg")
	first, _, found := strings.Cut(string(text), " ")
	if err != nil || !found {
		return "unknown"
	}
	return first
}
