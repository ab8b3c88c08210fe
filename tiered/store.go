package tiered

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/token"
	"github.com/tiercache/tiercache/tiered/internal/envelope"
)

// encoded is a value as Redis holds it.
type encoded struct {
	bytes  []byte
	px     time.Duration
	header envelope.Header
	stamp  [stampLength]byte
	size   int // of the payload
}

// earlyRefresh is how many times the cost of a load before expiry a hit begins
// to consider a refresh: XFetch draws more with probability e^-10.
const earlyRefresh = 10

// encode turns the outcome of a load into a record: nil if there is nothing to
// store. The error is the load's own, or why the value cannot be stored.
func (c *Cache[V]) encode(stamp token.Token, r *reading[V], v V, err error, took time.Duration) (*encoded, error) {
	negative := saysNotFound(err)
	if err != nil && (!negative || c.cfg.NotFoundTTL < 0) {
		return nil, err
	}
	now := c.node.RedisEarliest(c.node.Now())
	soft, hard := c.expiries(r.life.ttl, r.life.stale, negative)
	rec := &encoded{px: hard, stamp: stamp, header: envelope.Header{
		Negative: negative, Codec: c.cfg.Codec.ID(), Schema: c.cfg.Version, Epoch: r.view.Epoch,
		Soft: now + soft.Milliseconds(), Hard: now + hard.Milliseconds(), Delta: took,
	}}
	draft := drafts.Get().(*[]byte)
	bytes := envelope.Begin((*draft)[:0], stamp, rec.header)
	head := len(bytes)
	if !negative {
		var fault error
		bytes, fault = guarded(context.Background(), func(context.Context) ([]byte, error) {
			return c.cfg.Codec.Append(bytes, &v)
		})
		if fault != nil {
			return nil, fmt.Errorf("tiercache: value of key %q in cache %q cannot be encoded: %w", r.key, c.cfg.Name, fault)
		}
	}
	if rec.size = len(bytes) - head; rec.size > c.cfg.MaxValueBytes {
		c.counts.tooLarge.Add(1)
		bytes = c.mark(bytes[:0], rec, now, r.life.ttl)
	}
	if fault := envelope.Finish(bytes); fault != nil {
		return nil, fmt.Errorf("tiercache: value of key %q in cache %q: %w", r.key, c.cfg.Name, fault)
	}
	rec.bytes = slices.Clone(bytes)
	if *draft = bytes; cap(bytes) <= maxDraft {
		drafts.Put(draft)
	}
	return rec, err
}

// uncacheableTTL is for how long a key is known to have a value over MaxValueBytes.
const uncacheableTTL = 10 * time.Second

// mark makes rec the record of a value that is not stored: reads load it, each for
// its own process, and wait for nobody.
func (c *Cache[V]) mark(draft []byte, rec *encoded, now int64, ttl time.Duration) []byte {
	_, rec.px = c.expiries(min(ttl, uncacheableTTL), 0, false)
	rec.header.Soft, rec.header.Hard = now+rec.px.Milliseconds(), now+rec.px.Milliseconds()
	rec.header.Uncacheable, rec.size = true, 0
	return envelope.Begin(draft, rec.stamp, rec.header)
}

// drafts are buffers to encode into. What is sent is a copy of its own: it may be
// written to a connection after the call that sent it has given up. A draft of a
// value that failed is not used again: the codec may still hold it.
var drafts = sync.Pool{New: func() any { return new([]byte) }}

// maxDraft bounds the memory of an idle draft.
const maxDraft = 64 << 10

// maxLife stands for ever: longer lives would overflow when they are added to a
// clock or rounded.
const maxLife = 10 * 365 * 24 * time.Hour

// expiries draws the soft and the hard lifetime. What does not exist is never
// served stale.
func (c *Cache[V]) expiries(ttl, stale time.Duration, negative bool) (soft, hard time.Duration) {
	if negative {
		soft = c.jittered(min(c.cfg.NotFoundTTL, maxLife))
		return soft, soft
	}
	soft = c.jittered(min(ttl, maxLife))
	return soft, soft + min(stale, maxLife)
}

func (c *Cache[V]) jittered(d time.Duration) time.Duration {
	return max(time.Millisecond, d-time.Duration(c.cfg.Jitter*rand.Float64()*float64(d)))
}

// keep stores a local copy of what stands in Redis. It does not outlive the
// record there (I17).
func (c *Cache[V]) keep(r *reading[V], v V, rec *encoded) {
	if !rec.header.Uncacheable {
		c.keepAt(c.node.Now(), r, v, rec)
	}
}

func (c *Cache[V]) keepAt(now coherence.Instant, r *reading[V], v V, rec *encoded) *entry[V] {
	h := &rec.header
	e := &entry[V]{key: r.key, value: v, gen: r.gen, loaded: r.began, mark: markOf(rec.stamp), negative: h.Negative}
	hard := min(now.Add(c.untilRedis(now, h.Hard)), r.began.Add(c.cfg.LocalTTL))
	e.expire(now.Add(c.untilRedis(now, h.Soft)), hard, h.Delta)
	c.local.set(r.hash, e, rec.size)
	return e
}

// keepWeak stores a local copy of what was loaded without Redis.
func (c *Cache[V]) keepWeak(r *reading[V], v V, rec *encoded) {
	if rec.header.Uncacheable {
		return
	}
	end := r.began.Add(min(c.bound+1, c.cfg.LocalTTL, rec.px))
	e := &entry[V]{key: r.key, value: v, gen: r.gen, loaded: r.began, negative: rec.header.Negative, weak: true}
	e.expire(end, end, 0)
	c.local.set(r.hash, e, rec.size)
}

// tokenOf returns the token in a lease or fence id.
func tokenOf(id string) (t token.Token) {
	copy(t[:], id)
	return t
}
