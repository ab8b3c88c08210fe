package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
)

// Result is what a run has shown.
type Result struct {
	Seed          uint64           `json:"seed"`
	Topology      string           `json:"topology"`
	Nodes         int              `json:"nodes"`
	Seconds       float64          `json:"seconds"`
	Reads         int              `json:"reads"` // checked, every one
	Updates       int              `json:"updates"`
	Invalidations int              `json:"invalidations"`
	Errors        map[string]int   `json:"errors"` // calls that failed as they may
	Events        map[string]int   `json:"events"` // what the nodes said of themselves
	Faults        map[string]int   `json:"faults"`
	OldestMS      map[string]int64 `json:"oldest_ms,omitempty"` // by fault at work: how long after the write that replaced it a value was served
	BoundMS       int64            `json:"bound_ms"`
	Violations    int              `json:"violations"`
	Recoveries    []Recovery       `json:"recoveries_ms,omitempty"`
	Strong        *Histories       `json:"strong,omitempty"` // what porcupine has checked, with -strong
}

// errorCounts are the counts of calls that failed.
var errorCounts = []string{"reads failed", "updates refused", "updates failed", "updates unconfirmed", "invalidations unconfirmed", "joins refused"}

func (d *director) result(o options, recoveries []Recovery) Result {
	f := d.fleet
	f.checker.record.mu.Lock()
	defer f.checker.record.mu.Unlock()
	r := Result{
		Seed: o.seed, Topology: o.topology, Nodes: o.nodes, Seconds: now().sub(f.record.began).Seconds(),
		Reads: f.checker.reads, Errors: make(map[string]int), Events: make(map[string]int), Faults: d.struckSoFar(),
		BoundMS: bound.Milliseconds(), Violations: len(f.checker.wrong), Recoveries: recoveries,
	}
	for what, n := range f.counted() {
		switch {
		case what == "updates":
			r.Updates = n
		case what == "invalidations":
			r.Invalidations = n
		case slices.Contains(errorCounts, what):
			r.Errors[what] = n
		default:
			r.Events[what] = n
		}
	}
	if f.histories != nil {
		sums := f.histories.sum()
		r.Strong, r.Reads = &sums, sums.Operations-sums.Writes
		return r
	}
	r.OldestMS = make(map[string]int64)
	for kind, age := range f.checker.oldest {
		r.OldestMS[kind] = age.Milliseconds()
	}
	return r
}

// shown reports whether the run has shown anything.
func (r Result) shown() bool {
	return r.Reads > 0 && r.Updates > 0 && len(r.Faults) > 0 && (r.Strong == nil || r.Strong.LocalHits > 0)
}

func (r Result) print(w io.Writer) {
	fmt.Fprintf(w, "\n%d reads checked, %d updates, %d invalidations by %d nodes in %.0f s\n", r.Reads, r.Updates, r.Invalidations, r.Nodes, r.Seconds)
	for _, what := range slices.Sorted(maps.Keys(r.Errors)) {
		fmt.Fprintf(w, "  %-30s %d\n", what, r.Errors[what])
	}
	for _, what := range slices.Sorted(maps.Keys(r.Events)) {
		fmt.Fprintf(w, "  %-30s %d\n", what, r.Events[what])
	}
	r.printFaults(w)
	if n := len(r.Recoveries); n > 0 {
		fmt.Fprintf(w, "\n%d failovers, ms from the kill (least / median / most)\n", n)
		for _, m := range []struct {
			what string
			of   func(Recovery) int64
		}{
			{"another master", func(r Recovery) int64 { return r.Promoted }},
			{"every node in step", func(r Recovery) int64 { return r.InStep }},
			{"first successful Update", func(r Recovery) int64 { return r.Update }},
			{"hit ratio regained", func(r Recovery) int64 { return r.Warm }},
			{"lowest hit ratio, per mille", func(r Recovery) int64 { return int64(1000 * r.Lowest) }},
		} {
			fmt.Fprintf(w, "  %-30s %v\n", m.what, spreadOf(r.Recoveries, m.of))
		}
	}
	fmt.Fprintf(w, "\n%d violations, seed %d\n", r.Violations, r.Seed)
}

// printFaults prints a row for each kind, and what it did.
func (r Result) printFaults(w io.Writer) {
	what, worst := "oldest value served while it was at work", r.OldestMS
	if s := r.Strong; s != nil {
		fmt.Fprintf(w, "\n%d operations given to porcupine, %d of them writes, on %d keys, in %d parts of up to %d\n",
			s.Operations, s.Writes, s.Keys, s.Parts, s.LongestPart)
		fmt.Fprintf(w, "  %-30s %d\n  %-30s %d\n", "reads served from memory", s.LocalHits, "writes in doubt", s.InDoubt)
		what, worst = "longest wait of a write while it was at work", s.LongestWait
	}
	fmt.Fprintf(w, "\n%-48s %6s  %s\n", "fault", "times", what)
	for _, kind := range slices.Sorted(maps.Keys(worst)) {
		times := strconv.Itoa(r.Faults[kind])
		if kind == calm {
			times = ""
		}
		fmt.Fprintf(w, "%-48s %6s  %d ms\n", kind, times, worst[kind])
	}
	fmt.Fprintf(w, "%-48s %6s  %d ms\n", "the bound", "", r.BoundMS)
}

func (r Result) printJSON(w io.Writer) error { return json.NewEncoder(w).Encode(r) }

// tellViolations prints what is wrong, the first ones in full.
func (c *checker) tellViolations(w io.Writer) {
	c.record.mu.Lock()
	defer c.record.mu.Unlock()
	for i, what := range c.wrong {
		if i == 2*reportedInFull {
			fmt.Fprintf(w, "... and %d more\n", len(c.wrong)-i)
			return
		}
		fmt.Fprintf(w, "VIOLATION %s\n", what)
	}
}
