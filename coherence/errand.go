package coherence

import (
	"context"
	"runtime"

	"github.com/tiercache/tiercache/internal/mutant"
	"github.com/tiercache/tiercache/internal/script"
)

// An errand is an announcement of at most maxKeys keys that may share an entry of the
// bus with others.
type errand struct {
	first []script.Call // to be run before: a fence, or erasures
	keys  []string
	fence bool // of a write: it has a stamp of its own

	out  outcome
	done chan struct{} // closed when out is set; nil: its caller sends it
}

// outcome is what an errand's caller gets.
type outcome struct {
	reply   any // of the first call
	receipt Receipt
	err     error
}

// carry sends an errand: at once if a slot is free, else together with those that
// wait as well. If ctx ends before the errand was sent it never is.
func (s *Space) carry(ctx context.Context, e *errand) outcome {
	if s.carrier.board(e) {
		defer s.handOver() // also if a hook of the client panics
		s.dispatch(ctx, []*errand{e})
		return e.out
	}
	select {
	case <-e.done:
		return e.out
	case <-ctx.Done():
		s.carrier.leave(e)
		return outcome{err: context.Cause(ctx)}
	}
}

// handOver gives a slot to those who wait, if anybody does.
func (s *Space) handOver() {
	batch := s.carrier.next()
	if batch == nil {
		return
	}
	if !s.node.spawn(func() {
		for ; batch != nil; batch = s.carrier.next() {
			s.dispatch(context.Background(), batch) // a caller that gives up takes nobody along
			finish(batch)
			runtime.Gosched() // those answered may have more: a longer queue makes a better batch
		}
	}) {
		for ; batch != nil; batch = s.carrier.next() {
			for _, e := range batch {
				e.out.err = ErrClosed
			}
			finish(batch)
		}
	}
}

func finish(batch []*errand) {
	for _, e := range batch {
		close(e.done)
	}
}

// dispatch sends a batch that nobody is to confirm.
func (s *Space) dispatch(ctx context.Context, batch []*errand) {
	id, err := s.node.voice()
	if err != nil {
		for _, e := range batch {
			e.out.err = err
		}
		return
	}
	view, _ := s.node.View()
	s.post(ctx, s.node.data, announcing{space: s, id: id}, batch)
	if s.node.Holds(view) || mutant.AnnounceAcross {
		return
	}
	for _, e := range batch {
		if e.out.err == nil && !e.fence { // who fences looks at the view after the write
			e.out.err = errSwitched
		}
	}
}

// post runs what comes first in a batch and announces all its keys behind it, in one
// round trip where the client allows it. A call that fails does so for its own errand
// only: that the key is announced all the same does no harm.
func (s *Space) post(ctx context.Context, run *script.Runner, a announcing, batch []*errand) {
	a.notice.space = s.name
	var first []script.Call
	for _, e := range batch {
		first = append(first, e.first...)
		a.notice.keys = append(a.notice.keys, e.keys...)
		if e.fence {
			a.stamps++
		}
	}
	if a.confirm {
		s.heed(a.notice) // nobody waits for this node
	}
	results, receipt, err := s.node.announce(ctx, run, first, &a)
	if err == nil {
		s.bumpAll(a.notice.keys)
	}
	stamp := receipt.stamp - uint64(a.stamps)
	for _, e := range batch {
		own := receipt
		if e.fence && !mutant.SharedStamp {
			stamp++
			own.stamp = stamp
		}
		e.settle(results[:len(e.first)], own, err)
		results = results[len(e.first):]
		if e.out.err != nil {
			a.end()
		}
	}
}

// settle notes how an errand went. The error of its own call comes first: an
// announcement that was left out for it says less.
func (e *errand) settle(results []script.Result, receipt Receipt, err error) {
	e.out = outcome{receipt: receipt, err: err}
	if len(results) > 0 {
		e.out.reply = results[0].Value
	}
	for _, result := range results {
		if result.Err != nil && !mutant.FenceUnheeded {
			e.out.err = result.Err
			return
		}
	}
}
