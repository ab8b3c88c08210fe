// Mutants proves that the gated tests notice the loss of every guard of the
// protocol. It builds the test binaries once with the tag mutants, runs the gated
// tests without a mutant, which must pass, and then those that the table names
// against each mutant, which must fail.
//
//	go run ./internal/mutants [-run regexp] [-parallel n]
//
// It prints a line for each mutant and ends with status 1 if one survives.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"time"
)

const (
	timeout = 60 * time.Second // of one run; virtual time makes them short
	gated   = "^TestGated"
)

func main() {
	only := flag.String("run", "", "run the mutants whose name matches this regular expression")
	parallel := flag.Int("parallel", runtime.NumCPU(), "mutants to run at once")
	flag.Parse()
	pattern, err := regexp.Compile(*only)
	if err != nil {
		fatal(err)
	}
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		fatal(err)
	}
	ok := run(&suite{dir: dir}, pattern, *parallel)
	if err := os.RemoveAll(dir); err != nil {
		fatal(err)
	}
	if !ok {
		os.Exit(1)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "mutants:", err)
	os.Exit(1)
}

// run reports whether the tests pass without a mutant and each mutant is killed.
func run(s *suite, pattern *regexp.Regexp, parallel int) bool {
	began := time.Now()
	if err := s.build(); err != nil {
		fatal(err)
	}
	ok := true
	for _, p := range packages {
		if o := s.test(mutation{pkg: p, test: gated}); o.failed {
			fmt.Printf("FAIL without a mutant: %s: %s\n%s\n", p, o.by, o.output)
			ok = false
		}
	}
	var survivors, killed int
	var mu sync.Mutex
	var group sync.WaitGroup
	slots := make(chan struct{}, max(parallel, 1))
	for _, m := range table {
		if !pattern.MatchString(m.name) {
			continue
		}
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			o := s.test(m)
			mu.Lock()
			defer mu.Unlock()
			if o.failed {
				killed++
				fmt.Printf("killed    %-14s %-4s by %s in %v\n", m.name, m.invariant, o.by, o.took.Round(10*time.Millisecond))
			} else {
				survivors++
				fmt.Printf("SURVIVED  %-14s %-4s %s\n", m.name, m.invariant, m.test)
			}
		})
	}
	group.Wait()
	fmt.Printf("%d killed, %d survived in %v\n", killed, survivors, time.Since(began).Round(time.Second))
	return ok && survivors == 0
}

// A suite is the test binaries of the packages, built with the tag mutants.
type suite struct{ dir string }

func (s *suite) binary(pkg string) string {
	return filepath.Join(s.dir, filepath.Base(pkg)+".test")
}

func (s *suite) build() error {
	for _, p := range packages {
		cmd := exec.Command("go", "test", "-c", "-tags", "mutants", "-o", s.binary(p), "./"+p)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build the tests of %s: %w\n%s", p, err, out)
		}
	}
	return nil
}

// outcome is what became of one run.
type outcome struct {
	failed bool
	by     string // the tests that failed
	took   time.Duration
	output []byte
}

// test runs a mutation's tests against its mutant.
func (s *suite) test(m mutation) outcome {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	binary := s.binary(m.pkg)
	cmd := exec.CommandContext(ctx, binary, "-test.run", m.test, "-test.v")
	cmd.Dir = m.pkg
	cmd.Env = append(os.Environ(), "TIERCACHE_MUTANT="+m.name)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	o := outcome{failed: err != nil, took: time.Since(began), output: out}
	o.by = strings.Join(failures(string(out), o.failed), ", ")
	if o.failed && o.by == "" {
		o.by = fmt.Sprint(m.test, ": ", err)
	}
	if !o.failed && strings.Contains(string(out), "no tests to run") {
		fatal(fmt.Errorf("%s: no test matches %s", m.name, m.test))
	}
	return o
}

var (
	failLine = regexp.MustCompile(`(?m)^--- FAIL: (\S+)`)
	runLine  = regexp.MustCompile(`(?m)^=== RUN   (\S+)`)
)

// failures names the tests that failed. A process that died did so in the last one
// that it began.
func failures(output string, failed bool) []string {
	var names []string
	for _, m := range failLine.FindAllStringSubmatch(output, -1) {
		names = append(names, m[1])
	}
	if begun := runLine.FindAllStringSubmatch(output, -1); failed && len(names) == 0 && begun != nil {
		names = append(names, begun[len(begun)-1][1]+" (panic or timeout)")
	}
	return names
}
