package tiered

import (
	"fmt"
	"time"
)

// Defaults of Audit, where Sample is not 0.
const (
	DefaultAuditRate    = 100
	DefaultAuditPending = 256
)

// Audit makes a cache check in production that its promise holds. It samples
// hits in this process's memory, looks at what Redis (and, where asked, the
// source) holds afterwards, and counts what it finds in Stats.Audit. The zero
// Audit is off.
//
// # How a copy is checked
//
// A sampled hit has served the copy e, whose data were read at e.loaded or later
// and whose generation was taken before. The auditor then reads what it compares
// with, X, and is done (AuditFresh) if X has the stamp of e or an equal value.
// Values are compared, not stamps: a refresh changes the stamp and nothing else.
// Else a newer value exists, which e may outlive by MaxStale. The auditor
//
//  1. looks for proof that the change was announced: an entry of the bus that
//     names the key, with a number above one that the auditor had read as the
//     bus' last at some instant after e.loaded. Let T be the instant at which the
//     proof arrived;
//  2. waits until T + MaxStale, and looks whether this process would still serve
//     e, the very same copy. If not, the promise was kept: AuditSettled;
//  3. with proof this is AuditStale. Without, it looks for proof once more, since
//     Invalidate announces after it has removed the old record, and goes on with
//     2 if there is now one. Else it reads X again, and if that still differs
//     from e this is AuditUnannounced.
//
// # AuditStale is a broken promise
//
// The entry was appended after the auditor had read the number, so after e's
// generation was taken; once the entry is applied here, e's generation is no
// longer the key's, and e is void for good. By the proof of the bound (package
// coherence) it has been applied before any hit under a lease at T + MaxStale or
// later; hits without a lease are for copies younger than MaxStale, and e was
// read before T. So a copy served then is a fault of this package, of Redis (two
// masters at once), or of the machine's clock. The argument asks nothing of X, of
// the TTL, or of what other processes do, and nothing of this node's own idea of
// its place in the history, which may be what is broken.
//
// It finds no copy that is late but dropped before its check ends: one that was
// served for MaxStale+L after the announcement is found by a hit in the first L
// of that time.
//
// # AuditUnannounced needs a look
//
// Another value stood for more than MaxStale while this process served the copy,
// and no announcement is to be found. It means one of these:
//
//   - a write bypassed Update and Invalidate, and a refresh or a reload by
//     another process has picked it up; or somebody wrote into Redis
//   - Invalidate was not called yet, its process died in the middle, or it
//     returned ErrUnconfirmed: nothing was promised so far
//   - the announcement fell out of the bus, which remembers 1024, or is as old as
//     the copy, give or take MaxStale/2: a broken promise is possible
//   - against the source: its replicas lag, the writer is slower than SourceLag,
//     or a load returned what a later read of the source does not
//   - Equal, or Codec, does not find equal what is equal
//
// # What is never held against anybody
//
// A key that is fenced, leased or absent, a record of another epoch, schema or
// codec, a copy that was loaded without Redis, a Redis that does not answer or
// that is not the process it was: the check ends without a verdict and is counted
// under its reason.
//
// # What it costs
//
// Off: one test of a pointer a hit. On: a random number a hit; a sampled one
// starts a goroutine, which reads Redis within the node's Timeout, one at a time.
// An HMGET each MaxStale/2 follows the bus. A copy that differs is looked up in
// the local tier once or twice more, which ristretto counts as uses of the key.
// Nothing is written to the tiers, and no count of hits or misses changes.
// Loads of the auditor respect SourceLimit, give way when it is reached, and
// count in Stats.Loads.
type Audit[V any] struct {
	// Sample is the share of local hits by Get and GetMany to check, 0 to 1.
	// 0.001 is plenty on a busy cache. Default 0: no audit.
	Sample float64

	// Source is the share of the sampled hits that are compared with the source
	// as well, 0 to 1, by the loader of the call that was sampled. Its context
	// has the values of that call, for as long as the check lasts. Default 0.
	Source float64

	// SourceLag is how long after a write of the source the announcement may
	// take: how late Invalidate is called after writes made elsewhere. A copy
	// that differs from the source is judged after SourceLag + MaxStale.
	// Default FenceTTL.
	SourceLag time.Duration

	// Rate is the number of checks begun in a second, against Redis and against
	// the source each; more are skipped. Default 100.
	Rate int

	// Pending is the number of checks under way, against Redis and against the
	// source each; more are skipped. Each keeps its copy in memory. Default 256.
	Pending int

	// Equal compares two values. Default: deep equality, of the values, or of
	// what the codec makes of them.
	Equal func(a, b V) bool

	// OnFinding is called for every AuditStale and AuditUnannounced, by the
	// goroutine of the check: several at a time, and Close waits for it. The
	// node's OnEvent is told, once a minute at most and without the key.
	OnFinding func(Finding)
}

// A Finding is a copy that was served although another value stood for longer
// than MaxStale. It holds no values.
type Finding struct {
	Cache, Key string
	Against    string        // what it was compared with: "redis" or "source"
	Outcome    AuditOutcome  // AuditStale or AuditUnannounced
	Age        time.Duration // of the copy: since before its data were read
	Late       time.Duration // for how long it was served after the other value was seen
}

func (f Finding) String() string {
	return fmt.Sprintf("%s against %s: a copy %v old was served %v after another value was seen",
		f.Outcome, f.Against, f.Age, f.Late)
}

// resolve fills in the defaults.
func (a *Audit[V]) resolve(fault func(format string, args ...any), fenceTTL time.Duration) {
	if !(a.Sample >= 0 && a.Sample <= 1) {
		fault("Audit.Sample: %v is not a share (0 to 1)", a.Sample)
	}
	if !(a.Source >= 0 && a.Source <= 1) {
		fault("Audit.Source: %v is not a share (0 to 1)", a.Source)
	}
	if a.SourceLag == 0 {
		a.SourceLag = fenceTTL
	}
	if a.SourceLag < 0 {
		fault("Audit.SourceLag: %v is negative", a.SourceLag)
	}
	positive(fault, "Audit.Rate", &a.Rate, DefaultAuditRate)
	positive(fault, "Audit.Pending", &a.Pending, DefaultAuditPending)
}
