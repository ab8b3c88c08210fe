package main

import (
	"bufio"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
)

// raw is the parsed output of a group's rounds.
type raw struct {
	header map[string]string // of the first round
	lines  []line
}

// A line is one result of one benchmark.
type line struct {
	round         int
	group         string
	variant, kase string // of the parts of its name: lib and data, and the others
	values        map[string]float64
}

// parse reads output of go test with configuration lines ("key: value"), of which
// "round" counts the rounds. Other text is passed over; a line that begins as a
// result and is none is an error, as is a failure that go test reports.
func parse(r io.Reader) (raw, error) {
	out := raw{header: make(map[string]string)}
	round := 0
	text := bufio.NewScanner(r)
	for number := 1; text.Scan(); number++ {
		s := text.Text()
		switch key, value, isConfig := strings.Cut(s, ": "); {
		case strings.HasPrefix(s, "--- FAIL"), s == "FAIL":
			return raw{}, fmt.Errorf("line %d: a benchmark has failed", number)
		case strings.HasPrefix(s, "Benchmark") && strings.Contains(s, "\t"):
			l, err := parseLine(s)
			if err != nil {
				return raw{}, fmt.Errorf("line %d: %w", number, err)
			}
			l.round = round
			out.lines = append(out.lines, l)
		case isConfig && key == "round":
			n, err := strconv.Atoi(value)
			if err != nil {
				return raw{}, fmt.Errorf("line %d: round %q", number, value)
			}
			round = n
		case isConfig && !strings.ContainsAny(key, " \t"):
			if _, known := out.header[key]; !known {
				out.header[key] = value
			}
		}
	}
	return out, text.Err()
}

// parseLine reads "BenchmarkGroup/lib=x/case-procs  n  value unit  value unit ...".
func parseLine(s string) (line, error) {
	fields := strings.Fields(s)
	if len(fields) < 4 || len(fields)%2 != 0 {
		return line{}, fmt.Errorf("not a result: %q", s)
	}
	l := line{values: make(map[string]float64)}
	l.group, l.variant, l.kase = parseName(fields[0])
	for i := 2; i < len(fields); i += 2 {
		v, err := strconv.ParseFloat(fields[i], 64)
		if err != nil {
			return line{}, fmt.Errorf("not a result: %q", s)
		}
		l.values[fields[i+1]] = v
	}
	return l, nil
}

func parseName(name string) (group, variant, kase string) {
	name = strings.TrimPrefix(name, "Benchmark")
	if at := strings.LastIndexByte(name, '-'); at >= 0 {
		if _, err := strconv.Atoi(name[at+1:]); err == nil {
			name = name[:at] // GOMAXPROCS
		}
	}
	parts := strings.Split(name, "/")
	var own, rest []string
	for _, part := range parts[1:] {
		key, value, _ := strings.Cut(part, "=")
		if key == "lib" || key == "data" {
			own = append(own, value)
		} else {
			rest = append(rest, part)
		}
	}
	return parts[0], strings.Join(own, " "), strings.Join(rest, "/")
}

// cases returns the cases in the order of the output.
func (r raw) cases() (cases []string) {
	for _, l := range r.lines {
		if !slices.Contains(cases, l.kase) {
			cases = append(cases, l.kase)
		}
	}
	return cases
}

// variants returns the variants of a case in the order of the output.
func (r raw) variants(kase string) (variants []string) {
	for _, l := range r.lines {
		if l.kase == kase && !slices.Contains(variants, l.variant) {
			variants = append(variants, l.variant)
		}
	}
	return variants
}

// series returns a metric by round.
func (r raw) series(variant, kase, metric string) map[int]float64 {
	values := make(map[int]float64)
	for _, l := range r.lines {
		if v, ok := l.values[metric]; ok && l.variant == variant && l.kase == kase {
			values[l.round] = v
		}
	}
	return values
}
