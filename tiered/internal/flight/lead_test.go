package flight

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"testing/synctest"
)

// wait waits for a flight in a goroutine of its own.
func wait(t *testing.T, s Seat[string]) chan string {
	got := make(chan string, 1)
	go func() {
		v, err := s.Wait(t.Context())
		if err != nil {
			v = err.Error()
		}
		got <- v
	}()
	synctest.Wait()
	return got
}

// Who flies in its own goroutine hands its outcome to those who have joined, whether
// they wait already or not, and makes way for the next.
func TestLandedByItsLeader(t *testing.T) {
	bubble(t, func(t *testing.T, g *Group[string]) {
		ticket := Ticket{Key: "k", Leased: true}
		led, early, late := g.Enter(ticket), g.Enter(ticket), g.Enter(ticket)
		if !led.Led || early.Led || late.Led || led.Call.Queued {
			t.Fatalf("Led = %v, %v, %v", led.Led, early.Led, late.Led)
		}
		waiting := wait(t, early)
		led.Call.Land("v", nil)
		if got := <-waiting; got != "v" {
			t.Errorf("who waited got %q", got)
		}
		if v, err := late.Wait(t.Context()); v != "v" || err != nil {
			t.Errorf("who had not waited yet got %q, %v", v, err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if v, err := led.Wait(ended); v != "v" || err != nil {
			t.Errorf("what has landed is not lost with a context: %q, %v", v, err)
		}
		if next := g.Enter(ticket); !next.Led || next.Call == led.Call {
			t.Error("a read joined a flight that has landed")
		}
	})
}

// The leader leaves before the flight has landed: it is told whether somebody has to
// go on, and the others get what that one lands with.
func TestLeaderLeaves(t *testing.T) {
	bubble(t, func(t *testing.T, g *Group[string]) {
		ticket := Ticket{Key: "k", Leased: true}
		led, other := g.Enter(ticket), g.Enter(ticket)
		waiting := wait(t, other)
		if !led.Leave() {
			t.Error("Leave = false, another waits")
		}
		led.Call.Go(t.Context(), func(ctx context.Context) (string, error) { return "v", ctx.Err() })
		if got := <-waiting; got != "v" {
			t.Errorf("the other got %q", got)
		}

		alone := g.Enter(ticket)
		if alone.Leave() {
			t.Error("Leave = true, nobody else waits")
		}
		next := g.Enter(ticket)
		if !next.Led {
			t.Error("a read joined a flight that everybody has left")
		}
		alone.Call.Go(t.Context(), func(ctx context.Context) (string, error) {
			if ctx.Err() == nil {
				t.Error("a flight that everybody has left goes on")
			}
			return "", nil
		})
		synctest.Wait()
		if joined := g.Enter(ticket); joined.Led || joined.Call != next.Call {
			t.Error("the end of the one that was left hid the next one")
		}
	})
}

// What was to be released is, once: when the flight lands, when the last one leaves,
// or at once if that was before.
func TestRelease(t *testing.T) {
	bubble(t, func(t *testing.T, g *Group[string]) {
		for name, end := range map[string]func(s Seat[string]){
			"landed":          func(s Seat[string]) { s.Call.Land("", nil) },
			"left":            func(s Seat[string]) { s.Leave() },
			"left and landed": func(s Seat[string]) { s.Leave(); s.Call.Land("", nil) },
		} {
			before, after := 0, 0
			s := g.Enter(Ticket{Key: name})
			s.Call.Release(func() { t.Errorf("%s: what was replaced was called", name) })
			s.Call.Release(func() { before++ })
			if before != 0 {
				t.Errorf("%s: released while somebody waits", name)
			}
			end(s)
			s.Call.Release(func() { after++ })
			if before != 1 || after != 1 {
				t.Errorf("%s: released %d times, and %d times afterwards", name, before, after)
			}
		}
	})
}

// A flight whose goroutine ends on its way has landed all the same.
func TestGoexit(t *testing.T) {
	bubble(t, func(t *testing.T, g *Group[string]) {
		s := g.Enter(Ticket{})
		s.Call.Go(t.Context(), func(context.Context) (string, error) {
			runtime.Goexit()
			return "", nil
		})
		if _, err := s.Wait(t.Context()); !errors.Is(err, errUnfinished) {
			t.Errorf("Wait: %v", err)
		}
	})
}
