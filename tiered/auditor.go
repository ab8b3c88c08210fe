package tiered

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/coherence"
)

// auditor checks sampled hits as Audit describes.
type auditor[V any] struct {
	cache *Cache[V]
	cfg   Audit[V]
	tails tails
	ask   chan struct{} // one look into Redis at a time
	load  chan struct{} // one load at a time

	sampled       atomic.Uint64
	ages          ages
	redis, source lane
}

// newAuditor returns an auditor whose view of the bus ends with the cache.
func newAuditor[V any](c *Cache[V]) *auditor[V] {
	a := &auditor[V]{cache: c, cfg: c.cfg.Audit, ask: make(chan struct{}, 1), load: make(chan struct{}, 1)}
	a.redis.limit("redis", a.cfg.Rate, a.cfg.Pending)
	a.source.limit("source", a.cfg.Rate, a.cfg.Pending)
	c.running.Go(func() { a.tails.follow(c.closing, c.node, c.bound/2) })
	return a
}

// subject is a copy to be checked.
type subject[V any] struct {
	*entry[V]
	hash uint64
}

// comparison says whether a subject is what stands now.
type comparison[V any] func(context.Context, subject[V]) AuditOutcome

// sample looks at a hit on e at now; load may be nil.
func (a *auditor[V]) sample(ctx context.Context, e *entry[V], hash uint64, now coherence.Instant, load Loader[V]) {
	if rand.Float64() < a.cfg.Sample {
		a.take(ctx, subject[V]{e, hash}, now, load)
	}
}

func (a *auditor[V]) take(ctx context.Context, s subject[V], now coherence.Instant, load Loader[V]) {
	a.sampled.Add(1)
	a.ages.add(now.Sub(s.loaded))
	if a.admits(&a.redis, now) {
		go a.run(&a.redis, func() AuditOutcome {
			return a.check(a.cache.closing, &a.redis, s, a.cache.bound, a.againstRedis)
		})
	}
	if load != nil && rand.Float64() < a.cfg.Source && a.admits(&a.source, now) {
		go a.run(&a.source, func() AuditOutcome {
			ctx, cancel := a.cache.until(context.WithoutCancel(ctx))
			defer cancel()
			return a.check(ctx, &a.source, s, a.cfg.SourceLag+a.cache.bound, a.againstSource(load))
		})
	}
}

// admits takes a place for a check and registers it with the cache; run gives
// both back.
func (a *auditor[V]) admits(l *lane, now coherence.Instant) bool {
	if !l.enter(now) {
		l.outcomes[AuditSkipped].Add(1)
		return false
	}
	if !a.cache.enter() {
		l.leave(AuditClosed)
		return false
	}
	return true
}

func (a *auditor[V]) run(l *lane, check func() AuditOutcome) {
	defer a.cache.running.Done()
	l.leave(check())
}

// check compares a copy with what stands now and, if they differ, finds out
// whether the copy outlives that. Without proof of an announcement it may, for
// patience.
func (a *auditor[V]) check(ctx context.Context, l *lane, s subject[V], patience time.Duration, compare comparison[V]) AuditOutcome {
	if s.weak {
		return AuditWeak
	}
	if outcome := compare(ctx, s); outcome != auditDiffers {
		return outcome
	}
	seen := a.cache.node.Now()
	proof, ok := a.announced(ctx, s)
	for ok {
		if proof {
			patience = a.cache.bound
		}
		if !a.outlast(ctx, patience) {
			break
		}
		now := a.cache.node.Now()
		if a.cache.hit(s.hash, s.key, now) != s.entry {
			return AuditSettled
		}
		f := Finding{Cache: a.cache.cfg.Name, Key: s.key, Against: l.against, Outcome: AuditStale,
			Age: now.Sub(s.loaded), Late: now.Sub(seen)}
		if proof {
			return a.tell(l, f)
		}
		if proof, ok = a.announced(ctx, s); ok && !proof {
			if outcome := compare(ctx, s); outcome != auditDiffers {
				return outcome.again()
			}
			f.Outcome = AuditUnannounced
			return a.tell(l, f)
		}
	}
	return unanswered(ctx)
}

// outlast waits from now on; false: the context has ended.
func (a *auditor[V]) outlast(ctx context.Context, d time.Duration) bool {
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
		return true
	case <-ctx.Done():
		return false
	}
}

