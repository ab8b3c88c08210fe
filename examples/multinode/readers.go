package main

import (
	"cmp"
	"context"
	"sync"
	"sync/atomic"
	"time"
)

// readFunc reads one key of a cache.
type readFunc func(ctx context.Context, key string) (Look, error)

// readLimit is how long a customer waits for a price.
const readLimit = 3 * time.Second

// readLoad is a set of readers at work.
type readLoad struct {
	read   readFunc
	plan   ReadPlan
	end    context.CancelFunc
	done   sync.WaitGroup
	reads  atomic.Int64
	errors atomic.Int64

	logs []readerLog // one each; read only after done
}

// readerLog is what one reader saw. Only its reader touches it.
type readerLog struct {
	seen    map[sight]*Sighting
	samples []Sample
	slowest time.Duration
	err     error
}

type sight struct {
	key            string
	version, cents int64
}

func startReads(ctx context.Context, read readFunc, plan ReadPlan) *readLoad {
	ctx, cancel := context.WithCancel(ctx)
	l := &readLoad{read: read, plan: plan, end: cancel, logs: make([]readerLog, plan.Readers)}
	for i := range l.logs {
		l.logs[i].seen = map[sight]*Sighting{}
		l.done.Go(func() { l.run(ctx, i) })
	}
	return l
}

// run goes round the keys until the load ends. Readers begin at different keys.
func (l *readLoad) run(ctx context.Context, reader int) {
	log := &l.logs[reader]
	first := reader * len(l.plan.Keys) / l.plan.Readers
	for {
		for i := range l.plan.Keys {
			l.one(ctx, log, l.plan.Keys[(first+i)%len(l.plan.Keys)])
		}
		if pause(ctx, l.plan.Pause) != nil {
			return
		}
	}
}

// one reads one key. The clock is read before the read begins, so that a read
// is never taken for younger than it is.
func (l *readLoad) one(ctx context.Context, log *readerLog, key string) {
	limited, cancel := context.WithTimeout(ctx, readLimit)
	defer cancel()
	start := now()
	look, err := l.read(limited, key)
	end := now()
	if err != nil {
		if ctx.Err() == nil {
			l.errors.Add(1)
			log.err = err
		}
		return
	}
	l.reads.Add(1)
	log.note(key, look, start, end)
	if l.plan.Timed {
		log.samples = append(log.samples, Sample{start, time.Duration(end - start)})
	}
}

func (r *readerLog) note(key string, look Look, start, end int64) {
	r.slowest = max(r.slowest, time.Duration(end-start))
	at := sight{key, look.Version, look.Cents}
	s := r.seen[at]
	if s == nil {
		s = &Sighting{Key: key, Version: look.Version, Cents: look.Cents, FirstEnd: end}
		r.seen[at] = s
	}
	s.Reads++
	s.FirstEnd = min(s.FirstEnd, end)
	s.LastStart = max(s.LastStart, start)
}

func (l *readLoad) count() ReadCount { return ReadCount{l.reads.Load(), l.errors.Load()} }

// stop ends the readers, waits for them and adds up what they saw.
func (l *readLoad) stop() ReadLog {
	l.end()
	l.done.Wait()
	sum := readerLog{seen: map[sight]*Sighting{}}
	for _, r := range l.logs {
		sum.merge(r)
	}
	log := ReadLog{Reads: l.reads.Load(), Errors: l.errors.Load(), Slowest: sum.slowest, Samples: sum.samples}
	if sum.err != nil {
		log.Err = sum.err.Error()
	}
	for _, s := range sum.seen {
		log.Sightings = append(log.Sightings, *s)
	}
	return log
}

func (r *readerLog) merge(o readerLog) {
	for at, s := range o.seen {
		if mine := r.seen[at]; mine != nil {
			mine.Reads += s.Reads
			mine.FirstEnd = min(mine.FirstEnd, s.FirstEnd)
			mine.LastStart = max(mine.LastStart, s.LastStart)
			continue
		}
		r.seen[at] = s
	}
	r.samples = append(r.samples, o.samples...)
	r.slowest = max(r.slowest, o.slowest)
	r.err = cmp.Or(r.err, o.err)
}
