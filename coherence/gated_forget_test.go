package coherence

import (
	"fmt"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

// A promotion is a replica that A follows while B is still on the old master, which
// lives: what B announces there reaches nobody.
type promotion struct {
	*pair
	copies []Stamp // of keys, loaded by A from the new master
	keys   []string
}

// promoted lets B announce the number of keys, in calls of 256, and makes them both
// follow the history of before then.
func (w *world) promoted(keys int, with ...func(*Config)) *promotion {
	p := &promotion{pair: w.pair(with...)}
	replica := redistest.RunPipe(w.T)
	pass(DefaultProbe)
	w.must(replica.Restore(w.redis.Snapshot()))
	p.a.link.Lead(replica)
	pass(2 * DefaultMaxStale)
	wantState(w, p.a.Node, InStep)
	for i := range keys {
		p.keys = append(p.keys, fmt.Sprint("key", i))
		p.copies = append(p.copies, p.as.Stamp(p.keys[i]))
	}
	w.announce(p.bs, p.keys...)
	w.redis, p.pair.a = replica, p.a
	p.b.link.Lead(replica)
	return p
}

func (p *promotion) wantVoid(w *world) {
	w.Helper()
	pass(2 * DefaultMaxStale)
	wantState(w, p.a.Node, InStep)
	wantState(w, p.b.Node, InStep)
	for i, c := range p.copies {
		if p.as.Valid(c) {
			w.Fatalf("A still serves %s", p.keys[i])
		}
	}
	if got := p.b.Stats().Journal; got != 0 {
		w.Errorf("the journal of B holds %d keys", got)
	}
}

// I1. What was announced to a demoted master is announced again, however much it is, or
// everything is voided.
func TestGatedI1AnnouncementsToADemotedMaster(t *testing.T) {
	const room = 100
	small := func(c *Config) { c.JournalSize = room }
	for _, c := range []struct {
		name     string
		keys     int
		overflow int
		with     func(*Config)
	}{
		{"fits", room, 0, small},
		{"more than half of the journal", room/2 + 1, 0, small},
		{"more than the journal", room + 1, 1, small},
		{"more than the memory", memoryKeys + 1, 1, func(c *Config) { c.JournalSize = 1 << 20 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				p := w.promoted(c.keys, c.with)
				p.wantVoid(w)
				p.b.log.want(w, EventOverflow, c.overflow)
			})
		})
	}
}

// The same for what was announced long ago, by a node that stayed on the old master.
func TestGatedI1ForgottenForItsAge(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.pair()
		replica := redistest.RunPipe(w.T)
		w.must(replica.Restore(w.redis.Snapshot()))
		p.a.link.Lead(replica)
		pass(2 * DefaultMaxStale)
		copy := p.as.Stamp("key")
		w.announce(p.bs, "key")
		pass(memorySpan + time.Second)
		w.announce(p.bs, "other") // and the first is forgotten
		wantValid(w, p.as, copy, true)
		p.b.link.Lead(replica)
		pass(2 * DefaultMaxStale)
		wantValid(w, p.as, copy, false)
		p.b.log.want(w, EventOverflow, 1)
	})
}

// Where nobody has used the new process before, nothing is announced again and nothing
// voided for what a node has forgotten.
func TestGatedFailoverRepeatsLittle(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.pair(func(c *Config) { c.JournalSize = 1 })
		for i := range memoryKeys/maxKeys + 1 {
			keys := make([]string, maxKeys)
			for k := range keys {
				keys[k] = fmt.Sprint(i, " ", k)
			}
			w.announce(p.bs, keys...)
		}
		pass(DefaultMaxStale)
		before := p.b.Stats().Announced
		replica := redistest.RunPipe(w.T)
		w.must(replica.Restore(w.redis.Snapshot()))
		p.a.link.Lead(replica)
		p.b.link.Lead(replica)
		pass(2 * DefaultMaxStale)
		wantState(w, p.b.Node, InStep)
		p.b.log.want(w, EventOverflow, 0)
		if got := p.b.Stats().Announced - before; got != 0 {
			w.Errorf("%d announcements made again", got)
		}
	})
}

// The same where INFO tells nothing: that B's new server was used by others before shows
// in an epoch and a position that B has not led to.
func TestGatedI1BlindNodeRepeats(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.pair(func(c *Config) { c.Monitor = &Monitor{} })
		replica := redistest.RunPipe(w.T)
		w.must(replica.Restore(w.redis.Snapshot()))
		w.announce(p.bs, "lost")
		pass(2 * DefaultProbe)
		p.a.link.Lead(replica)
		pass(2 * DefaultMaxStale)
		copy := p.as.Stamp("key")
		w.announce(p.bs, "key")
		pass(2 * DefaultProbe)
		wantValid(w, p.as, copy, true)
		p.b.link.Lead(replica)
		pass(2 * DefaultMaxStale)
		wantValid(w, p.as, copy, false)
	})
}
