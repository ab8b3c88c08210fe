package main

import (
	"context"
	"io"
	"path/filepath"
	"testing"
	"time"
)

func TestPercentile(t *testing.T) {
	var hundred []time.Duration
	for i := 100; i >= 1; i-- {
		hundred = append(hundred, time.Duration(i))
	}
	for _, tc := range []struct {
		ds   []time.Duration
		p    float64
		want time.Duration
	}{
		{nil, 50, 0},
		{[]time.Duration{7}, 0, 7},
		{[]time.Duration{7}, 99, 7},
		{[]time.Duration{3, 1, 2}, 50, 2},
		{[]time.Duration{4, 1, 3, 2}, 50, 2},
		{hundred, 0, 1},
		{hundred, 50, 50},
		{hundred, 99, 99},
		{hundred, 99.5, 100},
		{hundred, 100, 100},
	} {
		if got := percentile(tc.ds, tc.p); got != tc.want {
			t.Errorf("percentile(%d values, %v) = %v, want %v", len(tc.ds), tc.p, got, tc.want)
		}
	}
}

func testResult() *Result {
	return &Result{OK: true, Figures: map[string]any{}, screen: newScreen(io.Discard)}
}

func TestRefreshesPerExpiry(t *testing.T) {
	reads := []ReadLog{{Sightings: []Sighting{{Version: 4}, {Version: 5}, {Version: 6}}}, {Sightings: []Sighting{{Version: 6}}}}
	apart := SourceLog{Spans: []Span{{0, 4}, {10, 14}}}
	for _, tc := range []struct {
		name   string
		window refreshWindow
		ok     bool
	}{
		{"one each", refreshWindow{first: 5, last: 7, made: 7, logs: reads, loads: apart}, true},
		{"a build that nobody was served", refreshWindow{first: 5, last: 8, made: 8, logs: reads, loads: apart}, false},
		{"a build that was never stored", refreshWindow{first: 5, last: 7, made: 8, logs: reads, loads: apart}, false},
		{"two at the same time", refreshWindow{first: 5, last: 7, made: 7, logs: reads, loads: SourceLog{Spans: []Span{{10, 14}, {0, 12}}}}, false},
		{"nothing expired", refreshWindow{first: 5, last: 5, made: 5}, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := testResult()
			r.reportRefreshes(tc.window)
			if r.OK != tc.ok {
				t.Errorf("ok = %v, want %v: %+v", r.OK, tc.ok, r.Checks)
			}
		})
	}
}

func TestLatencyLooksOnlyAtReadsDuringARefresh(t *testing.T) {
	logs := []ReadLog{{Samples: []Sample{{5, time.Millisecond}, {15, time.Hour}}}}
	r := testResult()
	r.reportLatency(logs, SourceLog{Spans: []Span{{0, 10}}})
	if got := r.Figures["reads_during_refresh"]; got != 1 || !r.OK {
		t.Errorf("reads during a refresh = %v, ok %v, want 1, true", got, r.OK)
	}
	r = testResult()
	r.reportLatency(logs, SourceLog{Spans: []Span{{0, 20}}})
	if r.OK {
		t.Error("a read that waited for an hour was found fast")
	}
}

func TestCrashAgreement(t *testing.T) {
	change := Change{Key: "k", Version: 2, Cents: 200, Committed: 10 * sec}
	killed := 10*sec + 1
	limit := killed + int64(fence+bound)
	for _, tc := range []struct {
		lastOld int64
		ok      bool
	}{{9 * sec, true}, {limit, true}, {limit + 1, false}} {
		r := testResult()
		r.reportAgreement(*bookOf(), change, killed, []ReadLog{{Sightings: []Sighting{readAt(1, tc.lastOld), readAt(2, 60*sec)}}})
		if r.OK != tc.ok {
			t.Errorf("old price last read at %d: ok = %v, want %v", tc.lastOld, r.OK, tc.ok)
		}
	}
}

func TestWrongOrders(t *testing.T) {
	ctx := context.Background()
	s, err := openShop(filepath.Join(t.TempDir(), "shop.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	if err := s.stock(ctx, catalogue()); err != nil {
		t.Fatal(err)
	}
	stored, err := s.setPrice(ctx, "p001", 2500)
	if err != nil || stored.Version != 2 || stored.Cents != 2500 {
		t.Fatalf("setPrice = %+v, %v, want version 2 at 2500", stored, err)
	}
	older := Product{ID: "p001", Cents: 1900, Version: 1}
	for _, o := range []struct {
		shelf string
		p     Product
		asked int64
	}{
		{shelfPrice, older, 9 * sec},     // before the change: right
		{shelfPrice, older, 10*sec + 1},  // wrong, within the bound
		{shelfPrice, older, 12 * sec},    // wrong and late
		{shelfPrice, stored, 12 * sec},   // right
		{shelfTextbook, older, 12 * sec}, // of another shelf
	} {
		if err := s.placeOrder(ctx, o.shelf, o.p, o.asked); err != nil {
			t.Fatal(err)
		}
	}
	got, err := s.wrongOrders(ctx, shelfPrice, Change{Key: "p001", Version: 2, Cents: 2500, Committed: 10 * sec}, sec)
	if want := (tally{orders: 3, wrong: 2, late: 1, cents: 1200}); err != nil || got != want {
		t.Errorf("wrongOrders = %+v, %v, want %+v", got, err, want)
	}
}

func TestSourceCountsLoads(t *testing.T) {
	s := &source{}
	entered, leave := make(chan struct{}), make(chan struct{})
	query := func(context.Context, string) (int, error) {
		entered <- struct{}{}
		<-leave
		return 0, nil
	}
	done := make(chan struct{})
	for range 2 {
		go func() { load(context.Background(), s, "k", query); done <- struct{}{} }()
	}
	<-entered
	<-entered
	if log := s.report(true); log.Loads != 2 || log.Peak != 2 || log.Running != 2 || len(log.Spans) != 0 {
		t.Errorf("with two loads running: %+v", log)
	}
	close(leave)
	<-done
	<-done
	if log := s.report(false); log.Loads != 0 || log.Running != 0 || len(log.Spans) != 2 {
		t.Errorf("after a reset and the end of both: %+v", log)
	}
}
