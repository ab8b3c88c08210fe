package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"
)

const (
	timeout  = 60 * time.Second // of the test of one row; virtual time makes them short
	baseline = 10 * time.Minute // of the tests of one package without a mutant
)

// run reports whether the tests pass without a mutant and each mutant is killed.
func run(s *suite, rows []row, parallel int) (bool, error) {
	began := time.Now()
	if err := s.build(rows); err != nil {
		return false, err
	}
	built := time.Since(began)
	if err := s.inEffect(rows[0]); err != nil {
		return false, err
	}
	ok, err := s.baseline(rows)
	if err != nil {
		return false, err
	}
	var survivors, killed int
	var mu sync.Mutex
	var group sync.WaitGroup
	slots := make(chan struct{}, max(parallel, 1))
	for _, r := range rows {
		if !r.leads() {
			continue
		}
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			o, testErr := s.test(r)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case testErr != nil:
				err = testErr
			case o.failed:
				killed++
				fmt.Printf("killed    %-14s %-4s by %s in %v\n", r.name, r.invariant, o.by, o.took.Round(10*time.Millisecond))
			default:
				survivors++
				fmt.Printf("SURVIVED  %-14s %-4s %s: %s\n", r.name, r.invariant, r.test, r.meaning)
			}
		})
	}
	group.Wait()
	fmt.Printf("%d killed, %d survived in %v, of which the build took %v\n", killed, survivors,
		time.Since(began).Round(time.Second), built.Round(time.Second))
	return ok && survivors == 0, err
}

// A suite is the test binaries of the packages that have the tests of the table.
type suite struct{ root, dir string }

func (s *suite) binary(pkg string) string {
	return filepath.Join(s.dir, strings.ReplaceAll(pkg, "/", "-")+".test")
}

func (s *suite) build(rows []row) error {
	overlay, err := writeOverlay(s.root, s.dir, rows)
	if err != nil {
		return err
	}
	for pkg := range testsByPackage(rows) {
		cmd := exec.Command("go", "test", "-c", "-cover=false", "-overlay", overlay, "-o", s.binary(pkg), "./"+pkg)
		cmd.Dir = s.root
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build the tests of %s: %w\n%s", pkg, err, out)
		}
	}
	return nil
}

// inEffect returns an error unless the mutant of r dies.
func (s *suite) inEffect(r row) error {
	o, err := s.test(r)
	if err == nil && !o.failed {
		err = fmt.Errorf("%s survives %s: the overlay is not in effect, or the test notices nothing", r.name, r.test)
	}
	return err
}

// baseline reports whether the gated tests and those of the table pass without a
// mutant.
func (s *suite) baseline(rows []row) (bool, error) {
	ok := true
	for pkg, tests := range testsByPackage(rows) {
		o, err := s.run("", pkg, "^(TestGated.*|"+strings.Join(tests, "|")+")$", baseline)
		if err != nil {
			return false, err
		}
		if o.failed {
			fmt.Printf("FAIL without a mutant: %s: %s\n%s\n", pkg, o.by, o.output)
			ok = false
		}
	}
	return ok, nil
}

// testsByPackage returns the top-level tests of the table.
func testsByPackage(rows []row) map[string][]string {
	tests := make(map[string][]string)
	for _, r := range rows {
		if !r.leads() {
			continue
		}
		pkg, test := splitTest(r.test)
		test, _, _ = strings.Cut(test, "/")
		if !slices.Contains(tests[pkg], test) {
			tests[pkg] = append(tests[pkg], test)
		}
	}
	return tests
}

// splitTest takes package.Test/subtest apart.
func splitTest(name string) (pkg, test string) {
	pkg, test, _ = strings.Cut(name, ".")
	return pkg, test
}

// outcome is what became of one run.
type outcome struct {
	failed bool
	by     string // the tests that failed
	took   time.Duration
	output []byte
}

// test runs the test of r against its mutant.
func (s *suite) test(r row) (outcome, error) {
	pkg, test := splitTest(r.test)
	levels := strings.Split(test, "/")
	for i, level := range levels {
		levels[i] = "^" + regexp.QuoteMeta(strings.ReplaceAll(level, " ", "_")) + "$"
	}
	return s.run(r.name, pkg, strings.Join(levels, "/"), timeout)
}

func (s *suite) run(mutant, pkg, pattern string, limit time.Duration) (outcome, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	cmd := exec.CommandContext(ctx, s.binary(pkg), "-test.run", pattern, "-test.v")
	cmd.Dir = filepath.Join(s.root, pkg)
	cmd.Env = append(os.Environ(), variable+"="+mutant)
	began := time.Now()
	out, err := cmd.CombinedOutput()
	o := outcome{failed: err != nil, took: time.Since(began), output: out}
	o.by = strings.Join(failures(string(out), o.failed), ", ")
	if o.failed && o.by == "" {
		o.by = fmt.Sprint(pattern, ": ", err)
	}
	if !runLine.Match(out) {
		return o, fmt.Errorf("no test of %s matches %s: %s", pkg, pattern, out)
	}
	return o, nil
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
