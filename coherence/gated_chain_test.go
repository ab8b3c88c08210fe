package coherence

import (
	"fmt"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/token"
)

// I10, fault 13. All messages are lost: a gap of 1, of as many entries as the ring
// holds, and of one more. At the next probe A drops the copy whose key the first
// entry names, and is in step again.
func TestGatedI10Gaps(t *testing.T) {
	for _, gap := range []int{1, ring, ring + 1} {
		t.Run(fmt.Sprint(gap), func(t *testing.T) {
			inBubble(t, func(w *world) {
				p := w.pair()
				w.rules.unpublished.Store(true)
				w.announce(p.bs, "key")
				for range gap - 1 {
					w.appendEntry("other")
				}
				wantValid(w, p.as, p.copy, true)
				pass(2 * p.a.cfg.Probe)
				wantValid(w, p.as, p.copy, false)
				wantState(w, p.a.Node, InStep)
				pass(p.a.cfg.MaxStale)
				wantState(w, p.a.Node, InStep)
				missed := 0
				if gap > ring {
					missed = 1
				}
				p.a.log.want(w, EventMissed, missed)
			})
		})
	}
}

// appendEntry does what APPEND does, in a fraction of the time.
func (w *world) appendEntry(keys ...string) {
	n, _ := strconv.ParseUint(w.redis.HGet(busKey, "n"), 10, 64)
	n++
	nonce, payload := token.New().Hex(), appendPayload(nil, "s", keys)
	text := fmt.Sprintf("%d|%s|%s|%s", n, w.redis.HGet(busKey, "c"), nonce, payload)
	w.redis.HSet(busKey, "n", fmt.Sprint(n), "c", nonce, fmt.Sprint(n%ring), text)
}

// I10, fault 13. Another history has reached A's number: Redis lost an entry that A
// applied and took another one in its place, which names the key.
func TestGatedI10ForkWithEqualNumber(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.pair()
		w.announce(p.bs, "other")
		pass(0)
		other := token.New().Hex()
		w.redis.HSet(busKey, "c", other, "1", "1||"+other+"|"+string(appendPayload(nil, "s", []string{"key"})))
		pass(2 * p.a.cfg.Probe)
		wantValid(w, p.as, p.copy, false)
		p.wantFork(w)
	})
}

// wantFork fails unless one of the nodes has found a fork, of which the others then
// learn by the new epoch.
func (p *pair) wantFork(w *world) {
	w.Helper()
	if len(p.a.log.of(EventFork))+len(p.b.log.of(EventFork)) == 0 {
		w.Error("nobody has noticed the fork")
	}
}

// I10. Redis has gone back to a position that A has passed.
func TestGatedI10Rollback(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.pair()
		w.announce(p.bs, "other")
		nonce := w.redis.HGet(busKey, "c")
		w.announce(p.bs, "other")
		pass(p.a.cfg.Probe)
		w.redis.HSet(busKey, "n", "1", "c", nonce)
		pass(2 * p.a.cfg.Probe)
		wantValid(w, p.as, p.copy, false)
		p.wantFork(w)
	})
}

// I10. A message with the next number comes from another history. A drops the
// copies that it names, and does not follow it.
func TestGatedI10ForeignMessage(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.pair()
		w.announce(p.bs, "other")
		pass(0)
		before, _ := p.a.history.position()
		p.a.deliver(p.a.message(entry{at: position{before.n + 1, "ff"}, prev: "ee", payload: string(appendPayload(nil, "s", []string{"key"}))}))
		wantValid(w, p.as, p.copy, false)
		if now, _ := p.a.history.position(); now != before {
			w.Errorf("A follows a foreign entry to %v", now)
		}
	})
}

// message is an entry as pub/sub delivers it.
func (m *member) message(e entry) *redis.Message {
	return &redis.Message{Channel: m.keys.channel, Payload: fmt.Sprintf("%d|%s|%s|%s", e.at.n, e.prev, e.at.nonce, e.payload)}
}

// I10, fault 13. Messages come late, twice and in the wrong order. Each is applied
// when it comes, the position follows the chain, and the probe finds no fork.
func TestGatedI10MessagesOutOfOrder(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.pair()
		w.rules.unpublished.Store(true)
		var entries [4]entry
		for i := 1; i < len(entries); i++ {
			w.announce(p.bs, fmt.Sprint("k", i))
			entries[i], _ = parseEntry(w.redis.HGet(busKey, strconv.Itoa(i)))
		}
		p.a.link.Hole() // a gap wakes the prober, which would repair it
		for _, step := range []struct {
			deliver int
			at      uint64
		}{{3, 0}, {1, 1}, {1, 1}, {2, 2}, {1, 2}, {3, 3}, {2, 3}} {
			st := p.as.Stamp(fmt.Sprint("k", step.deliver))
			p.a.deliver(p.a.message(entries[step.deliver]))
			wantValid(w, p.as, st, false)
			if now, _ := p.a.history.position(); now.n != step.at {
				w.Errorf("after entry %d A stands at %d, want %d", step.deliver, now.n, step.at)
			}
		}
		p.a.link.Heal()
		pass(p.a.cfg.MaxStale)
		wantState(w, p.a.Node, InStep)
		p.a.log.want(w, EventFork, 0)
	})
}

// I10. A message is received and about to be applied: until it has been, the node
// does not stand at its entry, or a probe would find it in step.
func TestGatedI10ApplyBeforeAdvance(t *testing.T) {
	n, s := lone(t)
	m := (&member{Node: n}).message(entry{at: position{2, "bb"}, prev: "aa", payload: string(appendPayload(nil, "s", []string{"key"}))})
	gen := s.Generation(s.Hash("key"))
	n.spacesMu.Lock() // apply asks for the space
	while(t, func() { n.deliver(m) }, func() bool { at, _ := n.history.position(); return at.n == 1 }, n.spacesMu.Unlock)
	if at, _ := n.history.position(); at.n != 2 || s.Generation(s.Hash("key")) == gen {
		t.Errorf("after the message: at %d, applied %t", at.n, s.Generation(s.Hash("key")) != gen)
	}
}
