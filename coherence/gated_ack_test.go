package coherence

import (
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/token"
)

// nodesKey is the registry of the fleet that the worlds' nodes form.
const nodesKey = "{f}:nodes"

// fenceLife is the longest life of a fence in the tests of acknowledged
// announcements.
const fenceLife = 3 * DefaultMaxStale

// ackedPair is two nodes that attest, with a space of the same name; the first
// holds a copy of key. No fence can be unknown to them any more.
func (w *world) ackedPair(with ...func(*Config)) *pair {
	w.Helper()
	p := &pair{a: w.join(with...), b: w.join(with...)}
	p.as, p.bs = p.a.openAcked(w), p.b.openAcked(w)
	pass(fenceLife + time.Second)
	p.copy = p.as.Stamp("key")
	wantValid(w, p.as, p.copy, true)
	return p
}

func (m *member) openAcked(w *world) *Space {
	w.Helper()
	s, err := m.Space(SpaceConfig{Name: "s", Acked: true, Fence: fenceLife})
	if err != nil {
		w.Fatal(err)
	}
	return s
}

// acked announces and returns how long that took.
func (w *world) acked(s *Space, keys ...string) time.Duration {
	w.Helper()
	began := time.Now()
	w.announce(s, keys...)
	return time.Since(began)
}

// I16. A hears nothing and may serve its copy for a while. B's announcement
// returns when it may not any more, says so, and the next one does not wait again.
func TestGatedI16SilentNodeIsWaitedFor(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.ackedPair()
		p.a.link.Hole()
		took := w.acked(p.bs, "key")
		wantValid(w, p.as, p.copy, false)
		if longest := withMargin(p.a.cfg.MaxStale); took > longest {
			w.Errorf("the announcement took %v, want %v at most", took, longest)
		}
		if gone := p.b.log.want(w, EventGone, 1); len(gone) == 1 && !strings.Contains(gone[0].Note, p.a.Name()) {
			w.Errorf("the event %q does not name %s", gone[0], p.a.Name())
		}
		if took := w.acked(p.bs, "key"); took > 0 {
			w.Errorf("the second announcement took %v", took)
		}
		p.a.link.Heal()
		pass(p.a.cfg.MaxStale)
		st := p.as.Stamp("key")
		wantValid(w, p.as, st, true)
		w.acked(p.bs, "key")
		wantValid(w, p.as, st, false)
	})
}

// I16. A has an entry in its hands and has not applied it: it does not confirm it.
func TestGatedI16ApplyBeforeConfirming(t *testing.T) {
	n, s := lone(t)
	n.attest.listed.Store(true)
	m := (&member{Node: n}).message(entry{at: position{2, "bb"}, prev: "aa", payload: string(fenced(0, "key").append(nil))})
	gen := s.Generation(s.Hash("key"))
	owed := func() bool {
		n.debts.mu.Lock()
		defer n.debts.mu.Unlock()
		return len(n.debts.owed) > 0
	}
	n.spacesMu.Lock() // apply asks for the space
	while(t, func() { n.deliver(m) }, func() bool { return !owed() }, n.spacesMu.Unlock)
	if !owed() || s.Generation(s.Hash("key")) == gen {
		t.Errorf("after the message: owed %t, applied %t", owed(), s.Generation(s.Hash("key")) != gen)
	}
}

// I16. A is not in the registry, and so is not waited for: B's writer had outwaited
// it. While A enters it again an entry is made that does not find A there. When A is
// assured again it has applied that entry.
func TestGatedI16WhoEntersReadsAfterwards(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.join()
		as := a.openAcked(w)
		pass(fenceLife + time.Second)
		st := as.Stamp("key")
		w.redis.HDel(nodesKey, "l:"+a.Name())
		missed := func() { w.appendEntry("key") }
		w.rules.running.Store(&missed) // before A's next ATTEST
		pass(a.cfg.Probe + a.cfg.Probe/2)
		if w.rules.running.Load() != nil || w.redis.HGet(nodesKey, "l:"+a.Name()) == "" {
			w.Fatal("A has not attested")
		}
		wantValid(w, as, st, false)
	})
}

// I16. A attests again just before B removes it from the registry, for which B has
// read an older value.
func TestGatedI16WhoReturnsStaysListed(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.ackedPair()
		was := peer{name: p.a.Name(), value: w.redis.HGet(nodesKey, "l:"+p.a.Name())}
		pass(2 * p.a.cfg.Probe)
		p.b.expelGone(w.Context(), []peer{was})
		p.a.link.Hole()
		w.acked(p.bs, "key")
		wantValid(w, p.as, p.copy, false)
	})
}

