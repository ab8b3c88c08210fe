package tiered

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/tiercache/tiercache/coherence"
	shared "github.com/tiercache/tiercache/internal/script"
	"github.com/tiercache/tiercache/tiered/internal/script"
)

// fill is a record to be stored under a lease; without one the lease is given up.
type fill struct {
	key    string
	lease  string // its id; a token is enough to give up
	record []byte
	px     time.Duration
}

// commit ends leases. It reports for each whether the record was stored; an
// error counts as not stored.
func (r *remote) commit(ctx context.Context, fills ...fill) []bool {
	stored := make([]bool, 0, len(fills))
	for len(fills) > 0 {
		n, bytes := 0, 0
		for n < min(len(fills), pipelined) {
			if bytes += len(fills[n].record); n > 0 && bytes > batchBytes {
				break
			}
			n++
		}
		stored = append(stored, r.commitPart(ctx, fills[:n])...)
		fills = fills[n:]
	}
	return stored
}

func (r *remote) commitPart(ctx context.Context, fills []fill) []bool {
	ctx = context.WithoutCancel(ctx) // a lease is given back in any case
	calls := make([]shared.Call, len(fills))
	for i, f := range fills {
		calls[i] = shared.Call{Script: script.Commit, Keys: []string{r.prefix + f.key},
			Args: []any{f.lease, f.record, millis(f.px), r.space.InboxPrefix(), r.space.WakePayload(f.key)}}
	}
	stored := make([]bool, len(fills))
	var failed []shared.Call // to be given up instead, so that nobody waits
	var cause error
	for i, result := range r.each(ctx, calls...) {
		stored[i] = result.Err == nil && result.Value == int64(1) && len(fills[i].record) > 0
		if result.Err != nil && len(fills[i].record) > 0 {
			giveUp := calls[i]
			giveUp.Args = slices.Clone(giveUp.Args) // the others may still be on their way
			giveUp.Args[1] = ""
			failed, cause = append(failed, giveUp), result.Err
		}
	}
	if len(failed) > 0 {
		r.behind(func() { r.each(ctx, failed...) })
	}
	r.tell(fills, cause)
	return stored
}

// tell says that records could not be stored, once until one is.
func (r *remote) tell(fills []fill, cause error) {
	if cause == nil {
		r.refuses.Store(false)
		return
	}
	if r.refuses.Swap(true) {
		return
	}
	bytes := 0
	for _, f := range fills {
		bytes += len(f.record)
	}
	r.report(coherence.Event{Kind: coherence.EventUnstored, Space: r.space.Name(), Err: cause,
		Note: fmt.Sprintf("%d values of %d bytes were loaded and could not be put into Redis; told once until one can", len(fills), bytes)})
}
