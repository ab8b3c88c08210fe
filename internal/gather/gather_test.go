package gather

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

// A server answers batches: with the question doubled, size bytes each, when its
// gate opens.
type server struct {
	gated bool
	gate  chan struct{} // of a gated one: takes one for each batch
	size  int
	takes time.Duration
	sent  [][]int
	mu    sync.Mutex
	under atomic.Int32 // batches under way
	peak  int32
}

func (s *server) send(batch []*Request[int]) int {
	s.mu.Lock()
	questions := make([]int, len(batch))
	for i, r := range batch {
		questions[i] = r.Value
	}
	s.sent = append(s.sent, questions)
	s.peak = max(s.peak, s.under.Add(1))
	s.mu.Unlock()
	defer s.under.Add(-1)
	if s.gate != nil {
		<-s.gate
	}
	time.Sleep(s.takes) // in virtual time
	for _, r := range batch {
		r.Value *= 2
	}
	return s.size * len(batch)
}

// batches returns what was sent since the last call.
func (s *server) batches() [][]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	defer func() { s.sent = nil }()
	return s.sent
}

// bubble runs a test in virtual time; a goroutine left behind fails it.
func bubble(t *testing.T, limits Limits, s *server, test func(t *testing.T, g *Gatherer[int])) {
	t.Helper()
	t.Cleanup(func() { goleak.VerifyNone(t) })
	synctest.Test(t, func(t *testing.T) {
		if s.gated {
			s.gate = make(chan struct{})
		}
		g := New(limits, s.send)
		test(t, g)
		g.Close()
	})
}

// asking is an Ask under way.
type asking struct {
	request *Request[int]
	err     chan error
}

// ask asks n, and lets everybody else run until they wait.
func ask(ctx context.Context, g *Gatherer[int], n int) *asking { return askHeavy(ctx, g, n, 1) }

func askHeavy(ctx context.Context, g *Gatherer[int], n, weight int) *asking {
	a := &asking{NewRequest[int](), make(chan error, 1)}
	a.request.Value, a.request.Weight = n, weight
	go func() { a.err <- g.Ask(ctx, a.request) }()
	synctest.Wait()
	return a
}

func (a *asking) want(t *testing.T, n int) {
	t.Helper()
	if err := <-a.err; err != nil || a.request.Value != n {
		t.Errorf("Ask = %d, %v, want %d", a.request.Value, err, n)
	}
}

func wantBatches(t *testing.T, s *server, want ...[]int) {
	t.Helper()
	if got := s.batches(); !slices.EqualFunc(got, want, slices.Equal) {
		t.Errorf("sent %v, want %v", got, want)
	}
}

// patience is the longest time of a batch; no test takes it.
const patience = time.Minute

var wide = Limits{Slots: 2, Most: 100, Bytes: 1 << 20, Time: patience}

// Who finds a free slot is sent at once, alone; the rest queue, and the next free
// slot takes them all.
func TestQueueIsOneBatch(t *testing.T) {
	s := &server{gated: true}
	bubble(t, wide, s, func(t *testing.T, g *Gatherer[int]) {
		var all []*asking
		for i := range 10 {
			all = append(all, ask(t.Context(), g, i))
		}
		wantBatches(t, s, []int{0}, []int{1})
		s.gate <- struct{}{}
		synctest.Wait()
		wantBatches(t, s, []int{2, 3, 4, 5, 6, 7, 8, 9})
		s.gate <- struct{}{}
		s.gate <- struct{}{}
		for i, a := range all {
			a.want(t, 2*i)
		}
		late := ask(t.Context(), g, 10) // by a slot that has been idle
		wantBatches(t, s, []int{10})
		s.gate <- struct{}{}
		late.want(t, 20)
	})
}

