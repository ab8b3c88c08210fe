package flight

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/tiercache/tiercache/coherence"
)

const maxStale = time.Second

// bubble runs a test in virtual time; a goroutine left behind fails it.
func bubble(t *testing.T, test func(t *testing.T, g *Group[string])) {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t) })
	synctest.Test(t, func(t *testing.T) { test(t, &Group[string]{MaxStale: maxStale}) })
}

// at is an Instant of the node's clock.
func at(d time.Duration) coherence.Instant { return coherence.Instant(d) }

// aboard is a seat in a flight that runs in a goroutine of its own.
type aboard struct {
	Seat[string]
	ctx context.Context // of the flight, if this read began it
}

// enter takes a seat, and has fn fly if it begins a flight.
func enter(g *Group[string], ctx context.Context, t Ticket, fn func(ctx context.Context, c *Call[string]) (string, error)) *aboard {
	s := &aboard{Seat: g.Enter(t)}
	if s.Led {
		flown := make(chan context.Context, 1)
		s.Call.Go(ctx, func(ctx context.Context) (string, error) {
			flown <- ctx
			return fn(ctx, s.Call)
		})
		if !s.Call.Queued {
			s.ctx = <-flown
		}
	}
	return s
}

// land ends a flight with the value sent on it.
type land chan string

func (l land) load(ctx context.Context, c *Call[string]) (string, error) {
	c.Begin(at(0))
	select {
	case v := <-l:
		return v, nil
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

func wantSeat(t *testing.T, s *aboard, want string) {
	t.Helper()
	if got, err := s.Wait(t.Context()); got != want || err != nil {
		t.Errorf("Wait = %q, %v, want %q", got, err, want)
	}
}

// Who may share a load: the table of the protocol, and its edges.
func TestWhoJoins(t *testing.T) {
	for name, test := range map[string]struct {
		ticket Ticket
		do     func(c *Call[string])
		joins  bool
	}{
		"same generation, in step":          {Ticket{Gen: 7, Now: at(time.Hour), Leased: true}, nil, true},
		"a later generation":                {Ticket{Gen: 8, Now: at(1), Leased: true}, nil, false},
		"an earlier generation":             {Ticket{Gen: 6, Now: at(1), Leased: true}, nil, false},
		"adrift, within the bound":          {Ticket{Gen: 7, Now: at(maxStale)}, nil, true},
		"adrift, beyond the bound":          {Ticket{Gen: 7, Now: at(maxStale + 1)}, nil, false},
		"adrift, a later generation":        {Ticket{Gen: 8, Now: at(1)}, nil, false},
		"sealed":                            {Ticket{Gen: 7, Now: at(1), Leased: true}, (*Call[string]).Seal, false},
		"weak and young":                    {Ticket{Gen: 7, Now: at(maxStale), Leased: true}, (*Call[string]).Weaken, true},
		"weak and old, whatever the lease":  {Ticket{Gen: 7, Now: at(maxStale + 1), Leased: true}, (*Call[string]).Weaken, false},
		"begun late: its age is that of it": {Ticket{Gen: 7, Now: at(5*time.Second + maxStale)}, func(c *Call[string]) { c.Begin(at(5 * time.Second)) }, true},
		"another key":                       {Ticket{Key: "other", Gen: 7, Now: at(1), Leased: true}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, g *Group[string]) {
				first := make(land)
				seat := enter(g, t.Context(), Ticket{Gen: 7}, first.load)
				synctest.Wait()
				if test.do != nil {
					test.do(seat.Call)
				}
				second := make(land)
				other := enter(g, t.Context(), test.ticket, second.load)
				if other.Led == test.joins {
					t.Errorf("Led = %v", other.Led)
				}
				if !seat.Led || seat.Call.Queued || seat.Call.Gen != 7 {
					t.Errorf("the first read: Led = %v, Queued = %v, Gen = %d", seat.Led, seat.Call.Queued, seat.Call.Gen)
				}
				first <- "first"
				wantSeat(t, seat, "first")
				if test.joins {
					wantSeat(t, other, "first")
					return
				}
				second <- "second"
				wantSeat(t, other, "second")
			})
		})
	}
}

