package coherence

import (
	"testing"
	"time"
)

// I16. A is cut off with a copy while the clock of Redis jumps, either way, and then a
// node joins. B's announcement waits for A all the same.
func TestGatedI16ClockOfRedisRemovesNobody(t *testing.T) {
	for name, jump := range map[string]time.Duration{
		"a day and more ahead": 25 * time.Hour,
		"a year ahead":         365 * 24 * time.Hour,
		"a year back":          -365 * 24 * time.Hour,
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				p := w.ackedPair()
				p.a.link.Hole()
				w.redis.SetTime(time.Now().Add(jump))
				c := w.join()
				c.openAcked(w)
				pass(2 * c.cfg.Probe) // it attests
				wantValid(w, p.as, p.copy, true)
				w.acked(p.bs, "key")
				wantValid(w, p.as, p.copy, false)
			})
		})
	}
}

// The registry keeps nobody for good: who died while nobody wrote is taken off it by a
// node that has waited for its lease, and nobody else is.
func TestGatedI16SweepOfTheRegistry(t *testing.T) {
	inBubble(t, func(w *world) {
		const lease = 10 * time.Second
		w.redis.HSet(nodesKey, "l:dead", "10000|7|1|1", "l:back", "10000|7|1|1")
		p := w.ackedPair()
		listed := func(field string) bool { return w.redis.HGet(nodesKey, field) != "" }
		if !listed("l:dead") {
			w.Error("a node was taken off that was not waited for")
		}
		w.redis.HSet(nodesKey, "l:back", "10000|8|1|1") // it attests
		pass(withMargin(lease))
		if listed("l:dead") {
			w.Error("a dead node is listed still")
		}
		if !listed("l:back") {
			w.Error("a node was taken off that had attested anew")
		}
		if a, b := "l:"+p.a.Name(), "l:"+p.b.Name(); !listed(a) || !listed(b) {
			w.Error("a living node was taken off")
		}
		if w.redis.HGet(nodesKey, "g") == "" {
			w.Error("the registry has lost its name")
		}
	})
}
