package simulation

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/tiercache/tiercache/internal/history"
	"github.com/tiercache/tiercache/tiered"
)

// Ledger is the source's history and the judge of every read. It knows when each version was
// committed and from when on the fleet has promised not to serve an older one.
type Ledger struct {
	times Times

	mu         sync.Mutex
	rows       map[string]*row
	losses     history.Losses
	violations []string
	oldest     time.Duration // the oldest value served, counted from the return of the write that replaced it
	tally      map[string]int
	ticks      int64 // see tick
}

// row is the history of one key.
type row struct {
	versions history.Versions
	swift    bool               // loads of this key do not linger
	owned    map[string]int     // by member: the newest version whose write has returned there
	done     history.Operations // since the last check that it is linearizable
	past     bool               // written past the fleet: reads of it are not linearizable
	state    history.Register   // of the source then
	log      trace
}

// writing is one write under way. The ledger's lock guards it.
type writing struct {
	began   time.Time
	ran     bool // the writer was called
	version int  // what it committed, 0: nothing
	guarded bool
	result  error // what the writer returned

	call, committed int64 // see tick
	client          int
	deletes         bool
	over            bool // Update has returned
}

func (w *writing) returns(err error) error {
	w.result = err
	return err
}

func newLedger(t Times, keys, swift []string) *Ledger {
	l := &Ledger{times: t, rows: make(map[string]*row), tally: make(map[string]int)}
	for _, k := range keys {
		l.rows[k] = newRow()
	}
	for _, k := range swift {
		l.rows[k] = newRow()
		l.rows[k].swift = true
	}
	return l
}

func newRow() *row { return &row{owned: make(map[string]int)} }

func (l *Ledger) row(key string) *row {
	r := l.rows[key]
	if r == nil {
		r = newRow()
		l.rows[key] = r
	}
	return r
}

// read is the source's answer to a loader.
func (l *Ledger) read(m *member, key string) (Value, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m.dead.Load() {
		return Value{}, errDead
	}
	l.tally["loads"]++
	r := l.row(key)
	last := len(r.versions)
	r.log.add("%s loads %d", m.name, last)
	if r.versions.Deleted(last) {
		return Value{}, tiered.ErrNotFound
	}
	return Value{key, last}, nil
}

// seed is a write from before the fleet existed.
func (l *Ledger) seed(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	r := l.row(key)
	r.past = r.past || len(r.versions) > 0
	r.versions = append(r.versions, history.Version{Committed: now, Covered: now})
	r.state = history.Register{Commit: len(r.versions), Value: len(r.versions)}
}

func (l *Ledger) begin() *writing {
	l.mu.Lock()
	defer l.mu.Unlock()
	return &writing{began: time.Now(), call: l.tick()}
}

func (l *Ledger) called(op *writing) {
	l.mu.Lock()
	defer l.mu.Unlock()
	op.ran = true
}

// commit is the source's answer to a writer: the next version.
func (l *Ledger) commit(m *member, op *writing, key string, deleted bool) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if m.dead.Load() {
		return errDead
	}
	now := time.Now()
	v := history.Version{Committed: now, Deleted: deleted, Guarded: l.losses.Guarded(op.began, now, l.times.Fence)}
	op.guarded = !v.Guarded.IsZero()
	r := l.row(key)
	r.versions = append(r.versions, v)
	op.version, op.deletes, op.committed = len(r.versions), deleted, l.tick()
	if op.over { // its Update has returned long ago
		l.observe(key, op.operation(op.committed))
	}
	r.log.add("%s commits %d deleted=%t guarded=%t", m.name, op.version, deleted, op.guarded)
	return nil
}

// commitOutside is a write past the fleet: nobody knows of it until it is invalidated.
func (l *Ledger) commitOutside(key string, deleted bool) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.row(key)
	r.past = true
	r.versions = append(r.versions, history.Version{Committed: time.Now(), Deleted: deleted})
	r.log.add("outside commits %d deleted=%t", len(r.versions), deleted)
	return len(r.versions)
}

// latest returns the newest version of a key.
func (l *Ledger) latest(key string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.row(key).versions)
}

// cover notes that a write of the version has returned: from now on the bound holds for it.
func (l *Ledger) cover(key string, v int) { l.coverFrom(key, v, time.Now()) }

func (l *Ledger) coverFrom(key string, v int, at time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.row(key)
	if v > 0 && r.versions[v-1].Covered.IsZero() {
		r.versions[v-1].Covered = at
		r.log.add("covered %d", v)
	}
}

// own notes that a write of the version has returned on a node, confirmed or not.
func (l *Ledger) own(m *member, key string, v int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := l.row(key)
	r.owned[m.name] = max(r.owned[m.name], v)
	r.log.add("%s owns %d", m.name, v)
}

// loss notes that Redis is losing keys, until the returned function is called.
func (l *Ledger) loss() (end func()) {
	l.mu.Lock()
	defer l.mu.Unlock()
	ended := l.losses.Begin(time.Now())
	return func() {
		l.mu.Lock()
		defer l.mu.Unlock()
		ended(time.Now())
	}
}

// settled returns when the last promise made so far is due.
func (l *Ledger) settled() time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	var last time.Time
	for _, r := range l.rows {
		if n := len(r.versions); n > 0 && r.versions[n-1].Covered.IsZero() && r.versions[n-1].Guarded.After(last) {
			last = r.versions[n-1].Guarded
		}
	}
	return last
}

func (l *Ledger) count(what string) { l.add(what, 1) }

func (l *Ledger) add(what string, n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tally[what] += n
}

// note puts a line into the log of every key.
func (l *Ledger) note(format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, r := range l.rows {
		r.log.add(format, args...)
	}
}

const reported = 5 // violations in full

func (l *Ledger) violate(key, format string, args ...any) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.violation(key, format, args...)
}

func (l *Ledger) violation(key, format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	if len(l.violations) < reported && key != "" {
		text += "\n" + l.row(key).log.String()
	}
	l.violations = append(l.violations, text)
}

// Violations returns what was found wrong so far, the first ones with what had happened to the key.
func (l *Ledger) Violations() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.violations)
}

// Tally returns how often each thing was done or happened.
func (l *Ledger) Tally() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[string]int, len(l.tally))
	for k, n := range l.tally {
		out[k] = n
	}
	return out
}

// Oldest returns the age of the oldest value served, as a share of the bound.
func (l *Ledger) Oldest() float64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return float64(l.oldest) / float64(l.times.Bound)
}

// trace keeps the last lines.
type trace struct {
	lines [80]line
	n     int
}

type line struct {
	at     time.Time
	format string
	args   []any
}

func (t *trace) add(format string, args ...any) {
	t.lines[t.n%len(t.lines)] = line{time.Now(), format, args}
	t.n++
}

func (t *trace) String() string {
	var b strings.Builder
	for i := max(0, t.n-len(t.lines)); i < t.n; i++ {
		e := t.lines[i%len(t.lines)]
		fmt.Fprintf(&b, "    %s "+e.format+"\n", append([]any{e.at.Format("15:04:05.000000")}, e.args...)...)
	}
	return b.String()
}
