package coherence

import "testing"

func TestInbox(t *testing.T) {
	var b inbox
	one, two, other := b.await("k"), b.await("k"), b.await("l")
	b.wake("k")
	b.wake("k") // is kept once
	b.wake("nobody's")
	for name, w := range map[string]*Waiter{"one": one, "two": two} {
		if len(w.C) != 1 {
			t.Errorf("%s has %d wake-ups, want 1", name, len(w.C))
		}
	}
	if len(other.C) != 0 {
		t.Error("woken for another key")
	}
	<-one.C
	one.Cancel()
	one.Cancel()
	b.wake("k")
	if len(one.C) != 0 {
		t.Error("woken after Cancel")
	}
	two.Cancel()
	other.Cancel()
	if len(b.waiters) != 0 {
		t.Errorf("%d keys are kept without waiters", len(b.waiters))
	}
}

func TestWakeUpsCrossTheFleet(t *testing.T) {
	inBubble(t, func(w *world) {
		a, b := w.join(), w.join()
		sa, sb := a.openSpace(w, "s"), b.openSpace(w, "s")
		mine, another := sb.Await("k"), sb.Await("l")
		defer mine.Cancel()
		defer another.Cancel()
		if err := a.Redis().Publish(w.Context(), sa.InboxPrefix()+b.Name(), sa.WakePayload("k")).Err(); err != nil {
			w.Fatal(err)
		}
		pass(0)
		if len(mine.C) != 1 || len(another.C) != 0 {
			w.Errorf("%d and %d wake-ups, want 1 and 0", len(mine.C), len(another.C))
		}
	})
}
