package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

func main() {
	if err := report(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "benchreport:", err)
		os.Exit(1)
	}
}

func report(args []string) error {
	flags := flag.NewFlagSet("benchreport", flag.ContinueOnError)
	quick := flags.Bool("quick", false, "short rounds at small sizes")
	name := flags.String("group", "", "one group only")
	rounds := flags.Int("rounds", 0, "rounds (default 7; 3 with -quick)")
	asJSON := flags.Bool("json", false, "end with one line of JSON: all ratios")
	onlyRender := flags.Bool("render", false, "run nothing: draw what is kept")
	trace := flags.String("trace", "", "a file of one key a line, replayed by group HitRatio")
	if err := flags.Parse(args); err != nil {
		return err
	}
	p, err := planFor(*name, *rounds, *quick, *trace)
	if err != nil {
		return err
	}
	root, err := moduleRoot()
	if err != nil {
		return err
	}
	if !*onlyRender {
		if err := p.run(root, os.Stderr); err != nil {
			return err
		}
	}
	if err := render(root); err != nil {
		return err
	}
	return p.show(root, *asJSON)
}

func planFor(name string, rounds int, quick bool, trace string) (plan, error) {
	p := plan{groups: groups, rounds: rounds, quick: quick}
	if name != "" {
		g, err := groupOf(name)
		if err != nil {
			return plan{}, err
		}
		p.groups = []group{g}
	}
	if rounds < 0 {
		return plan{}, fmt.Errorf("-rounds %d is negative", rounds)
	}
	if rounds == 0 {
		p.rounds = map[bool]int{true: 3, false: 7}[quick]
	}
	if trace != "" {
		var err error
		if p.trace, err = filepath.Abs(trace); err != nil {
			return plan{}, err
		}
	}
	return p, nil
}

// show prints the ratios of the plan's groups.
func (p plan) show(root string, asJSON bool) error {
	results, err := readResults(root)
	if err != nil {
		return err
	}
	var all []ratio
	for _, g := range p.groups {
		of := ratios(g, results[g.name])
		if err := printTable(os.Stdout, of); err != nil {
			return err
		}
		all = append(all, of...)
	}
	if asJSON {
		return printJSON(os.Stdout, all)
	}
	return nil
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("go env GOMOD: %w", err)
	}
	mod := strings.TrimSpace(string(out))
	if filepath.Base(mod) != "go.mod" {
		return "", errors.New("run it inside the module")
	}
	return filepath.Dir(mod), nil
}
