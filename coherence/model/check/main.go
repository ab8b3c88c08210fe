// Check runs the models of the protocol through spin: every configuration must be
// searched to the end without an error, and with each guard switched off spin must
// find the counterexample of a property.
//
//	go run ./coherence/model/check [-run regexp] [-parallel n] [-deep] [-v]
//
// It needs spin and gcc. It prints a line each, with -v the counterexamples too,
// and ends with status 1 if a property fails, a search was cut short, or a switch
// goes unnoticed.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"sync"
	"time"
)

func main() {
	only := flag.String("run", "", "run what has a name that matches this regular expression")
	parallel := flag.Int("parallel", 2, "searches to run at once; each may take 2 GB, a deep one 4")
	withDeep := flag.Bool("deep", false, "also search the largest configurations")
	trails := flag.Bool("v", false, "print the counterexamples")
	sources := flag.String("model", "coherence/model", "the directory of the models")
	flag.Parse()
	pattern, err := regexp.Compile(*only)
	if err != nil {
		fatal(err)
	}
	for tool, pkg := range map[string]string{"spin": "spin", "gcc": "gcc"} {
		if _, err := exec.LookPath(tool); err != nil {
			fatal(fmt.Errorf("%s is not installed: apt-get install %s (or see spinroot.com)", tool, pkg))
		}
	}
	dir, err := os.MkdirTemp("", "model")
	if err != nil {
		fatal(err)
	}
	ok := run(&bench{dir: dir, sources: *sources, trails: *trails}, trials(*withDeep), pattern, max(*parallel, 1))
	if err := os.RemoveAll(dir); err != nil {
		fatal(err)
	}
	if !ok {
		os.Exit(1)
	}
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "check:", err)
	os.Exit(1)
}

// run reports whether everything that matches came out as the tables say.
func run(b *bench, all []trial, pattern *regexp.Regexp, parallel int) bool {
	began := time.Now()
	var wrong, done int
	var mu sync.Mutex
	var group sync.WaitGroup
	slots := make(chan struct{}, parallel)
	for i, t := range all {
		if !pattern.MatchString(t.name) {
			continue
		}
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			r, trail, err := b.search(i, t)
			mu.Lock()
			defer mu.Unlock()
			done++
			line, ok := t.verdict(r, err)
			fmt.Printf("%s\n%s", line, trail)
			if !ok {
				wrong++
			}
		})
	}
	group.Wait()
	fmt.Printf("%d searches, %d wrong, in %v\n", done, wrong, time.Since(began).Round(time.Second))
	return wrong == 0 && done > 0
}
