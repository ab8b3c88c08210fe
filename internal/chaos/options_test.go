package main

import (
	"io"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestOptions(t *testing.T) {
	o, err := parseOptions(strings.Fields("-nodes 4 -for 90s -seed 7 -json -topology cluster"), io.Discard)
	if err != nil || o.nodes != 4 || o.length != 90*time.Second || o.seed != 7 || !o.json || o.topology != "cluster" {
		t.Errorf("parseOptions = %+v, %v", o, err)
	}
	o, err = parseOptions([]string{"-faults", "link cut; node killed"}, io.Discard)
	if err != nil || !slices.Equal(o.kinds, []string{"link cut", "node killed"}) {
		t.Errorf("parseOptions = %+v, %v", o, err)
	}
	o, err = parseOptions([]string{"-strong", "-html", "out", "-least", "5"}, io.Discard)
	if err != nil || !o.strong || o.html != "out" || o.least != 5 {
		t.Errorf("parseOptions = %+v, %v", o, err)
	}
	if o.seed == 0 {
		t.Error("no seed was drawn")
	}
}

func TestOptionsRefused(t *testing.T) {
	for _, x := range []struct{ args, names string }{
		{"-nodes 1", "-nodes"},
		{"-nodes 17", "-nodes"},
		{"-for 10ms", "-for"},
		{"-topology ring", "-topology"},
		{"-redis localhost", "-redis"},
		{"-redis localhost:1 -topology sentinel", "exclude"},
		{"-destructive", "-destructive"},
		{"-failovers -1 -topology cluster", "-failovers"},
		{"-failovers 2", "-failovers"},
		{"-failovers 2 -topology cluster -faults x", "exclude"},
		{"-warm 1s", "-warm"},
		{"-warm 30s -topology cluster", "exclude"},
		{"-html out", "-html"},
		{"-least 5", "-least"},
		{"-strong -least 5 -failovers 1 -topology sentinel", "exclude"},
		{"sixty", "arguments"},
		{"-seed x", "-seed"},
	} {
		if _, err := parseOptions(strings.Fields(x.args), io.Discard); err == nil || !strings.Contains(err.Error(), x.names) {
			t.Errorf("%s: error %v, want one that names %s", x.args, err, x.names)
		}
	}
	_, err := parseOptions(strings.Fields("-nodes 1 -for 0s"), io.Discard)
	if err == nil || !strings.Contains(err.Error(), "-nodes") || !strings.Contains(err.Error(), "-for") {
		t.Errorf("error %v, want both faults", err)
	}
}
