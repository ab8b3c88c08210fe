package coherence

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/alicebob/miniredis/v2/server"
)

// large returns n keys of the given length.
func large(n, bytes int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("%0*d", bytes, i)
	}
	return keys
}

// slots makes the server leave requests for more than a number of the ring's entries
// without a reply, as a link does that is too slow for them.
func (w *world) slots(most int) {
	w.redis.Intercept(func(c *server.Peer, cmd string, args ...string) bool {
		if cmd == "HMGET" && len(args) > 1 && len(args)-1 > most {
			if _, err := strconv.Atoi(args[1]); err == nil {
				return true
			}
		}
		return w.rules.hook(c, cmd, args...)
	})
}

// The bus has at most a few MB, whatever is announced: no entry names more bytes of keys
// than 4 KiB, alone or for several callers.
func TestGatedEntriesAreBounded(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.join()
		s := a.openSpace(w, strings.Repeat("s", maxName))
		const keys = 100
		w.announce(s, large(keys, MaxKey)...)
		var all sync.WaitGroup
		for _, k := range large(keys, MaxKey) {
			all.Go(func() { w.announce(s, k) })
		}
		all.Wait()
		seen := 0
		for n := 1; ; n++ {
			text := w.redis.HGet(busKey, strconv.Itoa(n))
			if text == "" {
				break
			}
			if len(text) > maxBytes+maxName+128 {
				w.Fatalf("entry %d has %d bytes", n, len(text))
			}
			e, err := parseEntry(text)
			w.must(err)
			c, err := parsePayload(e.payload)
			w.must(err)
			seen += len(c.keys)
		}
		if seen != 2*keys {
			w.Errorf("%d keys were announced, want %d", seen, 2*keys)
		}
	})
}

// What was announced while a node was cut off is more than one round trip brings in
// time. The node asks for less, and loses nothing.
func TestGatedRepairShrinks(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.pair()
		const missed = 200
		kept := p.as.Stamp("not announced")
		p.a.link.Cut()
		for i := range missed {
			w.announce(p.bs, fmt.Sprint("key", i))
		}
		w.slots(16)
		p.a.link.Heal()
		pass(DefaultMaxStale)
		wantState(w, p.a.Node, InStep)
		wantValid(w, p.as, kept, true)
		wantValid(w, p.as, p.copy, true)
		p.a.log.want(w, EventMissed, 0)
	})
}

// Nothing is read in time of what a node has missed. It gives its copies up instead of
// staying adrift for good.
func TestGatedRepairGivesUp(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.pair()
		p.a.link.Cut()
		w.announce(p.bs, "key", "other")
		pass(DefaultProbe)
		w.announce(p.bs, "key")
		w.slots(0)
		p.a.link.Heal()
		pass(3 * DefaultMaxStale)
		wantState(w, p.a.Node, InStep)
		wantValid(w, p.as, p.copy, false)
		p.a.log.want(w, EventMissed, 1)
		w.announce(p.as, "key")
	})
}

// What Redis has confirmed of a large announcement is done. Only the rest is owed.
func TestGatedProgressIsKept(t *testing.T) {
	for _, acked := range []bool{false, true} {
		t.Run(fmt.Sprintf("acked=%t", acked), func(t *testing.T) {
			inBubble(t, func(w *world) {
				a := w.join(func(c *Config) { c.JournalSize = maxKeys })
				s, err := a.Space(SpaceConfig{Name: "s", Acked: acked})
				w.must(err)
				pass(4 * DefaultMaxStale)
				const entries = 4
				step := func() {}
				step = func() {
					if w.redis.HGet(busKey, strconv.Itoa(entries-1)) != "" {
						w.refuseScripts("NOREPLICAS not now")
						return
					}
					w.rules.running.Store(&step)
				}
				w.rules.running.Store(&step)
				err = s.Announce(w.Context(), large(entries*maxKeys, 8)...)
				wantIs(w, err, ErrUnconfirmed)
				if got := a.Stats().Journal; got != maxKeys {
					w.Errorf("%d keys are owed, want those of the last entry: %v", got, err)
				}
				a.log.want(w, EventOverflow, 0)
				w.refuseScripts("")
				w.rules.running.Store(nil)
				pass(2 * DefaultMaxStale)
				if got := a.Stats().Journal; got != 0 {
					w.Errorf("%d keys are still owed", got)
				}
			})
		})
	}
}
