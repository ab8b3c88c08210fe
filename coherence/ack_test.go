package coherence

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/token"
)

// An announcement that everybody hears takes no time, on a virtual clock, however
// many they are; nor does one of a fleet of one, or after the others have left.
func TestConfirmedAtOnce(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.ackedPair()
		var copies []Stamp
		var spaces []*Space
		for range 10 {
			s := w.join().openAcked(w)
			spaces = append(spaces, s)
		}
		pass(time.Second)
		for _, s := range spaces {
			copies = append(copies, s.Stamp("key"))
		}
		if took := w.acked(p.bs, "key"); took > 0 {
			w.Errorf("the announcement took %v", took)
		}
		for i, s := range spaces {
			wantValid(w, s, copies[i], false)
			w.must(s.node.Close())
		}
		w.must(p.a.Close())
		if took := w.acked(p.bs, "key"); took > 0 {
			w.Errorf("after the others have left the announcement took %v", took)
		}
		if n := p.b.Stats().Outwaited; n != 0 {
			w.Errorf("%d nodes were outwaited", n)
		}
	})
}

// Nodes without an acked space are not waited for, and do not attest.
func TestOnlyThoseWhoAttestAreWaitedFor(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.ackedPair()
		c := w.join()
		c.link.Hole()
		if took := w.acked(p.bs, "key"); took > 0 {
			w.Errorf("the announcement took %v", took)
		}
		p.as.Close()
		pass(3 * p.a.cfg.Probe)
		p.a.link.Hole()
		if took := w.acked(p.bs, "key"); took > 0 {
			w.Errorf("after A's space was closed the announcement took %v", took)
		}
	})
}

// Messages are lost: A learns of the entry by its probe, and B of A's confirmation
// from the registry.
func TestConfirmedWithoutMessages(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.ackedPair()
		w.rules.unpublished.Store(true)
		took := w.acked(p.bs, "key")
		wantValid(w, p.as, p.copy, false)
		if took > 4*p.a.cfg.Probe {
			w.Errorf("the announcement took %v", took)
		}
		p.b.log.want(w, EventGone, 0)
	})
}

// The context ends while a node has still to confirm.
func TestUnheard(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.ackedPair()
		p.a.link.Hole()
		ctx, cancel := context.WithTimeout(w.Context(), p.a.cfg.MaxStale/2)
		defer cancel()
		err := p.bs.Announce(ctx, "key")
		wantIs(w, err, ErrUnheard)
		wantIs(w, err, context.DeadlineExceeded)
		if len(p.b.audience.hearings) != 0 {
			w.Error("a hearing is left behind")
		}
	})
}

// A fleet of one that has come anew waits for the life of a fence, because somebody
// else may have been there; later it waits for nobody.
func TestNewFleet(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.join().openAcked(w)
		if took, want := w.acked(s, "key"), s.fenceLife(); took < want-time.Second || took > want+time.Second {
			w.Errorf("the first announcement took %v, want about %v", took, want)
		}
		if took := w.acked(s, "key"); took > 0 {
			w.Errorf("the second announcement took %v", took)
		}
		late := w.join().openAcked(w)
		if took := w.acked(late, "key"); took > 0 {
			w.Errorf("the announcement of a node that came later took %v", took)
		}
	})
}

// A server that refuses ATTEST costs the assurance, not the lease, whether it refuses
// this node or all writes for a while.
func TestAttestRefused(t *testing.T) {
	for _, text := range []string{"NOPERM no scripts", "NOREPLICAS not now", "MISCONF no snapshot", "OOM no memory"} {
		t.Run(text[:strings.IndexByte(text, ' ')], func(t *testing.T) {
			inBubble(t, func(w *world) {
				a := w.join()
				s := a.openAcked(w)
				pass(time.Second)
				w.refuseScripts(text)
				pass(2 * time.Second)
				wantState(w, a.Node, InStep)
				if a.Assured(a.Now()) {
					w.Error("assured")
				}
				wantValid(w, s, s.Stamp("key"), false)
				a.log.want(w, EventConfig, 1)
				ctx, cancel := context.WithTimeout(w.Context(), 10*time.Second)
				defer cancel()
				wantIs(w, s.SettleAcked(ctx), ErrAdrift)
			})
		})
	}
}

func TestAckedSpaceNeedsAFence(t *testing.T) {
	n, _ := lone(t)
	for _, life := range []time.Duration{time.Second, 2 * time.Hour, -1} {
		if _, err := n.Space(SpaceConfig{Name: "acked", Acked: true, Fence: life}); err == nil {
			t.Errorf("Fence %v was accepted", life)
		}
	}
}

// More fences than are remembered bar everything.
func TestFencesBeyondMemory(t *testing.T) {
	var f fences
	x := fence{token.New(), 100}
	for i := range maxFences {
		f.raise([]string{fmt.Sprint(i)}, x, 1)
	}
	if f.stands("other", token.Token{}, 50) {
		t.Error("a key that nobody writes is fenced")
	}
	f.raise([]string{"one more"}, x, 1)
	if !f.stands("other", token.Token{}, 50) || f.stands("other", token.Token{}, 101) {
		t.Errorf("fenced: at 50 %t, at 101 %t", f.stands("other", token.Token{}, 50), f.stands("other", token.Token{}, 101))
	}
	f.raise([]string{"later"}, fence{token.New(), 300}, 200)
	if n := len(f.keys); n != 1 {
		t.Errorf("%d keys are remembered after all but one were over", n)
	}
}

// Whatever the registry holds, a node in it is waited for.
func TestPeersOfWhateverTheRegistryHolds(t *testing.T) {
	n, _ := lone(t)
	peers := n.parsePeers([]any{"A", "1000|2|3|4", "B", "rubbish", n.name, "1000|1|1|1", "C", "99999999999|1|1|1", 7, nil, "odd"})
	want := map[string]time.Duration{"A": time.Second, "B": maxLease, "C": maxLease, "": maxLease}
	for _, p := range peers {
		if want[p.name] != p.lease {
			t.Errorf("%q is waited for %v, want %v", p.name, p.lease, want[p.name])
		}
	}
	if len(peers) != len(want) {
		t.Errorf("%d peers, want %d", len(peers), len(want))
	}
}