// A lone caller costs no waiting: no time passes, nothing is sent twice, and nobody
// is woken.
func TestLoneCaller(t *testing.T) {
	s := &server{}
	bubble(t, wide, s, func(t *testing.T, g *Gatherer[int]) {
		began := time.Now()
		r := NewRequest[int]()
		for i := range 100 {
			r.Value = i // a request is used again
			if err := g.Ask(t.Context(), r); err != nil || r.Value != 2*i {
				t.Fatalf("Ask = %d, %v", r.Value, err)
			}
		}
		if took := time.Since(began); took != 0 || len(s.batches()) != 100 {
			t.Errorf("100 requests took %v", took)
		}
		if g.idle != 0 || g.busy != 0 {
			t.Errorf("%d goroutines and %d slots for callers who send for themselves", g.idle, g.busy)
		}
	})
}

// A batch is bounded, by number and by the bytes that answers had lately. The
// oldest go first.
func TestBatchIsBounded(t *testing.T) {
	for name, test := range map[string]struct {
		limits Limits
		size   int
		want   [][]int
	}{
		"by number":               {Limits{Slots: 1, Most: 3, Bytes: 1 << 20, Time: patience}, 1, [][]int{{0}, {1, 2, 3}, {4, 5, 6}, {7}}},
		"by bytes":                {Limits{Slots: 1, Most: 100, Bytes: 4000, Time: patience}, 1000, [][]int{{0}, {1, 2, 3, 4}, {5, 6, 7}}},
		"larger than all of them": {Limits{Slots: 1, Most: 100, Bytes: 4000, Time: patience}, 5000, [][]int{{0}, {1}, {2}, {3}}},
		"of nothing":              {Limits{Slots: 1, Most: 100, Bytes: 4000, Time: patience}, 0, [][]int{{0}, {1, 2, 3, 4, 5, 6, 7, 8}}},
	} {
		t.Run(name, func(t *testing.T) {
			s := &server{gated: true, size: test.size}
			bubble(t, test.limits, s, func(t *testing.T, g *Gatherer[int]) {
				last := test.want[len(test.want)-1]
				var all []*asking
				for i := range last[len(last)-1] + 1 {
					all = append(all, ask(t.Context(), g, i))
				}
				for range test.want {
					s.gate <- struct{}{}
					synctest.Wait()
				}
				for i, a := range all {
					a.want(t, 2*i)
				}
				wantBatches(t, s, test.want...)
			})
		})
	}
}

// Requests weigh what their callers say. One that is too heavy for any batch is sent alone.
func TestBatchIsBoundedByWeight(t *testing.T) {
	s := &server{gated: true}
	bubble(t, Limits{Slots: 1, Most: 5, Time: patience}, s, func(t *testing.T, g *Gatherer[int]) {
		var all []*asking
		for i, weight := range []int{1, 2, 3, 3, 9, 1, 4} {
			all = append(all, askHeavy(t.Context(), g, i, weight))
		}
		close(s.gate)
		for i, a := range all {
			a.want(t, 2*i)
		}
		wantBatches(t, s, []int{0}, []int{1, 2}, []int{3}, []int{4}, []int{5, 6})
	})
}

// What the gatherer expects of an answer rises at once and falls by and by.
func TestExpectedSize(t *testing.T) {
	g := New[int](wide, nil)
	for _, step := range []struct{ bytes, requests, want int }{
		{1000, 10, 100}, {8000, 1, 8000}, {0, 1, 7000}, {70000, 10, 7000}, {0, 5, 6125},
	} {
		if g.sent(step.bytes, step.requests); g.size != step.want {
			t.Errorf("after %d bytes for %d requests it expects %d, want %d", step.bytes, step.requests, g.size, step.want)
		}
	}
}

// A large answer holds up one slot: the others go on with what has queued.
func TestSlowBatchHoldsUpOneSlot(t *testing.T) {
	t.Cleanup(func() { goleak.VerifyNone(t) })
	synctest.Test(t, func(t *testing.T) {
		slow := make(chan struct{})
		g := New(wide, func(batch []*Request[int]) int {
			if batch[0].Value == 0 {
				<-slow
			}
			return 0
		})
		held := ask(t.Context(), g, 0)
		for i := range 50 {
			ask(t.Context(), g, i+1).want(t, i+1)
		}
		close(slow)
		held.want(t, 0)
		g.Close()
	})
}

