package coherence

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

// Whenever between send and receipt Redis read its clock, the bounds hold, and
// go on to hold while both clocks run.
func TestRedisClockIsConservative(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ns := func(name string, most int64) int64 { return rapid.Int64Range(0, most).Draw(t, name) }
		sent := Instant(ns("sent", int64(time.Hour)))
		received := sent + Instant(ns("round trip", int64(time.Second)))
		read := sent + Instant(ns("read", int64(received-sent)))
		redisAtRead := ns("Redis", 1<<61)
		redisAt := func(t Instant) int64 { return redisAtRead + int64(t-read) }

		n := &Node{}
		n.clock.set(sent, received, time.Unix(0, redisAtRead))
		now := received + Instant(ns("since", int64(time.Hour)))
		const ms = int64(time.Millisecond)
		if got := n.RedisLatest(now); got*ms < redisAt(now) {
			t.Errorf("RedisLatest = %d ms, but the clock shows %d ns", got, redisAt(now))
		}
		if got := n.RedisEarliest(now); got*ms > redisAt(now) {
			t.Errorf("RedisEarliest = %d ms, but the clock shows %d ns", got, redisAt(now))
		}
		if spread := n.RedisLatest(now) - n.RedisEarliest(now); spread*ms > int64(received-sent)+2*ms {
			t.Errorf("the bounds are %d ms apart after a round trip of %v", spread, received.Sub(sent))
		}
	})
}

func TestViewBeforeJoining(t *testing.T) {
	n := &Node{monitor: &Monitor{}}
	if v, ok := n.View(); ok || v.Epoch != 0 {
		t.Errorf("View() = %+v, %t before any epoch was seen", v, ok)
	}
}

// From the moment that an unknown process is met until it is entered, nothing
// that Redis says is believed.
func TestViewAroundAnUnknownProcess(t *testing.T) {
	n := newNode(Config{Fleet: "f", MaxStale: time.Second})
	n.monitor = &Monitor{}
	if err := n.monitor.attach(n); err != nil {
		t.Fatal(err)
	}
	n.history.raise(7)
	before, ok := n.View()
	if !ok || !n.Holds(before) || before.Epoch != 7 {
		t.Fatalf("View() = %+v, %t", before, ok)
	}
	_ = n.monitor.meet("run:repl", nil)
	if n.Holds(before) {
		t.Error("the view from before holds")
	}
	if _, ok := n.View(); ok {
		t.Error("a view while the process is unknown")
	}
	_ = n.monitor.meet("run:repl", nil) // a second connection to it
	if got := n.monitor.unhandled(); len(got) != 1 || got[0] != "run:repl" {
		t.Fatalf("unhandled = %q", got)
	}
	n.monitor.enter()
	after, ok := n.View()
	if !ok || !n.Holds(after) || n.Holds(before) {
		t.Errorf("View() = %+v, %t once it is known; holds: %t, the former %t", after, ok, n.Holds(after), n.Holds(before))
	}
}
