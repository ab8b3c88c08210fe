package tiered

import (
	"context"
	"runtime"
	"sync"
	"sync/atomic"
)

// consult asks Redis about passengers, a part at a time, and routes each by the
// answer. Those without a credible answer are routed past Redis.
func (b *batch[V]) consult(ctx context.Context, who []*passenger[V], ask func(part []*passenger[V], found func(int, record, error))) {
	node := b.cache.node
	for len(who) > 0 {
		part := who[:min(len(who), b.cache.remote.most())]
		who = who[len(part):]
		view, ok := node.View()
		answers := make([]answer, len(part))
		if ok {
			ask(part, func(i int, rec record, err error) { answers[i] = answer{rec, err == nil} })
			ok = node.Holds(view)
		}
		ways := make([]way, len(part))
		spread(len(part), func(i int) {
			part[i].view = view
			if ok && answers[i].ok {
				ways[i] = b.judge(ctx, part[i], answers[i].rec)
			} else {
				ways[i] = way{do: distrust}
			}
		})
		for i, p := range part {
			b.route(p, ways[i])
		}
	}
}

// answer is what Redis said of one key, if it did.
type answer struct {
	rec record
	ok  bool
}

// way is where a passenger goes after an answer: a step without what is served.
type way struct {
	do      action // look: nowhere, its goroutine has ended
	replace string
	lease   string
}

// judge decides on an answer, and lands who is served by it.
func (b *batch[V]) judge(ctx context.Context, p *passenger[V], rec record) way {
	next := b.cache.judge(&p.reading, rec)
	if next.do == serve {
		p.land(b.cache.serve(ctx, &p.reading, next))
	}
	return way{next.do, next.replace, next.found.lease}
}

// share is how many records make work for a core: to decode them takes 100 us, and
// fewer are not worth a switch.
const share = 48

// spread calls do for each number below n, on as many cores as are free if there is
// work for them: to decode a part takes most of the time of a read of many keys.
func spread(n int, do func(i int)) {
	var next atomic.Int64
	work := func() {
		for i := next.Add(1); i <= int64(n); i = next.Add(1) {
			do(int(i - 1))
		}
	}
	var others sync.WaitGroup
	defer others.Wait() // deferred: do may end its goroutine
	for range min(runtime.GOMAXPROCS(0), n/share) - 1 {
		others.Go(work)
	}
	work()
}

func (b *batch[V]) route(p *passenger[V], w way) {
	switch w.do {
	case bypass:
		p.call.Seal()
		p.do = bypass
		b.fetch = append(b.fetch, p)
	case pass:
		if b.cache.strong {
			p.call.Seal()
		}
		p.do = pass
		b.fetch = append(b.fetch, p)
	case hold:
		if !b.cache.vouches(&p.reading) {
			b.distrust(p)
			return
		}
		p.do, p.lease = hold, w.lease
		b.fetch = append(b.fetch, p)
	case take:
		if p.asked {
			b.alone = append(b.alone, p)
			return
		}
		p.stamp = w.replace
		b.take = append(b.take, p)
	case await:
		b.alone = append(b.alone, p)
	case distrust:
		b.distrust(p)
	}
}

func (b *batch[V]) distrust(p *passenger[V]) {
	if b.cache.strong {
		p.call.Seal()
		p.do = bypass
	} else {
		p.call.Weaken()
		p.do = distrust
	}
	b.fetch = append(b.fetch, p)
}
