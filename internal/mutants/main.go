package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

func main() {
	only := flag.String("run", "", "run the mutants whose name matches this regular expression")
	parallel := flag.Int("parallel", runtime.NumCPU(), "mutants to run at once")
	overlay := flag.String("overlay", "", "only write overlay.json, and the files it names, into this directory")
	flag.Parse()
	pattern, err := regexp.Compile(*only)
	if err != nil {
		fatal(err)
	}
	root, err := moduleRoot()
	if err != nil {
		fatal(err)
	}
	if *overlay != "" {
		if _, err := writeOverlay(root, *overlay, table); err != nil {
			fatal(err)
		}
		return
	}
	rows := slices.DeleteFunc(slices.Clone(table), func(r row) bool { return !pattern.MatchString(r.name) })
	if len(rows) == 0 {
		fatal(fmt.Errorf("no mutant is called %s", pattern))
	}
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		fatal(err)
	}
	ok, err := run(&suite{root: root, dir: dir}, rows, *parallel)
	if err != nil {
		fatal(fmt.Errorf("%w (the mutated files are in %s)", err, dir))
	}
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

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}
