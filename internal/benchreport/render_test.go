package main

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const root = "../.."

// The plots and the table of targets are what the committed raw output gives.
func TestRenderedIsCommitted(t *testing.T) {
	results, err := readResults(root)
	if err != nil {
		t.Fatal(err)
	}
	if len(results) != len(groups) {
		t.Errorf("raw output of %d groups is kept, of %d", len(results), len(groups))
	}
	files, err := rendered(root, results)
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range files {
		got, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			t.Error(err)
		} else if string(got) != want {
			t.Errorf("%s is not what the raw output gives: go run ./internal/benchreport -render", name)
		}
	}
	plots, err := filepath.Glob(filepath.Join(root, plotsDir, "*.svg"))
	if err != nil || len(plots) != len(results) {
		t.Errorf("%d plots for %d groups, %v", len(plots), len(results), err)
	}
}

func TestPlot(t *testing.T) {
	g, r, _ := sampleRatios(t)
	r.lines[1].variant = `a <b> & "c"`
	r.lines[3].variant = r.lines[1].variant
	svg := plot(g, r)
	for dec := xml.NewDecoder(strings.NewReader(svg)); ; {
		if _, err := dec.Token(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatalf("not XML: %v\n%s", err, svg)
		}
	}
	for _, part := range []string{"RemoteHit", "0.35x", "A Processor, 2 cores", "2026-11-27", "prefers-color-scheme:dark"} {
		if !strings.Contains(svg, part) {
			t.Errorf("the plot does not say %q", part)
		}
	}
}

func TestAxis(t *testing.T) {
	for name, a := range map[string]axis{
		"logarithm": newAxis(group{}, []ratio{{over: spread{0.2, 3, 2000}}}),
		"shares":    newAxis(group{higher: true}, []ratio{{over: spread{0.2, 0.9, 1.3}}}),
	} {
		left, right := a.x(0.2), a.x(1.3)
		if left < labelWidth || right > plotWidth-valueWidth || left >= right {
			t.Errorf("%s: 0.2 at %v, 1.3 at %v", name, left, right)
		}
		if ticks := a.ticks(); len(ticks) < 3 || len(ticks) > 14 {
			t.Errorf("%s: ticks at %v", name, ticks)
		}
	}
}

func TestWithTable(t *testing.T) {
	page := "before\n" + tableBegin + "old\n" + tableEnd + "after\n"
	got, err := withTable(page, "new\n")
	if want := strings.Replace(page, "old", "new", 1); err != nil || got != want {
		t.Errorf("withTable = %q, %v, want %q", got, err, want)
	}
	for _, broken := range []string{"", tableBegin, tableEnd, tableEnd + tableBegin} {
		if got, err := withTable(broken, "new\n"); err == nil {
			t.Errorf("withTable(%q) = %q, want an error", broken, got)
		}
	}
}

func TestPlan(t *testing.T) {
	if p, err := planFor("", 0, true, ""); err != nil || p.rounds != 3 || len(p.groups) != len(groups) || len(p.sizes()) != 0 {
		t.Errorf("quick: %+v, %v", p, err)
	}
	if p, err := planFor("Herd", 5, false, ""); err != nil || p.rounds != 5 || len(p.groups) != 1 || len(p.sizes()) == 0 {
		t.Errorf("one group: %+v, %v", p, err)
	}
	for _, bad := range []struct {
		name   string
		rounds int
	}{{"Nothing", 1}, {"Herd", -1}} {
		if p, err := planFor(bad.name, bad.rounds, true, ""); err == nil {
			t.Errorf("%+v: %+v, want an error", bad, p)
		}
	}
}
