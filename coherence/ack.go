package coherence

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// ackPrefix begins a confirmation; a wake-up begins with a space's name and ':',
// neither of which can be a '|'.
const ackPrefix = "a|"

// debts are the confirmations that this node owes to writers. They leave together:
// what comes while a batch is being sent is the next batch.
type debts struct {
	mu   sync.Mutex
	owed map[string][]string // nonces by writer
	ends []string            // of fences, for everybody
	more chan struct{}
}

func (d *debts) add(writer, nonce string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.owed == nil {
		d.owed = make(map[string][]string)
	}
	d.owed[writer] = append(d.owed[writer], nonce)
	d.wake()
}

// tell sends the end of a fence to everybody.
func (d *debts) tell(end string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.ends = append(d.ends, end)
	d.wake()
}

func (d *debts) wake() {
	select {
	case d.more <- struct{}{}:
	default:
	}
}

func (d *debts) take() (owed map[string][]string, ends []string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	owed, ends = d.owed, d.ends
	d.owed, d.ends = nil, nil
	return owed, ends
}

// confirmLoop sends confirmations. A lost one is made up for by the registry.
func (n *Node) confirmLoop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-n.debts.more:
		}
		owed, ends := n.debts.take()
		n.confirm(ctx, owed, ends)
	}
}

func (n *Node) confirm(ctx context.Context, owed map[string][]string, ends []string) {
	if len(owed)+len(ends) == 0 {
		return
	}
	ctx, cancel := n.bounded(ctx)
	defer cancel()
	_, _ = n.clients.data.Pipelined(ctx, func(pipe redis.Pipeliner) error {
		for writer, nonces := range owed {
			pipe.Publish(ctx, n.keys.inboxes+writer, ackPrefix+n.name+"|"+strings.Join(nonces, "|"))
			n.counts.confirmed.Add(uint64(len(nonces)))
		}
		for _, end := range ends {
			pipe.Publish(ctx, n.keys.channel, end)
		}
		return nil
	})
}

// audience is who has confirmed the announcements of this node that are waited for.
type audience struct {
	mu       sync.Mutex
	hearings map[string]*hearing // by nonce
}

// hearing is the wait for the confirmations of one announcement.
type hearing struct {
	more chan struct{} // one kept
	by   map[string]bool
}

// open comes before the announcement is sent: confirmations may overtake its reply.
func (a *audience) open(nonce string) *hearing {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.hearings == nil {
		a.hearings = make(map[string]*hearing)
	}
	h := &hearing{more: make(chan struct{}, 1), by: make(map[string]bool)}
	a.hearings[nonce] = h
	return h
}

func (a *audience) close(nonce string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.hearings, nonce)
}

// hear takes a confirmation: who, and the nonces.
func (a *audience) hear(text string) {
	fields := strings.Split(text, "|")
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, nonce := range fields[1:] {
		h := a.hearings[nonce]
		if h == nil {
			continue // too late, or of another life of this inbox
		}
		h.by[fields[0]] = true
		select {
		case h.more <- struct{}{}:
		default:
		}
	}
}

// silent returns the peers that have not confirmed.
func (a *audience) silent(h *hearing, peers []peer) []peer {
	a.mu.Lock()
	defer a.mu.Unlock()
	var left []peer
	for _, p := range peers {
		if !h.by[p.name] {
			left = append(left, p)
		}
	}
	return left
}

// Heard waits until every node that may serve a copy on its assurance has applied
// the announcement: it confirmed it, the registry shows that it has, or its
// assurance has run out since. The last takes at most the MaxStale of that node and
// is told with EventGone; whoever comes later does not wait for it again. Heard
// returns the context's error, or ErrClosed.
func (n *Node) Heard(ctx context.Context, r Receipt) error {
	if r.hearing == nil {
		return nil
	}
	defer n.audience.close(r.nonce)
	poll := time.NewTicker(n.cfg.Probe)
	defer poll.Stop()
	var gone []peer
	for peers := r.peers; ; {
		peers = n.audience.silent(r.hearing, peers)
		peers, gone = n.outwait(r, peers, gone)
		if len(peers) == 0 {
			break
		}
		select {
		case <-r.hearing.more:
		case <-poll.C:
			peers = n.consult(ctx, r, peers)
		case <-time.After(soonest(r, peers).Sub(n.Now())):
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if n.closed.Load() {
			return ErrClosed
		}
	}
	if len(gone) > 0 {
		n.expelGone(ctx, gone)
	}
	return nil
}

// outwait parts the peers whose assurance has run out from those to wait for. It
// began at the latest when the announcement was answered, because an entry of the
// registry that is made later is followed by a read of the announcement.
func (n *Node) outwait(r Receipt, peers, gone []peer) (left, out []peer) {
	now := n.Now()
	for _, p := range peers {
		if now < p.end(r) {
			left = append(left, p)
			continue
		}
		gone = append(gone, p)
		n.counts.outwaited.Add(1)
		n.event(Event{Kind: EventGone, Space: r.space, Note: "node " + p.name + " did not confirm an announcement; its assurance was waited for"})
	}
	return left, gone
}

func (p peer) end(r Receipt) Instant { return r.answered.Add(withMargin(p.lease)) }

func soonest(r Receipt, peers []peer) Instant {
	end := peers[0].end(r)
	for _, p := range peers[1:] {
		end = min(end, p.end(r))
	}
	return end
}

// consult reads the registry, for confirmations that were lost: it returns the
// peers that are to be waited for still. A node counts as having confirmed if it
// has attested since the announcement, beyond it, and if it has left; but only while
// the registry is the same and the announcement stands, read in this order.
func (n *Node) consult(ctx context.Context, r Receipt, peers []peer) []peer {
	ctx, cancel := n.bounded(ctx)
	defer cancel()
	fields := []string{"g"}
	for _, p := range peers {
		fields = append(fields, "l:"+p.name)
	}
	rdb, err := n.busClient(ctx)
	if err != nil {
		return peers
	}
	pipe := rdb.Pipeline()
	entries, slot := pipe.HMGet(ctx, n.keys.nodes, fields...), pipe.HGet(ctx, n.keys.bus, r.slot)
	if _, err := pipe.Exec(ctx); err != nil || entries.Val()[0] != r.registry || !strings.Contains(slot.Val(), "|"+r.nonce+"|") {
		return peers
	}
	var left []peer
	for i, p := range peers {
		value, listed := entries.Val()[i+1].(string)
		if _, number := parsePeer(value); listed && (value == p.value || number < r.number) {
			left = append(left, p)
		}
	}
	return left
}