// Behind a sealed flight one waits, and the rest joins that one.
func TestQueueBehindSealedFlight(t *testing.T) {
	bubble(t, func(t *testing.T, g *Group[string]) {
		ticket := Ticket{Key: "k", Leased: true}
		var running sync.WaitGroup
		lands := []land{make(land), make(land), make(land)}
		sealed := func(i int) func(context.Context, *Call[string]) (string, error) {
			return func(ctx context.Context, c *Call[string]) (string, error) {
				running.Add(1)
				defer running.Done()
				c.Begin(at(0))
				c.Seal()
				return <-lands[i], nil
			}
		}
		first := enter(g, t.Context(), ticket, sealed(0))
		synctest.Wait()
		second := enter(g, t.Context(), ticket, sealed(1))
		joined := enter(g, t.Context(), ticket, sealed(2))
		if !second.Led || !second.Call.Queued || joined.Led || joined.Call != second.Call {
			t.Fatalf("second: Led = %v, Queued = %v; third: Led = %v", second.Led, second.Call.Queued, joined.Led)
		}
		synctest.Wait()
		select {
		case lands[1] <- "early":
			t.Fatal("the queued flight runs beside the sealed one")
		default:
		}
		lands[0] <- "1"
		wantSeat(t, first, "1")
		synctest.Wait() // the second one runs, and is sealed
		third := enter(g, t.Context(), ticket, sealed(2))
		if !third.Led || !third.Call.Queued {
			t.Fatalf("third: Led = %v, Queued = %v", third.Led, third.Call.Queued)
		}
		lands[1] <- "2"
		wantSeat(t, second, "2")
		wantSeat(t, joined, "2")
		lands[2] <- "3"
		wantSeat(t, third, "3")
		running.Wait()
	})
}

// A queued flight takes its own tickets' rules: of another generation it is not joined.
func TestQueuedFlightOfOldGeneration(t *testing.T) {
	bubble(t, func(t *testing.T, g *Group[string]) {
		a, b, c := make(land), make(land), make(land)
		first := enter(g, t.Context(), Ticket{Gen: 1, Leased: true}, a.load)
		synctest.Wait()
		first.Call.Seal()
		second := enter(g, t.Context(), Ticket{Gen: 1, Leased: true}, b.load)
		third := enter(g, t.Context(), Ticket{Gen: 2, Leased: true}, c.load)
		if !third.Led || third.Call == second.Call {
			t.Error("a read joined a queued flight of an older generation")
		}
		c <- "c"
		wantSeat(t, third, "c")
		a <- "a"
		wantSeat(t, first, "a")
		b <- "b"
		wantSeat(t, second, "b")
	})
}

// groupcache, x/sync: the leader's context ends the load for all. Here a flight
// ends when the last one leaves, and has the leader's values.
func TestLeaving(t *testing.T) {
	type user struct{}
	bubble(t, func(t *testing.T, g *Group[string]) {
		l := make(land)
		ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), user{}, "alice"))
		leader := enter(g, ctx, Ticket{Leased: true}, l.load)
		waiter := enter(g, t.Context(), Ticket{Leased: true}, l.load)
		if leader.ctx.Value(user{}) != "alice" {
			t.Error("the flight lacks the values of its leader")
		}
		why := errors.New("left")
		cancel(why)
		if v, err := leader.Wait(ctx); v != "" || !errors.Is(err, why) {
			t.Errorf("Wait = %q, %v", v, err)
		}
		if leader.ctx.Err() != nil {
			t.Error("the leader took the flight along")
		}
		impatient, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer stop()
		began := time.Now()
		_, err := waiter.Wait(impatient)
		if took := time.Since(began); !errors.Is(err, context.DeadlineExceeded) || took != 50*time.Millisecond {
			t.Errorf("Wait: %v after %v", err, took)
		}
		synctest.Wait()
		if leader.ctx.Err() == nil {
			t.Error("the flight goes on for nobody")
		}

		// Who comes now begins anew, even before the old one has ended.
		next := make(land)
		fresh := enter(g, t.Context(), Ticket{Leased: true}, next.load)
		if !fresh.Led {
			t.Error("a read joined an abandoned flight")
		}
		next <- "fresh"
		wantSeat(t, fresh, "fresh")
	})
}

