package coherence

import (
	"sync"
	"sync/atomic"
)

const (
	ring       = 1024     // entries that the bus keeps; part of the wire format
	remembered = 4 * ring // positions that a node remembers, to judge late replies
)

// history is how far this node has followed the bus: it is in step at a
// position when it has applied exactly the entries that lead there (I10).
// Numbers alone cannot show that: after a restart on an old snapshot another
// history may reach an equal number, so that each entry names the nonce of the
// one before it.
type history struct {
	epoch atomic.Uint64 // of L2: the highest ever seen here, written under mu; a value of another epoch is void

	mu     sync.Mutex
	joined bool
	at     position
	past   [remembered]position
}

// verdict says how a report relates to what this node has applied.
type verdict uint8

const (
	inStep    verdict = iota // nothing is missing
	behind                   // entries are missing here: repair the gap
	lost                     // too many are missing: the ring no longer holds them
	newEpoch                 // somebody voided L2: void everything here and adopt
	forked                   // Redis' history is not the one followed here
	epochLost                // Redis lost its epoch, or went back to an older one
	unclear                  // too much happened during the probe: probe again
)

// held returns position and epoch, to be taken before a probe is sent.
func (h *history) held() report {
	h.mu.Lock()
	defer h.mu.Unlock()
	return report{at: h.at, epoch: h.epoch.Load()}
}

// position returns the place reached.
func (h *history) position() (position, bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.at, h.joined
}

// judge compares a report with this node's history; sent is what was held when
// the probe was sent. Pub/sub may have run ahead of the reply meanwhile, and the
// journal may have raised the epoch.
func (h *history) judge(sent, r report) verdict {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case r.epoch == 0 || r.epoch < sent.epoch:
		return epochLost
	case r.epoch < h.epoch.Load():
		return unclear
	case !h.joined || r.epoch > h.epoch.Load():
		return newEpoch
	case r.at.n < sent.at.n:
		return forked
	case r.at.n > h.at.n+ring:
		return lost
	case r.at.n > h.at.n:
		return behind
	case h.at.n-r.at.n >= remembered:
		return unclear
	case h.past[r.at.n%remembered] != r.at:
		return forked
	}
	return inStep
}

// advance follows one entry that has been applied. It reports whether the node
// now stands at or beyond the entry; false means a gap or another history.
func (h *history) advance(e entry) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.past[e.at.n%remembered] == e.at && e.at.n <= h.at.n {
		return true // delivered twice, or already repaired
	}
	if !h.joined || e.at.n != h.at.n+1 || e.prev != h.at.nonce {
		return false
	}
	h.stand(e.at)
	return true
}

// adopt takes over a reported position without having followed it: the caller
// voids every copy of this node afterwards, never before (a load that saw the
// old epoch must not see the new generation).
func (h *history) adopt(r report) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.joined = true
	h.epoch.Store(max(h.epoch.Load(), r.epoch))
	h.past = [remembered]position{}
	h.stand(r.at)
}

// raise takes over a higher epoch without a position: the next report is adopted.
// The caller voids every copy afterwards. It reports whether the epoch is new.
func (h *history) raise(epoch uint64) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	if epoch <= h.epoch.Load() {
		return false
	}
	h.epoch.Store(epoch)
	h.joined = false
	return true
}

// passed reports whether p is a place that this node has reached and remembers.
func (h *history) passed(p position) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.joined && p.n <= h.at.n && h.at.n-p.n < remembered && h.past[p.n%remembered] == p
}

// includes reports whether the entry at p of an epoch has been applied here, or came
// before all that this node holds.
func (h *history) includes(epoch uint64, p position) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch now := h.epoch.Load(); {
	case epoch < now:
		return h.joined // everything here was read in a later epoch
	case epoch > now || !h.joined || p.n > h.at.n:
		return false
	case h.at.n-p.n >= remembered:
		return true // within one epoch the history only grows
	}
	return h.past[p.n%remembered] == p || h.past[p.n%remembered] == position{}
}

// rewind goes back to a number that was passed, and forgets what came after it.
func (h *history) rewind(number uint64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for n := h.at.n; n > number; n-- {
		h.past[n%remembered] = position{}
	}
	h.at = h.past[number%remembered]
}

func (h *history) stand(p position) {
	h.at = p
	h.past[p.n%remembered] = p
}

// Includes reports whether this node has applied the announcement at a position that
// Receipt.Position has returned, here or on another node. It may say no for too long,
// never yes too early.
func (n *Node) Includes(epoch, number uint64, nonce string) bool {
	return n.history.includes(epoch, position{number, nonce})
}
