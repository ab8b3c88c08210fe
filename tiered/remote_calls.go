package tiered

import (
	"context"
	"errors"
	"time"

	"github.com/tiercache/tiercache/internal/gather"
	shared "github.com/tiercache/tiercache/internal/script"
)

// callLimits: a batch keeps Redis busy for less than a millisecond, and a network of 1
// Gbit/s for two.
func callLimits(timeout time.Duration) gather.Limits {
	return gather.Limits{Slots: 4, Most: 64, Bytes: 256 << 10, Time: timeout}
}

// few calls are those of one key.
const few = 2

// calls are runs of scripts by one read or write, which do not depend on each other.
type calls struct {
	run     []shared.Call
	asked   time.Time
	results []shared.Result
}

// each runs calls in one round trip. A few share it with those of others that come at
// the same time: see package gather. Where there is more than one server they go alone,
// so that none that does not answer holds up those who ask another.
//
// Who is queued for longer than a Timeout, or after ctx has ended, gets an error and
// its calls are not sent.
func (r *remote) each(ctx context.Context, run ...shared.Call) []shared.Result {
	if r.calls == nil || len(run) > few {
		ctx, cancel := r.bounded(ctx)
		defer cancel()
		return r.scripts.Each(ctx, run...)
	}
	q := gather.NewRequest[calls]()
	q.Value = calls{run: run, asked: time.Now()}
	if err := r.calls.Ask(ctx, q); err != nil {
		return refused(len(run), err) // q is not ours any more
	}
	return q.Value.results
}

// one is each of one call.
func (r *remote) one(ctx context.Context, s *shared.Script, key string, args ...any) (any, error) {
	result := r.each(ctx, shared.Call{Script: s, Keys: []string{key}, Args: args})[0]
	return result.Value, result.Err
}

// errQueued: Redis did not answer those ahead in time.
var errQueued = errors.New("tiercache: queued for longer than a Timeout")

func refused(n int, err error) []shared.Result {
	results := make([]shared.Result, n)
	for i := range results {
		results[i].Err = err
	}
	return results
}

// runTogether runs the calls of a batch and returns their weight.
func (r *remote) runTogether(batch []*gather.Request[calls]) (bytes int) {
	var all []shared.Call
	sent := make([]*gather.Request[calls], 0, len(batch))
	for _, q := range batch {
		if r.late(q) {
			q.Value.results = refused(len(q.Value.run), errQueued)
			continue
		}
		all, sent = append(all, q.Value.run...), append(sent, q)
	}
	if len(sent) == 0 {
		return 0
	}
	// One that gives up while it is sent takes nobody along.
	ctx, cancel := r.bounded(context.WithoutCancel(sent[0].Ctx))
	defer cancel()
	results := r.scripts.Each(ctx, all...)
	for _, q := range sent {
		n := len(q.Value.run)
		q.Value.results, results = results[:n:n], results[n:]
		bytes += q.Value.weight()
	}
	return bytes
}

// late: Redis has not answered those ahead for a Timeout.
func (r *remote) late(q *gather.Request[calls]) bool {
	return time.Since(q.Value.asked) > r.timeout
}

// weight is how many bytes travel for calls, of those that may be many.
func (c *calls) weight() (bytes int) {
	for _, call := range c.run {
		for _, arg := range call.Args {
			if record, ok := arg.([]byte); ok {
				bytes += len(record)
			}
		}
	}
	for _, result := range c.results {
		if record, ok := result.Value.(string); ok {
			bytes += len(record)
		}
	}
	return bytes
}

// close waits for what is under way. Nobody asks any more.
func (r *remote) close() {
	if r.calls != nil {
		r.calls.Close()
	}
}
