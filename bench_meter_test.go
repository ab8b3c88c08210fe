package tiercache_test

import (
	"context"
	"math/bits"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

// A meter reads what a stretch of a benchmark has cost in processor time, here and
// in Redis, and how long its operations took.
type meter struct {
	rdb    *redis.Client
	client time.Duration
	server time.Duration
	times  histogram
}

// newMeter starts a meter. rdb is a client of the server, not the one under test.
func newMeter(b *testing.B, rdb *redis.Client) *meter {
	m := &meter{rdb: rdb}
	m.server, m.client = serverTime(b, rdb), processTime()
	return m
}

// timed runs do and notes how long it took.
func (m *meter) timed(do func() error) error {
	start := time.Now()
	err := do()
	m.times.add(time.Since(start))
	return err
}

// report adds the meter's readings to the benchmark's result.
func (m *meter) report(b *testing.B, ops int) {
	client, server := processTime()-m.client, serverTime(b, m.rdb)-m.server
	b.ReportMetric(float64(client)/float64(ops), "client-cpu-ns/op")
	b.ReportMetric(float64(server)/float64(ops), "redis-cpu-ns/op")
	m.times.report(b)
}

// serverTime is the processor time that Redis has taken since its start.
func serverTime(b *testing.B, rdb *redis.Client) (used time.Duration) {
	info, err := rdb.Info(context.Background(), "cpu").Result()
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(info) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), ":")
		if name != "used_cpu_user" && name != "used_cpu_sys" {
			continue
		}
		seconds, err := strconv.ParseFloat(value, 64)
		if err != nil {
			b.Fatal(err)
		}
		used += time.Duration(seconds * float64(time.Second))
	}
	return used
}

// A histogram counts durations in slots that are at most 1/32 of their value wide.
// Its methods are safe for concurrent use.
type histogram [60 * 32]atomic.Uint64

func (h *histogram) add(d time.Duration) {
	n := uint64(max(d, 0))
	shift := max(bits.Len64(n)-6, 0)
	h[min(shift*32+int(n>>shift), len(h)-1)].Add(1)
}

// percentile returns the duration below which a share of p (0 to 1) lies.
func (h *histogram) percentile(p float64) time.Duration {
	var total, below uint64
	for i := range h {
		total += h[i].Load()
	}
	for i := range h {
		if below += h[i].Load(); float64(below) >= p*float64(total) {
			shift := max(i/32-1, 0)
			return time.Duration(i-shift*32) << shift
		}
	}
	return 0
}

func (h *histogram) report(b *testing.B) {
	b.ReportMetric(float64(h.percentile(0.5)), "p50-ns")
	b.ReportMetric(float64(h.percentile(0.99)), "p99-ns")
}

func TestHistogram(t *testing.T) {
	var h histogram
	for i := range 1000 {
		h.add(time.Duration(i+1) * time.Microsecond)
	}
	for _, tc := range []struct {
		p    float64
		want time.Duration
	}{{0.001, time.Microsecond}, {0.5, 500 * time.Microsecond}, {0.99, 990 * time.Microsecond}, {1, time.Millisecond}} {
		if got := h.percentile(tc.p); got > tc.want || got < tc.want*31/32-1 {
			t.Errorf("percentile(%v) = %v, want %v", tc.p, got, tc.want)
		}
	}
}
