package coherence

import (
	"fmt"
	"testing"
)

// The bus tells which of its entries name a key, of one space, beyond a number;
// as far back as it remembers.
func TestAnnounced(t *testing.T) {
	inBubble(t, func(w *world) {
		m := w.join()
		s, other := m.openSpace(w, "s"), m.openSpace(w, "t")
		want := func(key string, after uint64, want bool) {
			w.Helper()
			if got, err := s.Announced(w.Context(), key, after); got != want || err != nil {
				w.Errorf("Announced(%q, %d) = %v, %v, want %v", key, after, got, err, want)
			}
		}
		tail := func(want uint64) {
			w.Helper()
			if got, err := m.Tail(w.Context()); got != want || err != nil {
				w.Errorf("Tail = %d, %v, want %d", got, err, want)
			}
		}
		announce := func(s *Space, keys ...string) {
			w.Helper()
			if err := s.Announce(w.Context(), keys...); err != nil {
				w.Fatal(err)
			}
		}
		tail(0)
		want("a", 0, false)
		announce(s, "a", "b")
		announce(other, "c")
		tail(2)
		want("a", 0, true)
		want("b", 0, true)
		want("c", 0, false) // of another space
		want("a", 1, false) // before
		want("a", 7, false) // a number of another history
		for i := range ring - 2 {
			announce(s, fmt.Sprint(i))
		}
		want("a", 0, true) // the oldest that is remembered
		announce(s, "z")
		want("a", 0, false) // forgotten
		want("z", ring, true)
		w.redis.HSet("{f}:bus", "1", "no entry")
		want("z", ring, false)
	})
}

// Redis that does not answer is an error, not an answer.
func TestAnnouncedUnanswered(t *testing.T) {
	inBubble(t, func(w *world) {
		m := w.join()
		s := m.openSpace(w, "s")
		m.link.Cut()
		if _, err := s.Announced(w.Context(), "a", 0); err == nil {
			w.Error("Announced: no error")
		}
		if _, err := m.Tail(w.Context()); err == nil {
			w.Error("Tail: no error")
		}
	})
}