// Who has no time left returns at once, unless he sends. If he queued, his request is
// never sent; if it was sent, the batch goes on and the others get their answers.
func TestCallersObeyTheirContexts(t *testing.T) {
	s := &server{gated: true}
	bubble(t, Limits{Slots: 1, Most: 1, Time: patience}, s, func(t *testing.T, g *Gatherer[int]) {
		why := errors.New("left")
		ctx, cancel := context.WithCancelCause(t.Context())
		short, stop := context.WithTimeout(t.Context(), time.Second)
		defer stop()
		lone, sent, queued, patient := ask(ctx, g, 1), ask(ctx, g, 2), ask(short, g, 3), ask(t.Context(), g, 4)
		s.gate <- struct{}{}
		lone.want(t, 2)
		synctest.Wait()
		wantBatches(t, s, []int{1}, []int{2})
		cancel(why)
		if err := <-sent.err; !errors.Is(err, why) {
			t.Errorf("Ask of one that was sent: %v", err)
		}
		began := time.Now()
		if err := <-queued.err; !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
			t.Errorf("Ask of one that was queued: %v after %v", err, time.Since(began))
		}
		if err := g.Ask(ctx, NewRequest[int]()); !errors.Is(err, why) {
			t.Errorf("Ask of one that has left before: %v", err)
		}
		close(s.gate)
		patient.want(t, 8)
		wantBatches(t, s, []int{4})
	})
}

// All who queue leave while the slot is busy: it has nothing to send then, and is free for
// who comes next.
func TestWholeQueueLeaves(t *testing.T) {
	s := &server{gated: true}
	bubble(t, Limits{Slots: 1, Most: 5, Time: patience}, s, func(t *testing.T, g *Gatherer[int]) {
		ctx, cancel := context.WithCancel(t.Context())
		lone := ask(t.Context(), g, 0)
		var all []*asking
		for i := range 20 {
			all = append(all, ask(ctx, g, i+1))
		}
		cancel()
		for _, a := range all {
			if err := <-a.err; !errors.Is(err, context.Canceled) {
				t.Errorf("Ask = %v", err)
			}
		}
		close(s.gate)
		lone.want(t, 0)
		ask(t.Context(), g, 50).want(t, 100)
		wantBatches(t, s, []int{0}, []int{50})
	})
}

// Who sends for himself stays until he has the answer. A deadline that is nearer than
// the longest time of a batch is kept: another goroutine sends then.
func TestLoneCallerStays(t *testing.T) {
	s := &server{gated: true}
	bubble(t, wide, s, func(t *testing.T, g *Gatherer[int]) {
		long, cancel := context.WithTimeout(t.Context(), patience)
		near, stop := context.WithTimeout(t.Context(), patience-1)
		defer stop()
		stays, leaves := ask(long, g, 1), ask(near, g, 2)
		wantBatches(t, s, []int{1}, []int{2})
		cancel()
		began := time.Now()
		if err := <-leaves.err; !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != patience-1 {
			t.Errorf("Ask = %v after %v, want the deadline's error after %v", err, time.Since(began), patience-1)
		}
		close(s.gate)
		stays.want(t, 2)
	})
}

// A send that panics takes its caller along, and no slot.
func TestSendPanics(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New(wide, func([]*Request[int]) int { panic("a hook") })
		for range 2 * wide.Slots {
			func() {
				defer func() {
					if got := recover(); got != "a hook" {
						t.Errorf("Ask panics with %v", got)
					}
				}()
				_ = g.Ask(t.Context(), NewRequest[int]())
			}()
		}
		if g.busy != 0 {
			t.Errorf("%d slots are lost", g.busy)
		}
		g.Close()
	})
}

