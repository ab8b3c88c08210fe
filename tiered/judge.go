package tiered

import (
	"context"
	"time"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/tiered/internal/envelope"
)

// action is what a read does about what it found in Redis.
type action uint8

const (
	look     action = iota // ask what is there
	serve                  // the value is good
	bypass                 // somebody is writing: load, do not store
	await                  // somebody is loading: wait
	take                   // nothing of use is there: ask for the lease
	hold                   // the lease is ours: load and store
	distrust               // not ours to replace: load as if Redis were away
	pass                   // the value is not for caches: load, wait for nobody, do not store
)

// step is an action with its object.
type step[V any] struct {
	do      action
	value   V               // to serve
	record  envelope.Record // its envelope
	replace string          // take: the stamp that may be replaced, "" for none
	found   record          // await, hold: what was found
}

// judged is judge for a look or a script that may have failed.
func (c *Cache[V]) judged(r *reading[V], rec record, ok bool) step[V] {
	if !ok {
		return step[V]{do: distrust}
	}
	return c.judge(r, rec)
}

// judge decides on what r.view shows. One GET decides everything; a record that
// cannot be read is a counted miss, repaired by the next fill, and never an
// error.
func (c *Cache[V]) judge(r *reading[V], rec record) step[V] {
	switch rec.kind {
	case absent:
		return step[V]{do: take}
	case leased:
		return step[V]{do: await, found: rec}
	case fenced:
		return step[V]{do: bypass}
	case mine:
		return step[V]{do: hold, found: rec}
	}
	env, err := envelope.Parse(rec.raw)
	switch {
	case err != nil:
		c.counts.corrupt.Add(1)
		return step[V]{do: take, replace: stampOf(rec.raw)}
	case env.Epoch > r.view.Epoch:
		c.node.Check() // the fleet knows of a loss of history that this node does not
		return step[V]{do: distrust}
	case env.Epoch < r.view.Epoch:
		return step[V]{do: take, replace: stampOf(rec.raw)}
	case env.Schema > c.cfg.Version:
		return step[V]{do: distrust} // of a newer deployment: two shapes must not replace each other in turn
	case !c.readable(env) || env.Hard <= c.node.RedisLatest(c.node.Now()):
		return step[V]{do: take, replace: stampOf(rec.raw)}
	case env.Uncacheable:
		return step[V]{do: pass}
	}
	v, ok := c.decoded(r, env)
	if !ok {
		if v, err = c.decode(env); err != nil {
			c.counts.corrupt.Add(1)
			return step[V]{do: take, replace: stampOf(rec.raw)}
		}
	}
	return step[V]{do: serve, value: v, record: env}
}

// decoded returns the value of a record that a local copy, though it may not be
// served any more, stands for: a stamp is given to one record only. That is so when
// another key moved the generation of this one, when all copies were voided, or
// when LocalTTL is shorter than what Redis has left.
func (c *Cache[V]) decoded(r *reading[V], env envelope.Record) (v V, ok bool) {
	e := c.local.get(r.hash, r.key)
	if e == nil || e.weak || e.negative != env.Negative || e.mark != markOf(env.Stamp) {
		return v, false
	}
	return e.value, true
}

// readable reports whether the record is of this cache's shape and uses nothing
// that this version cannot check.
func (c *Cache[V]) readable(env envelope.Record) bool {
	return env.Schema == c.cfg.Version && (env.Negative || env.Codec == c.cfg.Codec.ID()) &&
		!env.Compressed && !env.Encrypted && len(env.Tags) == 0
}

// decode guards against codecs that panic on hostile bytes.
func (c *Cache[V]) decode(env envelope.Record) (V, error) {
	return guarded(context.Background(), func(context.Context) (v V, err error) {
		if !env.Negative {
			err = c.cfg.Codec.Decode(env.Payload, &v)
		}
		return v, err
	})
}

// stampOf returns the stamp of a record that may be malformed; ACQUIRE takes a
// record too short for a stamp for absent.
func stampOf(raw []byte) string {
	if len(raw) < 1+stampLength {
		return ""
	}
	return string(raw[1 : 1+stampLength])
}

// serve keeps a copy of what was found in Redis and returns it.
func (c *Cache[V]) serve(ctx context.Context, r *reading[V], s step[V]) (V, error) {
	c.counts.remoteHits.Add(1)
	now := c.node.Now()
	e := c.keepAt(now, r, s.value, &encoded{header: s.record.Header, stamp: s.record.Stamp, size: len(s.record.Payload)})
	if now >= e.early() {
		c.touch(ctx, e, r.hash, now, r.load, &r.life)
	}
	if e.negative {
		return e.value, ErrNotFound
	}
	return e.value, nil
}

// untilRedis returns the time left at now until the Redis clock shows ms, on the
// safe side: it may already show the latest time possible. Whatever a record says,
// the result is within maxLocalLife.
func (c *Cache[V]) untilRedis(now coherence.Instant, ms int64) time.Duration {
	const limit = int64(maxLocalLife / time.Millisecond)
	left := ms - c.node.RedisLatest(now)
	return time.Duration(min(max(left, -limit), limit)) * time.Millisecond
}