// I16. Redis has lost the registry, with or without everything else, or holds one
// from before A came, while A is cut off and assured. B finds nobody to wait for, and
// waits until nobody can be who is unknown there.
func TestGatedI16RegistryLost(t *testing.T) {
	for name, tt := range map[string]struct {
		lose   func(w *world, p *pair)
		notice bool // B has noticed when it announces
	}{
		"noticed":            {func(w *world, p *pair) { w.redis.FlushAll() }, true},
		"at once":            {func(w *world, p *pair) { w.redis.FlushAll() }, false},
		"the registry alone": {func(w *world, p *pair) { w.redis.Del(nodesKey) }, false},
		"another epoch": {func(w *world, p *pair) { // by a node that met another Redis process, with a registry that lacks A
			w.redis.HSet(busKey, "e", strconv.FormatInt(time.Now().UnixMilli(), 10))
			w.redis.HDel(nodesKey, "l:"+p.a.Name())
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				p := w.ackedPair()
				p.a.link.Hole()
				tt.lose(w, p)
				if tt.notice {
					pass(3 * p.b.cfg.Probe)
					wantValid(w, p.as, p.copy, true)
				}
				w.acked(p.bs, "key")
				wantValid(w, p.as, p.copy, false)
			})
		})
	}
}

// I15. A is told of two fences of a key, in the entry, before its generation moves;
// each of them bars the key until its own end.
func TestGatedI15FencesAreRemembered(t *testing.T) {
	n, s := lone(t)
	s.acked, s.opened = true, -Instant(time.Hour)
	n.attest.since.Store(-int64(time.Hour))
	hear := func(number uint64, fence token.Token) {
		c := fenced(time.Minute, "key")
		c.fence = fence
		n.apply(entry{at: position{number, "bb"}, payload: string(c.append(nil))})
	}
	first, second := token.New(), token.New()
	if s.Barred("key") {
		t.Fatal("barred before anything was announced")
	}
	hear(2, first)
	hear(3, second)
	if !s.Barred("key") || s.Barred("other") {
		t.Errorf("barred: key %t, other %t", s.Barred("key"), s.Barred("other"))
	}
	n.lift("s|" + second.Hex() + "|key")
	n.lift("s|" + second.Hex() + "|key")
	if !s.Barred("key") {
		t.Error("the end of one fence has ended another")
	}
	n.lift("s|" + first.Hex() + "|key")
	if s.Barred("key") {
		t.Error("barred after the end of both")
	}
}

// I15. Who sees the new generation knows of the fence.
func TestGatedI15FenceBeforeGeneration(t *testing.T) {
	n, s := lone(t)
	s.acked = true
	gen := s.Generation(s.Hash("key"))
	e := entry{at: position{2, "bb"}, payload: string(fenced(time.Minute, "key").append(nil))}
	s.fences.mu.Lock()
	while(t, func() { n.apply(e) }, func() bool { return s.Generation(s.Hash("key")) == gen }, s.fences.mu.Unlock)
	if s.Generation(s.Hash("key")) == gen || !s.fences.stands("key", token.Token{}, n.Now()) {
		t.Error("not applied")
	}
}

// I15. A node that has just come, that has missed announcements for good, or whose
// Redis has lost its data, may not know of a fence for as long as one lives.
func TestGatedI15WhoMissedFencesIsBarred(t *testing.T) {
	for name, miss := range map[string]func(w *world, p *pair) *Space{
		"newcomer":  func(w *world, p *pair) *Space { return w.join().openAcked(w) },
		"FLUSHALL":  func(w *world, p *pair) *Space { w.redis.FlushAll(); return p.as },
		"restart":   func(w *world, p *pair) *Space { w.must(w.redis.Restart()); return p.as },
		"garbled":   func(w *world, p *pair) *Space { w.redis.Publish(p.a.keys.channel, "gibberish"); return p.as },
		"ring lost": func(w *world, p *pair) *Space { w.outrun(); return p.as },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				p := w.ackedPair()
				if p.as.Barred("key") {
					w.Fatal("barred before")
				}
				s := miss(w, p)
				pass(fenceLife - time.Second)
				if !s.Barred("key") {
					w.Error("not barred")
				}
				pass(2 * time.Second)
				if s.Barred("key") {
					w.Error("barred for good")
				}
			})
		})
	}
}

// outrun makes more entries than the ring holds, and no messages.
func (w *world) outrun() {
	for range ring + 1 {
		w.appendEntry("other")
	}
}

func (w *world) must(err error) {
	w.Helper()
	if err != nil {
		w.Fatal(err)
	}
}