// What is too much for a slot that comes back is work for one that is free.
func TestRestWakesAnotherSlot(t *testing.T) {
	s := &server{gated: true}
	bubble(t, Limits{Slots: 2, Most: 3, Bytes: 1 << 20, Time: patience}, s, func(t *testing.T, g *Gatherer[int]) {
		g.mu.Lock()
		g.busy, g.coming = 1, 1 // a slot has sent its answers, and has not yet been run again
		g.mu.Unlock()
		var all []*asking
		for i := range 5 {
			all = append(all, ask(t.Context(), g, i))
		}
		wantBatches(t, s)
		g.ended.Go(g.slot)
		synctest.Wait()
		wantBatches(t, s, []int{0, 1, 2}, []int{3, 4})
		close(s.gate)
		for i, a := range all {
			a.want(t, 2*i)
		}
	})
}

// Close waits for what has been sent and for what is queued, whoever sends it, and ends
// all goroutines. Later requests are refused.
func TestClose(t *testing.T) {
	for name, before := range map[string]int{"no goroutine yet": 0, "goroutines that are idle": 10} {
		t.Run(name, func(t *testing.T) {
			s := &server{gated: true}
			bubble(t, wide, s, func(t *testing.T, g *Gatherer[int]) {
				crowd := func(n int) (all []*asking) {
					for i := range n {
						all = append(all, ask(t.Context(), g, i))
					}
					return all
				}
				for i, a := range crowd(before) {
					for len(a.err) == 0 {
						s.gate <- struct{}{}
						synctest.Wait()
					}
					a.want(t, 2*i)
				}
				all := crowd(4)
				closed := make(chan struct{})
				go func() { g.Close(); close(closed) }()
				synctest.Wait()
				select {
				case <-closed:
					t.Error("Close did not wait for what was sent")
				default:
				}
				if err := g.Ask(t.Context(), NewRequest[int]()); !errors.Is(err, ErrClosed) {
					t.Errorf("Ask after Close: %v", err)
				}
				close(s.gate)
				for i, a := range all {
					a.want(t, 2*i)
				}
				<-closed
			})
		})
	}
}

// Callers who come and go in any number, some with little time: everybody gets the
// answer to his own question or leaves in time, no more batches run at once than there
// are slots, and none is too long.
func TestCrowd(t *testing.T) {
	const takes = time.Millisecond
	s := &server{size: 10, takes: takes}
	bubble(t, Limits{Slots: 3, Most: 7, Bytes: 1 << 20, Time: takes}, s, func(t *testing.T, g *Gatherer[int]) {
		var callers sync.WaitGroup
		for i := range 100 {
			callers.Go(func() {
				for n := i; n < 2000; n += 100 {
					r := NewRequest[int]()
					r.Value = n
					limit := time.Duration(n%4+1) * takes / 2
					ctx, cancel := context.WithTimeout(t.Context(), limit)
					began := time.Now()
					err := g.Ask(ctx, r)
					cancel()
					if err == nil && r.Value != 2*n || err != nil && !errors.Is(err, context.DeadlineExceeded) || time.Since(began) > limit {
						t.Errorf("Ask(%d) = %d, %v after %v of %v", n, r.Value, err, time.Since(began), limit)
					}
					time.Sleep(time.Duration(n%7*n%50) * takes)
				}
			})
		}
		callers.Wait()
		time.Sleep(time.Second)
		sizes := map[int]int{}
		for _, batch := range s.batches() {
			sizes[len(batch)]++
		}
		if s.peak != 3 || sizes[1] == 0 || sizes[7] == 0 || slices.Max(slices.Collect(maps.Keys(sizes))) > 7 {
			t.Errorf("%d batches at once; so many of each size: %v", s.peak, sizes)
		}
	})
}

func BenchmarkAsk(b *testing.B) {
	for _, callers := range []int{1, 64, 512} {
		b.Run("callers="+strconv.Itoa(callers), func(b *testing.B) {
			g := New(Limits{Slots: 4, Most: 256, Bytes: 1 << 20, Time: patience}, func([]*Request[int]) int { return 0 })
			defer g.Close()
			b.ReportAllocs()
			var next atomic.Int64
			var running sync.WaitGroup
			for range callers {
				running.Go(func() {
					r := NewRequest[int]()
					for next.Add(1) <= int64(b.N) {
						if err := g.Ask(b.Context(), r); err != nil {
							b.Error(err)
						}
					}
				})
			}
			running.Wait()
		})
	}
}
