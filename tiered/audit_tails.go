package tiered

import (
	"context"
	"sync"
	"time"

	"github.com/tiercache/tiercache/coherence"
)

// tails remembers how long the bus was when. What it knows comes from Redis and
// not from the prober, whose work is being audited.
type tails struct {
	mu   sync.Mutex
	kept []tail // ascending in both fields
}

// tail says that entries beyond number were appended after sent.
type tail struct {
	sent   coherence.Instant
	number uint64
}

// maxTails is the number of entries that the bus remembers: an older tail tells
// nothing more.
const maxTails = 1024

// follow reads the bus' tail at every interval until ctx ends.
func (t *tails) follow(ctx context.Context, node *coherence.Node, interval time.Duration) {
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for ctx.Err() == nil {
		t.read(ctx, node)
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
}

func (t *tails) read(ctx context.Context, node *coherence.Node) {
	sent := node.Now()
	view, ok := node.View()
	if !ok || !node.Leased(sent) {
		return
	}
	number, err := node.Tail(ctx)
	if err == nil && node.Holds(view) {
		t.add(tail{sent, number})
	}
}

// add keeps one tail for each number, the latest. A number that is lower than the
// last is of another history, or of an old master's: nothing is known then.
func (t *tails) add(next tail) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := len(t.kept)
	switch {
	case n > 0 && next.number < t.kept[n-1].number:
		t.kept = nil
	case n > 0 && next.number == t.kept[n-1].number:
		t.kept[n-1] = next
	case n == maxTails:
		copy(t.kept, t.kept[1:])
		t.kept[n-1] = next
	default:
		t.kept = append(t.kept, next)
	}
}

// since returns a number beyond which all entries were appended after at; the
// lowest that is known, and false if none is.
func (t *tails) since(at coherence.Instant) (uint64, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, k := range t.kept {
		if k.sent >= at {
			return k.number, true
		}
	}
	return 0, false
}