// An abandoned flight that does not heed its context must not be joined, and must
// not take away the one that came after it when it ends.
func TestAbandonedFlightEndsLate(t *testing.T) {
	bubble(t, func(t *testing.T, g *Group[string]) {
		deaf, l := make(chan struct{}), make(land)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		old := enter(g, t.Context(), Ticket{}, func(context.Context, *Call[string]) (string, error) { <-deaf; return "old", nil })
		old.Wait(ctx)
		fresh := enter(g, t.Context(), Ticket{}, l.load)
		close(deaf)
		synctest.Wait()
		joined := enter(g, t.Context(), Ticket{}, l.load)
		if joined.Led || joined.Call != fresh.Call {
			t.Error("the end of the old flight hid the new one")
		}
		l <- "fresh"
		wantSeat(t, fresh, "fresh")
		wantSeat(t, joined, "fresh")
	})
}

// A queued flight that everybody has left does not wait for the one ahead.
func TestQueuedFlightIsLeft(t *testing.T) {
	bubble(t, func(t *testing.T, g *Group[string]) {
		a := make(land)
		first := enter(g, t.Context(), Ticket{}, a.load)
		synctest.Wait()
		first.Call.Seal()
		ended := make(chan error, 1)
		queued := enter(g, t.Context(), Ticket{}, func(ctx context.Context, c *Call[string]) (string, error) {
			ended <- ctx.Err()
			return "", ctx.Err()
		})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		queued.Wait(ctx)
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the queued flight ran with context error %v", err)
		}
		a <- "a"
		wantSeat(t, first, "a")
	})
}

// Errors reach every waiter, and are not kept for the next.
func TestErrorsAreShared(t *testing.T) {
	bubble(t, func(t *testing.T, g *Group[string]) {
		down, gate := errors.New("down"), make(chan struct{})
		fail := func(context.Context, *Call[string]) (string, error) { <-gate; return "half", down }
		var seats []*aboard
		for range 5 {
			seats = append(seats, enter(g, t.Context(), Ticket{}, fail))
		}
		close(gate)
		for _, s := range seats {
			if _, err := s.Wait(t.Context()); !errors.Is(err, down) {
				t.Errorf("Wait: %v", err)
			}
		}
		l := make(land, 1)
		l <- "up"
		wantSeat(t, enter(g, t.Context(), Ticket{}, l.load), "up")
		synctest.Wait()
		if len(g.calls) != 0 {
			t.Errorf("%d flights are remembered", len(g.calls))
		}
	})
}

// Readers who come, leave and join in any order: every one gets an answer, and
// no two flights of one key and generation run at once unless one was abandoned.
func TestFlightsUnderLoad(t *testing.T) {
	bubble(t, func(t *testing.T, g *Group[string]) {
		var readers sync.WaitGroup
		for i := range 200 {
			readers.Go(func() {
				time.Sleep(time.Duration(i%17) * time.Millisecond)
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(1+i%5)*10*time.Millisecond)
				defer cancel()
				seat := enter(g, ctx, Ticket{Key: string(rune('a' + i%3)), Gen: uint64(i % 2), Leased: i%7 != 0}, func(ctx context.Context, c *Call[string]) (string, error) {
					c.Begin(at(0))
					if i%11 == 0 {
						c.Seal()
					}
					select {
					case <-time.After(25 * time.Millisecond):
						return c.Key, nil
					case <-ctx.Done():
						return "", ctx.Err()
					}
				})
				v, err := seat.Wait(ctx)
				if err == nil && v != seat.Call.Key || err != nil && !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("Wait = %q, %v", v, err)
				}
			})
		}
		readers.Wait()
		synctest.Wait()
		if len(g.calls) != 0 {
			t.Errorf("%d flights are remembered", len(g.calls))
		}
	})
}
