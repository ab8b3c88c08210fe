package main

import (
	"encoding/json"
	"strings"
	"testing"
)

func sampleRatios(t *testing.T) (group, raw, []ratio) {
	t.Helper()
	g, err := groupOf("RemoteHit")
	if err != nil {
		t.Fatal(err)
	}
	r, err := parse(strings.NewReader(sample))
	if err != nil {
		t.Fatal(err)
	}
	return g, r, ratios(g, r)
}

// A ratio is taken within a round: the medians of both sides would give another.
func TestRatiosWithinRounds(t *testing.T) {
	_, _, all := sampleRatios(t)
	for _, want := range []ratio{
		{"RemoteHit", "callers=64", "goredis bytes", "ns/op", spread{10000, 15000, 20000}, spread{1, 1, 1}, true},
		{"RemoteHit", "callers=64", "tiercache decoded", "ns/op", spread{4000, 5000, 6000}, spread{0.3, 0.35, 0.4}, false},
		{"RemoteHit", "callers=64", "tiercache decoded", "p99-ns", spread{300, 450, 600}, spread{300. / 900, 0.5, 600. / 900}, false},
	} {
		found := false
		for _, r := range all {
			found = found || r == want
		}
		if !found {
			t.Errorf("no %+v in %+v", want, all)
		}
	}
}

func TestRatiosNeedAFloor(t *testing.T) {
	g, _ := groupOf("RemoteHit")
	r := raw{lines: []line{{1, "RemoteHit", "tiercache decoded", "callers=1", map[string]float64{"ns/op": 1}}}}
	if got := ratios(g, r); got != nil {
		t.Errorf("without the floor: %+v", got)
	}
	r.lines = append(r.lines, line{2, "RemoteHit", "goredis bytes", "callers=1", map[string]float64{"ns/op": 1}})
	for _, got := range ratios(g, r) {
		if got.variant == "tiercache decoded" {
			t.Errorf("with the floor in another round: %+v", got)
		}
	}
}

func TestSpread(t *testing.T) {
	for _, tc := range []struct {
		values []float64
		want   spread
	}{
		{[]float64{5}, spread{5, 5, 5}},
		{[]float64{3, 1, 2}, spread{1, 2, 3}},
		{[]float64{4, 1, 2, 3}, spread{1, 2.5, 4}},
	} {
		if got := spreadOf(tc.values); got != tc.want {
			t.Errorf("spreadOf(%v) = %v, want %v", tc.values, got, tc.want)
		}
	}
}

func TestTargets(t *testing.T) {
	_, r, _ := sampleRatios(t)
	speed := target{group: "RemoteHit", kase: "callers=64", metric: "ns/op", against: "goredis bytes", inverse: true, atLeast: true, limit: 2.5}
	got, ok := speed.reached(r)
	if !ok || got.min != 2.5 || got.max != 20000./6000 || !speed.meets(got) {
		t.Errorf("%v: reached %v, %t, meets %t", speed, got, ok, speed.meets(got))
	}
	if speed.limit = 3; speed.meets(got) {
		t.Errorf("%v is met by %v", speed, got)
	}
	absolute := target{group: "RemoteHit", kase: "callers=64", metric: "p99-ns", limit: 449}
	if got, ok := absolute.reached(r); !ok || got.median != 450 || absolute.meets(got) {
		t.Errorf("%v: reached %v, %t", absolute, got, ok)
	}
	if got, ok := (target{kase: "callers=8", metric: "ns/op"}).reached(r); ok {
		t.Errorf("a case that was not run: %v", got)
	}
}

// Each target is for something that its group measures.
func TestTargetsNameGroups(t *testing.T) {
	for _, target := range targets() {
		g, err := groupOf(target.group)
		if err != nil {
			t.Error(err)
			continue
		}
		found := false
		for _, m := range g.metrics(target.kase) {
			found = found || m == target.metric
		}
		if !found {
			t.Errorf("%s %s: nothing compares %s", target.group, target.kase, target.metric)
		}
	}
}

func TestJSONIsOneLine(t *testing.T) {
	_, _, all := sampleRatios(t)
	var out strings.Builder
	if err := printJSON(&out, all); err != nil {
		t.Fatal(err)
	}
	if strings.Count(out.String(), "\n") != 1 {
		t.Errorf("not one line: %q", out.String())
	}
	var rows []struct {
		Group, Variant string
		Ratio          float64
	}
	if err := json.Unmarshal([]byte(out.String()), &rows); err != nil || len(rows) != len(all) {
		t.Fatalf("%d rows, %v, want %d", len(rows), err, len(all))
	}
	if r := rows[1]; r.Group != "RemoteHit" || r.Variant != "tiercache decoded" || r.Ratio != 0.35 {
		t.Errorf("row = %+v", r)
	}
}

func TestAmounts(t *testing.T) {
	for _, tc := range []struct {
		v      float64
		metric string
		want   string
	}{
		{23.456, "ns/op", "23.5 ns"}, {1234, "ns/op", "1.23 µs"}, {12_345_678, "p99-ns", "12.3 ms"}, {2e9, "ns/op", "2.00 s"},
		{276, "B/entry", "276 B"}, {0, "allocs/op", "0"}, {4.2e6, "keys/s", "4.20 M keys/s"}, {0.0123, "hit-ratio", "0.012"},
	} {
		if got := amount(tc.v, tc.metric); got != tc.want {
			t.Errorf("amount(%v, %q) = %q, want %q", tc.v, tc.metric, got, tc.want)
		}
	}
}
