package tiered

import (
	"fmt"
	"math"
)

// AuditOutcome is how a check ended. Its String is fit for a label of a metric.
type AuditOutcome uint8

const (
	// With a verdict.
	AuditFresh       AuditOutcome = iota // what was served still stands
	AuditSettled                         // it was replaced, and this process dropped its copy within MaxStale
	AuditStale                           // it was replaced, that was announced, and the copy outlived MaxStale: the promise is broken
	AuditUnannounced                     // it was replaced without an announcement that can be found

	// Without one.
	AuditFenced       // somebody is writing the key
	AuditLeased       // somebody is loading the key
	AuditAbsent       // Redis holds no record that may be served: it is gone, expired, void or unreadable
	AuditForeign      // the record is of an epoch or a schema newer than this process's
	AuditWeak         // the copy was loaded without Redis
	AuditUnreachable  // Redis or the source could not be asked, or not be believed, or is busy
	AuditUncomparable // the values could not be compared
	AuditReverted     // they differed for a while and do not any more
	AuditClosed       // the cache was closed meanwhile

	// Not checked.
	AuditSkipped // beyond Audit.Rate or Audit.Pending

	auditOutcomes int          = iota
	auditDiffers  AuditOutcome = math.MaxUint8 // not an outcome: the check goes on
)

func (o AuditOutcome) String() string {
	names := [auditOutcomes]string{"fresh", "settled", "stale", "unannounced", "fenced", "leased", "absent", "foreign",
		"weak", "unreachable", "uncomparable", "reverted", "closed", "skipped"}
	if int(o) >= len(names) {
		return "unknown"
	}
	return names[o]
}

// again is the outcome of a second comparison, of what differed at the first.
func (o AuditOutcome) again() AuditOutcome {
	if o == AuditFresh {
		return AuditReverted
	}
	return o
}

// AuditStats are what an audit has found since New. They hold no pointers: a
// snapshot is a copy.
type AuditStats struct {
	Sampled uint64      // hits picked
	Ages    Ages        // of the copies that these served
	Redis   AuditChecks // against the record in Redis, one for each
	Source  AuditChecks // against the source
}

// String is a summary without the inconclusive.
func (s AuditStats) String() string {
	return fmt.Sprintf("{%d sampled, redis: %v, source: %v}", s.Sampled, s.Redis, s.Source)
}

// Merge returns the sum: the figures of a fleet out of those of its nodes.
func (s AuditStats) Merge(o AuditStats) AuditStats {
	s.Sampled += o.Sampled
	s.Ages.merge(&o.Ages)
	s.Redis.merge(&o.Redis)
	s.Source.merge(&o.Source)
	return s
}

// AuditChecks are checks by outcome.
type AuditChecks struct {
	Outcomes [auditOutcomes]uint64 // indexed by AuditOutcome
	Pending  int                   // under way
}

// Checked is the number of checks that ended with a verdict.
func (c AuditChecks) Checked() uint64 {
	return c.Outcomes[AuditFresh] + c.Outcomes[AuditSettled] + c.Outcomes[AuditStale] + c.Outcomes[AuditUnannounced]
}

// String is a summary without the inconclusive.
func (c AuditChecks) String() string {
	return fmt.Sprintf("%d checked, %d stale, %d unannounced", c.Checked(), c.Outcomes[AuditStale], c.Outcomes[AuditUnannounced])
}

// Inconclusive is the number of checks that ended without one.
func (c AuditChecks) Inconclusive() (sum uint64) {
	for _, n := range c.Outcomes[AuditFenced:AuditSkipped] {
		sum += n
	}
	return sum
}

// Nines is the consistency of the checked hits as a count of nines: 3 means that
// one hit in 1000 was AuditStale. observed is what was seen, +Inf if that was
// nothing. AtLeast is what the sample proves with a confidence of 95 %, which
// grows with the sample: with nothing seen in n checks, the share is at most 3/n
// (the rule of three: Hanley and Lippman-Hand, If nothing goes wrong, is
// everything all right?, JAMA 1983). Both are 0 before the first check.
//
// The bound takes the checks for independent, and the number of stale ones for
// Poisson distributed; its upper limit is Wilson and Hilferty's approximation
// (The distribution of chi-square, PNAS 1931), within 1 % of the exact one.
func (c AuditChecks) Nines() (observed, atLeast float64) {
	checked, stale := float64(c.Checked()), float64(c.Outcomes[AuditStale])
	if checked == 0 {
		return 0, 0
	}
	const z = 1.6448536 // the 95 % quantile of the normal distribution
	k := stale + 1
	limit := k * math.Pow(1-1/(9*k)+z/(3*math.Sqrt(k)), 3)
	return -math.Log10(stale / checked), math.Max(0, -math.Log10(limit/checked))
}

func (c *AuditChecks) merge(o *AuditChecks) {
	for i, n := range o.Outcomes {
		c.Outcomes[i] += n
	}
	c.Pending += o.Pending
}

// stats returns what has been found; a nil auditor has found nothing.
func (a *auditor[V]) stats() AuditStats {
	if a == nil {
		return AuditStats{}
	}
	return AuditStats{Sampled: a.sampled.Load(), Ages: a.ages.snapshot(), Redis: a.redis.snapshot(), Source: a.source.snapshot()}
}
