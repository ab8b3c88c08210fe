package tiered

import (
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/gather"
	shared "github.com/tiercache/tiercache/internal/script"
	"github.com/tiercache/tiercache/internal/token"
	"github.com/tiercache/tiercache/tiered/internal/script"
)

// remote is the tier in Redis: one record a key. Every method makes one round
// trip, bounded by the node's Timeout, for which it may queue as long: see each.
// Each may be sent twice by the client, and every script answers the second time as
// it did the first.
type remote struct {
	rdb     redis.UniversalClient
	scripts *shared.Runner
	calls   *gather.Gatherer[calls] // of scripts; nil unless there is a single server
	space   *coherence.Space
	single  bool         // one server: MGET reads any keys
	apart   atomic.Bool  // it has refused MGET
	size    atomic.Int64 // bytes that a value read with others is expected to have
	refuses atomic.Bool  // the last COMMIT has failed
	behind  func(func()) // runs what nobody waits for; Close of the cache does
	prefix  string       // of value keys
	locks   string       // of refresh locks
	inbox   string       // this node's name
	timeout time.Duration
	lease   time.Duration
	fence   time.Duration
	report  func(coherence.Event)
}

func newRemote(node *coherence.Node, name string, lease, fence time.Duration) *remote {
	fleet := node.Config().Fleet
	_, single := node.Redis().(*redis.Client)
	r := &remote{
		single: single,
		rdb:    node.Redis(), scripts: node.Scripts(),
		prefix: fleet + ":" + name + ":", locks: fleet + ":~r:",
		inbox: node.Name(), timeout: node.Config().Timeout,
		lease: lease, fence: fence, report: node.Report,
	}
	if single {
		r.calls = gather.New(callLimits(r.timeout), r.runTogether)
	}
	return r
}

// kind says what stands in a key.
type kind uint8

const (
	absent kind = iota
	value       // raw holds the record
	leased      // somebody is loading
	fenced      // somebody is writing
	mine        // this process holds the lease
)

// record is what a read or ACQUIRE found.
type record struct {
	kind  kind
	raw   []byte
	lease string // proof of ownership, where kind is mine
}

const (
	stampLength  = 16
	leaseHeader  = 33 // 'L' token grant; inboxes follow
	inboxLength  = 8
	fenceLength  = 30 // flag token expiry, repeated behind 'F'
	maxPollDelay = 50 * time.Millisecond
	pipelined    = 512     // calls of one round trip: what Redis answers well within a Timeout
	batchBytes   = 4 << 20 // of the records in it: what takes 40 ms at 1 Gbit/s
)

func classify(raw []byte) record {
	if len(raw) == 0 {
		return record{}
	}
	switch n := len(raw); {
	case raw[0] == 'V':
		return record{kind: value, raw: raw}
	case raw[0] == 'L' && n >= leaseHeader && (n-leaseHeader)%inboxLength == 0:
		return record{kind: leased, raw: raw}
	case raw[0] == 'F' && n > 1 && (n-1)%fenceLength == 0:
		return record{kind: fenced, raw: raw}
	}
	return record{kind: absent} // foreign or malformed: ACQUIRE replaces it
}

// awaitedBy reports whether a node is on a lease's wake-up list.
func (r record) awaitedBy(inbox string) bool {
	for at := leaseHeader; at+inboxLength <= len(r.raw); at += inboxLength {
		if string(r.raw[at:at+inboxLength]) == inbox {
			return true
		}
	}
	return false
}

func (r *remote) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(ctx, r.timeout)
}

// acquire asks for the leases of keys, replacing values with the given stamps
// ("" where none may be replaced).
func (r *remote) acquire(ctx context.Context, keys []string, tokens []token.Token, stamps []string) ([]record, error) {
	calls := make([]shared.Call, len(keys))
	for i, key := range keys {
		calls[i] = shared.Call{Script: script.Acquire, Keys: []string{r.prefix + key},
			Args: []any{tokens[i].String(), r.lease.Milliseconds(), stamps[i]}}
	}
	records := make([]record, len(keys))
	for i, result := range r.each(ctx, calls...) {
		if result.Err != nil {
			return nil, result.Err
		}
		switch reply := result.Value.(type) {
		case int64:
			records[i] = record{kind: mine, lease: script.LeaseID(tokens[i], reply)}
		case string:
			records[i] = classify(bytesOf(reply))
		default:
			return nil, fmt.Errorf("tiercache: ACQUIRE answered %T", reply)
		}
	}
	return records, nil
}

// wait puts this node on the wake-up list of a lease. It returns how long the
// lease lasts, or what stands there instead.
func (r *remote) wait(ctx context.Context, key string) (time.Duration, record, error) {
	reply, err := r.one(ctx, script.Wait, r.prefix+key, r.inbox)
	switch reply := reply.(type) {
	case int64:
		return time.Duration(reply) * time.Millisecond, record{kind: leased}, err
	case string:
		return 0, classify(bytesOf(reply)), err
	}
	return 0, record{}, err
}

