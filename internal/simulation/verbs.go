package simulation

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// The verbs below call a process's cache and put what comes of it before the ledger.

func (f *Fleet) get(ctx context.Context, m *member, key string, p loadPlan, opts ...tiered.Option) {
	r := f.Ledger.reads(m, "Get", key)
	v, err := m.store.Get(ctx, key, func(ctx context.Context, key string) (Value, error) { return f.load(ctx, m, key, p) }, opts...)
	f.judge(ctx, r, v, err)
	f.punctual(ctx, r, 0)
}

func (f *Fleet) peek(ctx context.Context, m *member, key string) {
	r := f.Ledger.reads(m, "Peek", key)
	v, err := m.store.Peek(ctx, key)
	if errors.Is(err, tiered.ErrMiss) {
		return
	}
	f.judge(ctx, r, v, err)
	f.punctual(ctx, r, 4*f.times.Timeout)
}

func (f *Fleet) getMany(ctx context.Context, m *member, keys []string, p loadPlan, opts ...tiered.Option) {
	readings := make(map[string]reading)
	for _, key := range keys {
		readings[key] = f.Ledger.reads(m, "GetMany", key)
	}
	values, err := m.store.GetMany(ctx, keys, func(ctx context.Context, keys []string) (map[string]Value, error) {
		return f.loadMany(ctx, m, keys, p)
	}, opts...)
	var failed *tiered.KeysError
	if err != nil && !errors.As(err, &failed) && !errors.Is(err, tiered.ErrClosed) {
		f.Ledger.violate("", "GetMany: error %v", err)
	}
	for _, key := range keys {
		v, found := values[key]
		switch {
		case found:
			f.judge(ctx, readings[key], v, nil)
		case failed != nil && failed.Failed[key] != nil:
			f.judge(ctx, readings[key], v, failed.Failed[key])
		case err == nil || failed != nil:
			f.judge(ctx, readings[key], v, tiered.ErrNotFound)
		}
	}
	f.punctual(ctx, readings[keys[0]], 0)
}

// judge sorts a read's errors into those that are allowed and violations.
func (f *Fleet) judge(ctx context.Context, r reading, v Value, err error) {
	var panicked *tiered.PanicError
	switch {
	case err == nil:
		f.Ledger.judge(r, v, true)
	case errors.Is(err, tiered.ErrNotFound):
		f.Ledger.judge(r, v, false)
	case errors.Is(err, errSource), errors.Is(err, errDead), errors.As(err, &panicked):
	case ctx.Err() != nil && errors.Is(err, ctx.Err()):
	case errors.Is(err, tiered.ErrClosed) && r.member.closing.Load():
	case errors.Is(err, context.DeadlineExceeded) || errors.Is(err, tiered.ErrLoadTimeout): // of the load
	default:
		f.Ledger.violate(r.key, "%s of %s on %s: error %v (its context: %v)", r.verb, r.key, r.member.name, err, ctx.Err())
		return
	}
	if err != nil && !errors.Is(err, tiered.ErrNotFound) {
		f.Ledger.count("failed reads")
	}
}

// punctual checks that a call has heeded its context.
func (f *Fleet) punctual(ctx context.Context, r reading, slack time.Duration) {
	end, bounded := ctx.Deadline()
	if late := time.Since(end); bounded && late > slack+f.times.Slack && !r.member.dead.Load() {
		f.Ledger.violate(r.key, "I12: %s of %s on %s returned %v after its context had ended", r.verb, r.key, r.member.name, late)
	}
}

func (f *Fleet) update(ctx context.Context, m *member, key string, p writePlan) error {
	op := f.Ledger.begin()
	v, err := m.store.Update(ctx, key, f.writer(m, op, p))
	f.Ledger.ended(m, op, key, err == nil || errors.Is(err, tiered.ErrNotFound) || errors.Is(err, tiered.ErrUnconfirmed))
	if m.dead.Load() {
		return errDead
	}
	f.Ledger.count("updates")
	var panicked *tiered.PanicError
	switch {
	case err == nil, errors.Is(err, tiered.ErrNotFound), errors.Is(err, tiered.ErrUnconfirmed):
		f.written(m, op, key, v, err)
	case errors.Is(err, tiered.ErrNotWritten), errors.Is(err, tiered.ErrClosed) && m.closing.Load():
		if op.ran {
			f.Ledger.violate(key, "I8: Update of %s on %s: %v, but the writer was called", key, m.name, err)
		}
	case errors.As(err, &panicked) && p.end == panics:
	case op.result != nil && errors.Is(err, op.result):
	default:
		f.Ledger.violate(key, "Update of %s on %s: error %v, the writer returned %v", key, m.name, err, op.result)
	}
	return err
}

