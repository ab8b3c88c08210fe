package coherence

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

func TestSpaceNames(t *testing.T) {
	inBubble(t, func(w *world) {
		m := w.join()
		for _, name := range []string{"", "a:b", "a b", "{a}", "a\n"} {
			if _, err := m.Space(SpaceConfig{Name: name}); err == nil || !strings.Contains(err.Error(), "SpaceConfig.Name") {
				w.Errorf("Space(%q) = %v", name, err)
			}
		}
		s := m.openSpace(w, "s")
		if _, err := m.Space(SpaceConfig{Name: "s"}); err == nil || !strings.Contains(err.Error(), "open already") {
			w.Errorf("Space opened twice: %v", err)
		}
		if s.Name() != "s" {
			w.Errorf("Name() = %q", s.Name())
		}
		s.Close()
		s.Close()
		again := m.openSpace(w, "s")
		s.Close() // does not close its successor
		if m.space("s") != again {
			w.Error("the name is free although the second space is open")
		}
	})
}

func TestStamps(t *testing.T) {
	inBubble(t, func(w *world) {
		m := w.join()
		s, other := m.openSpace(w, "s"), m.openSpace(w, "other")
		wantValid(w, s, Stamp{}, false)
		k, l, same := s.Stamp("k"), s.Stamp("l"), other.Stamp("k")
		s.Bump("k")
		wantValid(w, s, k, false)
		wantValid(w, s, l, true)
		wantValid(w, other, same, true)
		wantValid(w, s, s.Stamp("k"), true)
		m.gens.flush()
		wantValid(w, s, l, false)
	})
}

func TestStampAndValidDoNotAllocate(t *testing.T) {
	n := newNode(Config{Fleet: "f", MaxStale: time.Hour})
	n.extend(n.Now())
	s, err := n.Space(SpaceConfig{Name: "s"})
	if err != nil {
		t.Fatal(err)
	}
	if got := testing.AllocsPerRun(100, func() { s.Valid(s.Stamp("a key of some length")) }); got != 0 {
		t.Errorf("%v allocations", got)
	}
}

func TestAnnounceManyKeys(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.join(), w.join()
		sa, sb := a.openSpace(w, "s"), b.openSpace(w, "s")
		keys := make([]string, 1000)
		own, others := make([]Stamp, len(keys)), make([]Stamp, len(keys))
		for i := range keys {
			keys[i] = fmt.Sprintf("key/%d|\x00", i)
			own[i], others[i] = sa.Stamp(keys[i]), sb.Stamp(keys[i])
		}
		kept := sb.Stamp("not among them")
		if err := sa.Announce(w.Context(), keys...); err != nil {
			w.Fatal(err)
		}
		pass(0)
		for i := range keys {
			if sa.Valid(own[i]) || sb.Valid(others[i]) {
				w.Fatalf("%q is still valid: here %t, there %t", keys[i], sa.Valid(own[i]), sb.Valid(others[i]))
			}
		}
		wantValid(w, sb, kept, true)
		if got := a.Stats().Announced; got != 4 {
			w.Errorf("%d announcements, want 4", got)
		}
	})
}

func TestAnnounceKeysOfAnyLength(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.join(), w.join()
		sa, sb := a.openSpace(w, "s"), b.openSpace(w, "s")
		longest := strings.Repeat("k", MaxKey)
		for _, key := range []string{"", longest} {
			st := sb.Stamp(key)
			if err := sa.Announce(w.Context(), key); err != nil {
				w.Errorf("a key of %d bytes: %v", len(key), err)
			}
			pass(0)
			wantValid(w, sb, st, false)
		}
		st := sa.Stamp("short")
		err := sa.Announce(w.Context(), "short", longest+"k")
		if err == nil || !strings.Contains(err.Error(), "1025 bytes") || len(err.Error()) > 200 {
			w.Errorf("a key of %d bytes: %v", MaxKey+1, err)
		}
		wantValid(w, sa, st, true) // nothing was done
		a.log.want(w, EventJournal, 0)
	})
}

// A node follows what it keeps no copies of.
func TestUnknownSpacesAreFollowed(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.join(), w.join()
		sa, sb := a.openSpace(w, "only here"[:4]), b.openSpace(w, "s")
		st := sb.Stamp("k")
		if err := sa.Announce(w.Context(), "k"); err != nil {
			w.Fatal(err)
		}
		pass(time.Second)
		wantValid(w, sb, st, true)
		if got := b.Stats(); got.Malformed != 0 || got.Repaired != 0 || got.Messages != 1 {
			w.Errorf("Stats() = %+v, want one message and nothing else", got)
		}
	})
}

// Data first, then the bus (I7): whoever hears of a change finds no older data.
func TestEraseComesFirst(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.join(), w.join()
		sa, e := a.erasingSpace(w, "s")
		sb := b.openSpace(w, "s")
		e.block.Store(true)
		own, other := sa.Stamp("k"), sb.Stamp("k")
		done := make(chan error)
		go func() { done <- sa.Announce(w.Context(), "k") }()
		pass(time.Second)
		wantValid(w, sa, own, true)
		wantValid(w, sb, other, true)
		close(e.hold)
		if err := <-done; err != nil {
			w.Fatal(err)
		}
		wantValid(w, sa, own, false)
		pass(0)
		wantValid(w, sb, other, false)
	})
}

// The context of Announce bounds the wait; the keys are announced all the same.
func TestAnnounceWithoutTime(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.join(), w.join()
		sa, sb := a.openSpace(w, "s"), b.openSpace(w, "s")
		st := sb.Stamp("k")
		ctx, cancel := cancelled(w)
		defer cancel()
		wantIs(w, sa.Announce(ctx, "k"), ErrUnconfirmed)
		pass(time.Second)
		wantValid(w, sb, st, false)
		a.log.want(w, EventSettled, 1)
	})
}

func TestCollidingHashes(t *testing.T) {
	mask := hashMask
	hashMask = 0
	defer func() { hashMask = mask }()
	inBubble(t, func(w *world) {
		m := w.join()
		s := m.openSpace(w, "s")
		st := s.Stamp("k")
		if err := s.Announce(w.Context(), "another"); err != nil {
			w.Fatal(err)
		}
		wantValid(w, s, st, false) // costs a load, serves nothing old
	})
}
