package coherence

import (
	"fmt"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/token"
)

// I16. A is cut off with a copy. B looks into the registry for A's confirmation, and
// nothing that stands there shows that A has applied the announcement.
func TestGatedI16RegistryShowsNoConfirmation(t *testing.T) {
	for name, tt := range map[string]struct {
		before func(w *world, a string)
		after  func(w *world, a string, r Receipt)
	}{
		"not attested since": { // a history that was longer than this one
			before: func(w *world, a string) { w.redis.HSet(nodesKey, a, "1000|1|999999|1") },
		},
		"attested short of it": {
			after: func(w *world, a string, r Receipt) { w.redis.HSet(nodesKey, a, fmt.Sprintf("1000|1|%d|1", r.number-1)) },
		},
		"another registry": {
			after: func(w *world, a string, r Receipt) { w.redis.HSet(nodesKey, "g", "1"); w.redis.HDel(nodesKey, a) },
		},
		"another entry": {
			after: func(w *world, a string, r Receipt) {
				w.redis.HSet(busKey, r.slot, "another")
				w.redis.HDel(nodesKey, a)
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				p := w.ackedPair()
				p.a.link.Hole()
				if tt.before != nil {
					tt.before(w, "l:"+p.a.Name())
				}
				r, err := p.bs.announceAlone(w.Context(), []string{"key"}, true)
				w.must(err)
				if tt.after != nil {
					tt.after(w, "l:"+p.a.Name(), r)
				}
				wantValid(w, p.as, p.copy, true)
				if left := p.b.consult(w.Context(), r, r.peers); len(left) != 1 {
					w.Error("A counts as having confirmed")
				}
				release(p.b.Node, []Receipt{r})
			})
		})
	}
}

// I16. What all nodes are to confirm is announced by a node that is assured, and not
// while fences, leases or registries may be in force that Redis has lost: both may
// have changed since the wait for them.
func TestGatedI16NotAnnouncedFromBlind(t *testing.T) {
	for name, change := range map[string]func(p *pair){
		"assurance over": func(p *pair) { p.b.link.Hole(); pass(2 * p.b.cfg.MaxStale) },
		"history lost":   func(p *pair) { p.b.rebirth(p.b.Now(), 0) },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				p := w.ackedPair()
				_, err := p.bs.survey()
				w.must(err)
				change(p)
				_, err = p.bs.survey()
				wantIs(w, err, errSwitched)
			})
		})
	}
}

// I15. Another node fences for longer than this one, which has been here for half of
// that: it may have missed such a fence.
func TestGatedI15LongerFencesOfOthers(t *testing.T) {
	n, s := lone(t)
	s.acked, s.opened = true, n.Now().Add(-time.Minute/2)
	n.attest.since.Store(-int64(time.Hour))
	if s.Barred("key") {
		t.Fatal("barred before anything was announced")
	}
	c := fenced(time.Minute, "other")
	c.fence = token.New()
	n.apply(entry{at: position{2, "bb"}, payload: string(c.append(nil))})
	if !s.Barred("key") {
		t.Error("not barred")
	}
}
