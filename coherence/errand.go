package coherence

import (
	"context"
	"errors"

	"github.com/tiercache/tiercache/internal/gather"
	"github.com/tiercache/tiercache/internal/script"
)

// slots is how many entries of one space are on their way at once.
const slots = 4

// An errand is an announcement of at most maxKeys keys that may share an entry of the
// bus with others.
type errand struct {
	first []script.Call // to be run before: a fence, or erasures
	keys  []string
	fence bool // of a write: it has a stamp of its own

	out outcome
}

// outcome is what an errand's caller gets.
type outcome struct {
	reply   any // of the first call
	receipt Receipt
	err     error
}

func (s *Space) gatherErrands() {
	limits := gather.Limits{Slots: slots, Most: maxKeys, Time: s.node.cfg.Timeout}
	s.errands = gather.New(limits, s.dispatch)
}

// carry sends an errand: at once if a slot is free, else together with those that
// wait as well. If ctx ends before the errand was sent it never is.
func (s *Space) carry(ctx context.Context, e errand) outcome {
	q := gather.NewRequest[errand]()
	q.Value, q.Weight = e, share(e.keys)
	switch err := s.errands.Ask(ctx, q); {
	case errors.Is(err, gather.ErrClosed):
		return outcome{err: ErrClosed}
	case err != nil:
		return outcome{err: err} // q is not ours any more
	}
	return q.Value.out
}

// dispatch sends a batch that nobody is to confirm.
func (s *Space) dispatch(batch []*gather.Request[errand]) (bytes int) {
	errands := make([]*errand, len(batch))
	for i, q := range batch {
		errands[i] = &q.Value
	}
	id, err := s.node.voice()
	if err != nil {
		for _, e := range errands {
			e.out.err = err
		}
		return 0
	}
	view, _ := s.node.View()
	// One that gives up while it is sent takes nobody along.
	s.post(context.WithoutCancel(batch[0].Ctx), s.node.data, announcing{space: s, id: id}, errands)
	if s.node.Holds(view) {
		return 0
	}
	for _, e := range errands {
		if e.out.err == nil && !e.fence { // who fences looks at the view after the write
			e.out.err = errSwitched
		}
	}
	return 0
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
		if e.fence {
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
		if result.Err != nil {
			e.out.err = result.Err
			return
		}
	}
}