// written is an Update that says that the source was written.
func (f *Fleet) written(m *member, op *writing, key string, v Value, err error) {
	want := Value{key, op.version}
	if errors.Is(op.result, tiered.ErrNotFound) {
		want = Value{}
	}
	if op.version == 0 || v != want && !errors.Is(err, tiered.ErrUnconfirmed) {
		f.Ledger.violate(key, "Update of %s on %s returned %v, %v; the writer returned %v, %v", key, m.name, v, err, want, op.result)
		return
	}
	f.Ledger.own(m, key, op.version)
	f.conclude(m, err, claim{key, op.version})
}

// invalidate tells the fleet of what was written outside of it.
func (f *Fleet) invalidate(ctx context.Context, m *member, keys ...string) error {
	var made []claim
	for _, key := range keys {
		made = append(made, claim{key, f.Ledger.latest(key)})
	}
	err := m.store.Invalidate(ctx, keys...)
	switch {
	case m.dead.Load():
		return errDead
	case errors.Is(err, tiered.ErrClosed) && m.closing.Load():
		return err
	case errors.Is(err, tiered.ErrUnheard) && f.times.Strong:
		return err
	case err != nil && !errors.Is(err, tiered.ErrUnconfirmed):
		f.Ledger.violate(keys[0], "Invalidate of %v on %s: error %v", keys, m.name, err)
		return err
	}
	f.Ledger.count("invalidations")
	for _, c := range made {
		f.Ledger.own(m, c.key, c.version)
	}
	f.conclude(m, err, made...)
	return err
}

// conclude takes the fleet by its word, or waits for the journal.
func (f *Fleet) conclude(m *member, err error, made ...claim) {
	if errors.Is(err, tiered.ErrUnconfirmed) {
		f.Ledger.count("unconfirmed writes")
		m.claims.add(made...)
		return
	}
	for _, c := range made {
		f.Ledger.cover(c.key, c.version)
	}
}

// claim is a write whose invalidation is in a journal.
type claim struct {
	key     string
	version int
}

// claims are covered when the process's journal is empty.
type claims struct {
	mu   sync.Mutex
	made []claim
}

func (c *claims) add(made ...claim) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.made = append(c.made, made...)
}

// settle covers what was claimed, if the journal is empty. A dead process confirms nothing.
func (c *claims) settle(l *Ledger, m *member, empty func() bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.made) == 0 || !empty() || m.dead.Load() || m.spilled.Load() {
		return
	}
	at := time.Now()
	if l.times.Strong {
		at = at.Add(l.times.Bound) // the journal does not wait for confirmations
	}
	for _, x := range c.made {
		l.coverFrom(x.key, x.version, at)
	}
	l.add("settled claims", len(c.made))
	c.made = nil
}

// settleClaims covers what the journals have confirmed since.
func (f *Fleet) settleClaims() {
	for _, m := range f.alive() {
		m.claims.settle(f.Ledger, m, func() bool { return m.node.Stats().Journal == 0 })
	}
}

// herd sends everybody for a key that nobody has read before, and wants one load in the fleet (I12), be
// it longer than a lease. Nothing may be broken.
func (f *Fleet) herd() {
	if f.times.Strong {
		return // a node that is new loads for itself
	}
	key := fmt.Sprintf("herd%d", f.herds.Add(1))
	f.Ledger.seed(key)
	p := loadPlan{before: 5 * f.times.Latency, after: 5 * f.times.Latency}
	if f.dice.chance(0.2) {
		p.after = min(f.times.Lease*3/2, f.times.Wait/2, f.times.Load/2)
	}
	before := f.Ledger.Tally()["herd loads"]
	ctx, cancel := context.WithTimeout(context.Background(), 2*f.times.Load)
	defer cancel()
	var crowd sync.WaitGroup
	for _, m := range f.alive() {
		for range 8 {
			crowd.Go(func() { f.join(ctx, m, key, p) })
		}
	}
	crowd.Wait()
	f.Ledger.count("herds")
	if loads := f.Ledger.Tally()["herd loads"] - before; loads != 1 && f.times.Slack == 0 {
		f.Ledger.violate(key, "I12: a herd of the fleet loaded %s %d times, with nothing broken", key, loads)
	}
	f.Ledger.forget(key)
}

// join is one read of a herd.
func (f *Fleet) join(ctx context.Context, m *member, key string, p loadPlan) {
	r := f.Ledger.reads(m, "herd", key)
	v, err := m.store.Get(ctx, key, func(ctx context.Context, key string) (Value, error) {
		f.Ledger.count("herd loads")
		return f.load(ctx, m, key, p)
	}, tiered.WithTTL(40*(p.before+p.after))) // too long for a refresh ahead of time
	f.judge(ctx, r, v, err)
	if late := time.Since(r.began) - p.before - p.after; f.times.Slack == 0 && late > time.Second {
		f.Ledger.violate(key, "I12: a read in a herd took %v longer than the load", late)
	}
}

// forget drops the history of a key that nobody will ask for again.
func (l *Ledger) forget(key string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.rows, key)
}