// renew makes locks last for another lease.
func (r *remote) renew(ctx context.Context, locks []lock) {
	for part := range slices.Chunk(locks, pipelined) {
		r.renewPart(ctx, part)
	}
}

func (r *remote) renewPart(ctx context.Context, locks []lock) {
	ctx, cancel := r.bounded(ctx)
	defer cancel()
	calls := make([]shared.Call, len(locks))
	for i, l := range locks {
		calls[i] = shared.Call{Script: script.Renew, Keys: []string{l.key}, Args: []any{l.id, r.lease.Milliseconds()}}
	}
	r.scripts.Each(ctx, calls...)
}

// replace swaps the value with the given stamp for a fresher one.
func (r *remote) replace(ctx context.Context, key, stamp string, rec []byte, px time.Duration) (bool, error) {
	reply, err := r.one(ctx, script.Replace, r.prefix+key, stamp, rec, millis(px))
	return reply == int64(1), err
}

// lock takes the refresh lock of the value with the given stamp. A new value has
// a new stamp, so nobody ever unlocks: N nodes refresh a value once.
func (r *remote) lock(ctx context.Context, stamp [stampLength]byte, t token.Token) (bool, error) {
	reply, err := r.one(ctx, script.Acquire, r.lockKey(stamp), t.String(), r.lease.Milliseconds(), "")
	_, mine := reply.(int64)
	return mine, err
}

func (r *remote) lockKey(stamp [stampLength]byte) string { return r.locks + token.Token(stamp).Hex() }

// raise fences a key and announces it. The returned id is the proof of the fence.
// With acked all nodes are to confirm that they know of it.
func (r *remote) raise(ctx context.Context, key string, t token.Token, acked bool) (id string, receipt coherence.Receipt, err error) {
	call := shared.Call{Script: script.Fence, Keys: []string{r.prefix + key},
		Args: []any{t.String(), r.fence.Milliseconds(), r.space.InboxPrefix(), r.space.WakePayload(key)}}
	reply, receipt, err := r.space.AnnounceBehind(ctx, call, key, coherence.Fence{Token: t, Life: r.fence, Confirm: acked})
	if err != nil {
		return "", receipt, err
	}
	fields, _ := reply.([]any)
	if len(fields) != 2 {
		return "", receipt, fmt.Errorf("tiercache: FENCE answered %v", reply)
	}
	expiry, ok := fields[1].(int64)
	if !ok {
		return "", receipt, fmt.Errorf("tiercache: FENCE answered expiry %v", fields[1])
	}
	return script.FenceID(t, expiry), receipt, nil
}

// lowered is what became of a fence.
type lowered uint8

const (
	fenceLost lowered = iota // unknown or gone: invalidate again
	fenceCleared
	fenceWritten // and the record stands in its place
)

// lower removes a fence, storing rec if no other write overlapped, and asks
// whether the announcement made with the fence is still part of the history.
func (r *remote) lower(ctx context.Context, key, id string, rec []byte, px time.Duration, receipt coherence.Receipt) lowered {
	results := r.each(ctx, r.unfence(key, id, rec, px), r.space.Confirm(receipt))
	if results[0].Err != nil && len(rec) > 0 && redis.HasErrorPrefix(results[0].Err, "OOM") {
		results[0] = r.each(ctx, r.unfence(key, id, nil, px))[0]
	}
	remaining, ok := results[0].Value.(int64)
	if !ok || remaining < 0 || results[1].Value != int64(1) {
		return fenceLost
	}
	if remaining == 1 {
		return fenceWritten
	}
	return fenceCleared
}

func (r *remote) unfence(key, id string, rec []byte, px time.Duration) shared.Call {
	return shared.Call{Script: script.Unfence, Keys: []string{r.prefix + key}, Args: []any{id, rec, millis(px)}}
}

// withdraw removes a fence under which nothing was written; if that fails, it
// expires by itself.
func (r *remote) withdraw(ctx context.Context, key, id string) {
	r.each(context.WithoutCancel(ctx), r.unfence(key, id, nil, time.Millisecond))
}

// erasing returns the calls that remove what stands under keys, so that nobody finds
// data older than an announcement.
func (r *remote) erasing(keys []string) []shared.Call {
	calls := make([]shared.Call, len(keys))
	for i, key := range keys {
		calls[i] = shared.Call{Script: script.Inval, Keys: []string{r.prefix + key},
			Args: []any{r.space.InboxPrefix(), r.space.WakePayload(key)}}
	}
	return calls
}

// millis rounds up to what Redis takes as an expiry.
func millis(d time.Duration) int64 {
	return max(1, int64((d+time.Millisecond-1)/time.Millisecond))
}
