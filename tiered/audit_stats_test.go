package tiered

import (
	"math"
	"testing"
	"time"

	"github.com/tiercache/tiercache/coherence"
)

func checks(fresh, stale uint64) (c AuditChecks) {
	c.Outcomes[AuditFresh], c.Outcomes[AuditStale] = fresh, stale
	return c
}

// The exact upper limits of a Poisson mean at 95 % are half the quantiles of
// chi-square with 2(k+1) degrees of freedom; these are from its tables.
func TestAuditNines(t *testing.T) {
	for _, test := range []struct {
		checked, stale uint64
		observed       float64
		limit          float64 // of the number of stale hits in the sample
	}{
		{1_000_000, 0, math.Inf(1), 2.9957},
		{1_000_000, 1, 6, 4.7439},
		{1_000_000, 10, 5, 16.962},
		{1_000_000, 100, 4, 118.08},
	} {
		observed, atLeast := checks(test.checked-test.stale, test.stale).Nines()
		if math.Abs(observed-test.observed) > 1e-9 && observed != test.observed {
			t.Errorf("%d of %d: observed %v, want %v", test.stale, test.checked, observed, test.observed)
		}
		if want := -math.Log10(test.limit / float64(test.checked)); math.Abs(atLeast-want) > 0.005 {
			t.Errorf("%d of %d: at least %v, want %v", test.stale, test.checked, atLeast, want)
		}
	}
	for _, c := range []AuditChecks{{}, checks(1, 0), checks(0, 1)} {
		if _, atLeast := c.Nines(); atLeast != 0 {
			t.Errorf("Nines of %v checks: at least %v, want 0", c.Checked(), atLeast)
		}
	}
}

// More stale hits in as large a sample never prove more.
func TestAuditNinesFall(t *testing.T) {
	const checked = 10_000
	last := math.Inf(1)
	for stale := range uint64(checked + 1) {
		_, atLeast := checks(checked-stale, stale).Nines()
		if atLeast > last || atLeast < 0 || math.IsNaN(atLeast) {
			t.Fatalf("%d stale of %d: at least %v nines, after %v", stale, checked, atLeast, last)
		}
		last = atLeast
	}
}

// A fleet's figure is that of the sums.
func TestAuditMerge(t *testing.T) {
	node := AuditStats{Sampled: 3, Redis: checks(2, 1), Source: checks(1, 0)}
	node.Redis.Pending, node.Redis.Outcomes[AuditFenced], node.Redis.Outcomes[AuditSkipped] = 2, 5, 7
	node.Ages.Buckets[3], node.Ages.Sum = 3, time.Second
	before := node
	if got, want := node.String(), "{3 sampled, redis: 3 checked, 1 stale, 0 unannounced, source: 1 checked, 0 stale, 0 unannounced}"; got != want {
		t.Errorf("String() = %q, want %q", got, want)
	}
	fleet := node.Merge(node)
	if node != before {
		t.Errorf("Merge changed its receiver: %+v", node)
	}
	r := fleet.Redis
	if fleet.Sampled != 6 || r.Checked() != 6 || r.Inconclusive() != 10 || r.Outcomes[AuditSkipped] != 14 || r.Pending != 4 ||
		fleet.Source.Checked() != 2 || fleet.Ages.Count() != 6 || fleet.Ages.Sum != 2*time.Second {
		t.Errorf("Merge = %+v", fleet)
	}
}

func TestAuditAges(t *testing.T) {
	var a ages
	samples := map[time.Duration]int{ // bucket
		-time.Second: 0, 0: 0, time.Millisecond: 0, time.Millisecond + 1: 1, 2 * time.Millisecond: 1,
		time.Second: 10, maxLocalLife: 22, 100 * time.Hour: 22,
	}
	var want [ageBuckets]uint64
	for age, bucket := range samples {
		a.add(age)
		want[bucket]++
	}
	s := a.snapshot()
	if s.Buckets != want {
		t.Errorf("buckets %v, want %v", s.Buckets, want)
	}
	bound, sum := time.Millisecond, uint64(0)
	i := 0
	for le, n := range s.Cumulative() {
		if sum += want[i]; le != bound || n != sum {
			t.Errorf("bucket %d: %d up to %v, want %d up to %v", i, n, le, sum, bound)
		}
		bound, i = 2*bound, i+1
	}
	if i != ageBuckets || sum != s.Count() || sum != uint64(len(samples)) {
		t.Errorf("%d buckets with %d ages", i, sum)
	}
}

func TestAuditOutcomeTexts(t *testing.T) {
	seen := map[string]bool{}
	for o := range AuditOutcome(auditOutcomes) {
		if s := o.String(); s == "" || s == "unknown" || seen[s] {
			t.Errorf("outcome %d has the text %q", uint8(o), s)
		}
		seen[o.String()] = true
	}
	if got := auditDiffers.String(); got != "unknown" {
		t.Errorf("no outcome has the text %q", got)
	}
}

// Of the tails read after an instant the lowest is told.
func TestAuditTails(t *testing.T) {
	var tails tails
	for _, test := range []struct {
		add   tail
		at    coherence.Instant
		want  uint64
		known bool
	}{
		{tail{10, 5}, 10, 5, true},
		{tail{20, 5}, 15, 5, true}, // the same number, later
		{tail{30, 8}, 15, 5, true}, // still the lowest since 15
		{tail{40, 9}, 21, 8, true},
		{tail{50, 9}, 51, 0, false}, // none since
		{tail{60, 2}, 1, 0, false},  // another history: all that is known is void
		{tail{70, 3}, 1, 3, true},
	} {
		tails.add(test.add)
		if got, known := tails.since(test.at); got != test.want || known != test.known {
			t.Errorf("after %v: since(%d) = %d, %v, want %d, %v", test.add, test.at, got, known, test.want, test.known)
		}
	}
	for i := range uint64(3 * maxTails) {
		tails.add(tail{coherence.Instant(100 + i), 100 + i})
	}
	if got, _ := tails.since(0); got != 100+2*maxTails || len(tails.kept) != maxTails {
		t.Errorf("%d tails from %d", len(tails.kept), got)
	}
}
