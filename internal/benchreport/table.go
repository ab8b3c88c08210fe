package main

import (
	"encoding/json"
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
)

// printTable writes the ratios of a group for people.
func printTable(w io.Writer, all []ratio) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	last := ""
	for _, r := range all {
		if head := r.group + " " + r.kase + " " + r.metric; head != last {
			last = head
			fmt.Fprintf(t, "\n%s\tmedian\tover the floor\tmin\tmax\n", strings.Join(strings.Fields(head), " "))
		}
		mark := ""
		if r.floor {
			mark = " (floor)"
		}
		fmt.Fprintf(t, "  %s%s\t%s\t%s\t%s\t%s\n", r.variant, mark, amount(r.value.median, r.metric),
			times(r.over.median), times(r.over.min), times(r.over.max))
	}
	return t.Flush()
}

// printJSON writes the ratios on one line for programs.
func printJSON(w io.Writer, all []ratio) error {
	type row struct {
		Group   string  `json:"group"`
		Case    string  `json:"case"`
		Variant string  `json:"variant"`
		Metric  string  `json:"metric"`
		Median  float64 `json:"median"`
		Ratio   float64 `json:"ratio"`
		Min     float64 `json:"min"`
		Max     float64 `json:"max"`
	}
	rows := make([]row, 0, len(all))
	for _, r := range all {
		rows = append(rows, row{r.group, r.kase, r.variant, r.metric, r.value.median, r.over.median, r.over.min, r.over.max})
	}
	line, err := json.Marshal(rows)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(w, "%s\n", line)
	return err
}

// times formats a ratio with three significant digits.
func times(v float64) string { return digits(v) + "x" }

func digits(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v >= 99.95:
		return strconv.FormatFloat(v, 'f', 0, 64)
	case v >= 9.995:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 0.0995:
		return strconv.FormatFloat(v, 'f', 2, 64)
	}
	return strconv.FormatFloat(v, 'g', 2, 64)
}

// amount formats a value of a metric.
func amount(v float64, metric string) string {
	switch {
	case strings.Contains(metric, "ns"):
		for _, unit := range []struct {
			name string
			size float64
		}{{"s", 1e9}, {"ms", 1e6}, {"µs", 1e3}} {
			if v >= unit.size {
				return digits(v/unit.size) + " " + unit.name
			}
		}
		return digits(v) + " ns"
	case metric == "keys/s", metric == "messages/s":
		return digits(v/1e6) + " M " + metric
	case metric == "B/entry":
		return digits(v) + " B"
	}
	return digits(v)
}
