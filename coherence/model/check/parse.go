package main

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// result is what pan says at the end of a search.
type result struct {
	errors   int
	violated string // the property, where one was
	states   int
	depth    int
	memory   float64 // MB
	seconds  float64
	whole    bool // every reachable state was visited
}

var (
	countLine    = regexp.MustCompile(`depth reached (\d+), errors: (\d+)`)
	statesLine   = regexp.MustCompile(`(?m)^\s*([\d.e+]+) states, stored`)
	memoryLine   = regexp.MustCompile(`(?m)^\s*([\d.]+)\s+total actual memory usage`)
	secondsLine  = regexp.MustCompile(`pan: elapsed time ([\d.e+]+) seconds`)
	violatedLine = regexp.MustCompile(`(?m)^pan:\d+: assertion violated \(?(\w+)`)
	cutShort     = regexp.MustCompile(`(?i)max search depth too small|out of memory|reached -DMEMLIM|hash conflict limit|search not completed|interrupted|-DBITSTATE|bit statespace|hash-compact`)
)

// parse reads pan's output. err is what its process ended with; pan ends with
// status 0 even if it found an error.
func parse(out string, err error) (result, error) {
	counts := countLine.FindStringSubmatch(out)
	if counts == nil || err != nil && !strings.Contains(out, "errors:") {
		return result{}, fmt.Errorf("pan: no result: %w\n%s", err, out)
	}
	var r result
	r.depth, _ = strconv.Atoi(counts[1])
	r.errors, _ = strconv.Atoi(counts[2])
	r.states = int(number(statesLine, out))
	r.memory = number(memoryLine, out)
	r.seconds = number(secondsLine, out)
	if m := violatedLine.FindStringSubmatch(out); m != nil {
		r.violated = m[1]
	}
	r.whole = err == nil && r.errors == 0 && r.states > 0 && !cutShort.MatchString(out)
	return r, nil
}

func number(line *regexp.Regexp, out string) float64 {
	m := line.FindStringSubmatch(out)
	if m == nil {
		return 0
	}
	n, _ := strconv.ParseFloat(m[1], 64)
	return n
}
