package main

import (
	"reflect"
	"strings"
	"testing"
)

const sample = `date: 2026-11-27
cores: 2
round: 1
goos: linux
cpu: A Processor
BenchmarkRemoteHit/lib=goredis/data=bytes/callers=64-2         	    1000	     10000 ns/op	    900 p99-ns
BenchmarkRemoteHit/lib=tiercache/data=decoded/callers=64-2     	    3000	      4000 ns/op	    600 p99-ns
--- BENCH: BenchmarkRemoteHit/lib=tiercache/data=decoded/callers=64-2
    bench_test.go:1: a note: with a colon
PASS
round: 2
goos: linux
BenchmarkRemoteHit/lib=goredis/data=bytes/callers=64-2         	    1000	     20000 ns/op	    900 p99-ns
BenchmarkRemoteHit/lib=tiercache/data=decoded/callers=64-2     	    3000	      6000 ns/op	    300 p99-ns
PASS
`

func TestParse(t *testing.T) {
	got, err := parse(strings.NewReader(sample))
	if err != nil {
		t.Fatal(err)
	}
	if want := map[string]string{"date": "2026-11-27", "cores": "2", "goos": "linux", "cpu": "A Processor"}; !reflect.DeepEqual(got.header, want) {
		t.Errorf("header = %v, want %v", got.header, want)
	}
	if len(got.lines) != 4 {
		t.Fatalf("%d lines, want 4", len(got.lines))
	}
	want := line{2, "RemoteHit", "tiercache decoded", "callers=64", map[string]float64{"ns/op": 6000, "p99-ns": 300}}
	if !reflect.DeepEqual(got.lines[3], want) {
		t.Errorf("last line = %+v, want %+v", got.lines[3], want)
	}
}

func TestParseName(t *testing.T) {
	for name, want := range map[string][3]string{
		"BenchmarkMemory/lib=ristretto-ttl-16":            {"Memory", "ristretto-ttl", ""},
		"BenchmarkMemory/lib=ristretto-ttl":               {"Memory", "ristretto-ttl", ""},
		"BenchmarkLocalHit/lib=a/data=bytes/keys=x/par=1": {"LocalHit", "a bytes", "keys=x/par=1"},
		"BenchmarkUpdate/lib=goredis-2x2-evalsha/n=1-2":   {"Update", "goredis-2x2-evalsha", "n=1"},
	} {
		if g, v, k := parseName(name); [3]string{g, v, k} != want {
			t.Errorf("parseName(%q) = %q, %q, %q, want %q", name, g, v, k, want)
		}
	}
}

func TestParseRefuses(t *testing.T) {
	for name, text := range map[string]string{
		"a failure":       "BenchmarkX/lib=a-2\t1\t5 ns/op\n--- FAIL: BenchmarkX/lib=b-2\n",
		"the closing one": "FAIL\n",
		"half a result":   "BenchmarkX/lib=a-2\t1\t5\n",
		"no number":       "BenchmarkX/lib=a-2\t1\tfive ns/op\n",
		"no round":        "round: one\n",
	} {
		if r, err := parse(strings.NewReader(text)); err == nil {
			t.Errorf("%s: %+v, want an error", name, r)
		}
	}
}
