package coherence

import (
	"context"
	"strconv"
	"time"

	"github.com/redis/go-redis/v9"
)

// A repair is the reading of missed entries, which may take several probes. Each entry
// that was applied is progress that stays.
type repair struct {
	batch, most uint64        // entries of the next round trip, and of any: fewer than of one that failed
	spent       time.Duration // since the node was in step
}

// wholeBatch entries have half a MB at most.
const wholeBatch = 128

func newRepair() repair { return repair{batch: wholeBatch / 4, most: wholeBatch} }

// succeeded and failed choose the next batch.
func (r *repair) succeeded() { r.batch = min(2*r.batch, r.most) }

func (r *repair) failed() {
	r.most = max(r.batch/2, 1)
	r.batch = r.most
}

// repair fetches the missing entries from the ring and applies them, link by
// link. It returns what the report means afterwards: lost if reading on would cost
// more than the local copies are worth, because the node cannot be in step meanwhile.
func (n *Node) repair(ctx context.Context, r report) (verdict, error) {
	p := &n.prober.repair
	began := n.Now()
	defer func() { p.spent += n.Now().Sub(began) }()
	from, _ := n.history.position()
	for lo := from.n + 1; lo <= r.at.n; {
		if p.spent+n.Now().Sub(began) >= n.clients.lease/2 {
			return lost, nil
		}
		hi := min(lo+p.batch-1, r.at.n)
		slots, err := n.readSlots(ctx, n.clients.control, lo, hi)
		if err != nil {
			p.failed()
			return unclear, err
		}
		for i, slot := range slots {
			if v := n.mend(lo+uint64(i), slot); v != inStep {
				return v, nil
			}
		}
		p.succeeded()
		lo = hi + 1
	}
	if n.prober.owed == 0 && int64(n.prober.proved) >= n.sub.confirmed.Load() { // all younger than the subscription
		n.prober.owed, n.prober.owedAt = r.at.n, n.Now()
	}
	return n.history.judge(r, r), nil
}

// mend applies one entry of the ring.
func (n *Node) mend(number uint64, slot any) verdict {
	text, _ := slot.(string)
	e, err := parseEntry(text)
	switch {
	case err != nil || e.at.n < number:
		return forked
	case e.at.n > number:
		return unclear // overwritten by newer entries since the report
	}
	n.apply(e)
	n.counts.repaired.Add(1)
	if !n.history.advance(e) {
		if _, joined := n.history.position(); !joined {
			return unclear // the journal has voided everything meanwhile
		}
		return forked
	}
	return inStep
}

// readSlots reads a part of the ring through a client or one connection of it.
func (n *Node) readSlots(ctx context.Context, rdb redis.HashCmdable, lo, hi uint64) ([]any, error) {
	ctx, cancel := n.bounded(ctx)
	defer cancel()
	fields := make([]string, 0, hi-lo+1)
	for i := lo; i <= hi; i++ {
		fields = append(fields, strconv.FormatUint(i%ring, 10))
	}
	return rdb.HMGet(ctx, n.keys.bus, fields...).Result()
}

// noticeDeafness subscribes anew when entries had to be repaired that pub/sub
// did not deliver within a probe's interval: a subscription may hang on a dead
// or demoted master without any error.
func (n *Node) noticeDeafness() {
	p := &n.prober
	if p.owed == 0 {
		return
	}
	if n.sub.heard.Load() >= p.owed || n.sub.confirmed.Load() >= int64(p.owedAt) {
		p.owed = 0 // delivered, or older than the subscription
		return
	}
	if n.Now().Sub(p.owedAt) < n.cfg.Probe {
		return
	}
	p.owed = 0
	n.counts.deaf.Add(1)
	n.event(Event{Kind: EventDeaf, Note: "announcements came by the probe only; subscribing anew"})
	n.sub.renew()
}