func unanswered(ctx context.Context) AuditOutcome {
	if ctx.Err() != nil {
		return AuditClosed
	}
	return AuditUnreachable
}

// announced reports whether the bus proves that the key was announced after the
// copy's generation was taken. ok is false if it cannot be asked or believed.
func (a *auditor[V]) announced(ctx context.Context, s subject[V]) (proof, ok bool) {
	after, known := a.tails.since(s.loaded)
	if !known {
		return false, true
	}
	if !seize(ctx, a.ask) {
		return false, false
	}
	defer release(a.ask)
	node := a.cache.node
	view, ok := node.View()
	if !ok || !node.Leased(node.Now()) {
		return false, false
	}
	proof, err := a.cache.space.Announced(ctx, s.key, after)
	return proof, err == nil && node.Holds(view)
}

// againstRedis compares with the record of the key.
func (a *auditor[V]) againstRedis(ctx context.Context, s subject[V]) AuditOutcome {
	if !seize(ctx, a.ask) {
		return AuditClosed
	}
	defer release(a.ask)
	r := &reading[V]{key: s.key, hash: s.hash}
	rec, ok := a.cache.look(ctx, r)
	if !ok {
		return unanswered(ctx)
	}
	switch found := a.cache.judge(r, rec); found.do {
	case serve:
		if markOf(found.record.Stamp) == s.mark {
			return AuditFresh
		}
		return a.compare(s, found.value, found.record.Negative)
	case bypass:
		return AuditFenced
	case await:
		return AuditLeased
	case distrust:
		return AuditForeign
	default:
		return AuditAbsent
	}
}

// againstSource compares with what the loader returns.
func (a *auditor[V]) againstSource(load Loader[V]) comparison[V] {
	return func(ctx context.Context, s subject[V]) AuditOutcome {
		if !seize(ctx, a.load) {
			return AuditClosed
		}
		defer release(a.load)
		if !a.cache.source.tryEnter() {
			return AuditUnreachable
		}
		v, _, err := run(ctx, &a.cache.source, func(ctx context.Context) (V, error) { return load(ctx, s.key) })
		if err != nil && !saysNotFound(err) {
			return unanswered(ctx)
		}
		return a.compare(s, v, err != nil)
	}
}

// compare compares a copy with a value, or with there being none.
func (a *auditor[V]) compare(s subject[V], v V, negative bool) AuditOutcome {
	same := s.negative == negative
	if same && !negative {
		var err error
		same, err = guarded(context.Background(), func(context.Context) (bool, error) { return a.equal(s.value, v) })
		if err != nil {
			return AuditUncomparable
		}
	}
	if same {
		return AuditFresh
	}
	return auditDiffers
}

// equal: a value that a loader returned and one that has been through the codec
// may differ in what the codec does not keep (a location, a nil slice), and equal
// maps may have different encodings. So they are compared as they are, encoded,
// and decoded again.
func (a *auditor[V]) equal(x, y V) (bool, error) {
	if a.cfg.Equal != nil {
		return a.cfg.Equal(x, y), nil
	}
	if reflect.DeepEqual(x, y) {
		return true, nil
	}
	codec := a.cache.cfg.Codec
	bx, errX := codec.Append(nil, &x)
	by, errY := codec.Append(nil, &y)
	if errX != nil || errY != nil {
		return false, errors.Join(errX, errY)
	}
	if bytes.Equal(bx, by) {
		return true, nil
	}
	var dx, dy V
	errX, errY = codec.Decode(bx, &dx), codec.Decode(by, &dy)
	return reflect.DeepEqual(dx, dy), errors.Join(errX, errY)
}

// tell reports a finding.
func (a *auditor[V]) tell(l *lane, f Finding) AuditOutcome {
	if a.cfg.OnFinding != nil {
		_, _ = hooked(a.cache, "Audit.OnFinding", func(context.Context) (struct{}, error) {
			a.cfg.OnFinding(f)
			return struct{}{}, nil
		})
	}
	if l.due(f.Outcome, a.cache.node.Now()) {
		a.cache.node.Report(coherence.Event{Kind: coherence.EventStale, Space: f.Cache, Note: f.String()})
	}
	return f.Outcome
}

func seize(ctx context.Context, turn chan struct{}) bool {
	select {
	case turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func release(turn chan struct{}) { <-turn }
