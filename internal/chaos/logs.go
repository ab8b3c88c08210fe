package main

import (
	"sync"

	"github.com/tiercache/tiercache/internal/history"
)

// sink takes what one goroutine reads.
type sink interface {
	add(Reads)
	flush() // hands over; nothing of the goroutine is under way
}

// logs are what the goroutines of a node have read, each single read of it. They are safe for concurrent use.
type logs struct {
	mu  sync.Mutex
	all []*log
}

// log is that of one goroutine.
type log struct {
	client int
	held   []byte // the goroutine's own

	mu     sync.Mutex
	handed []byte
	floor  Instant // nothing that was called earlier will be handed over any more
}

func (l *logs) open() *log {
	l.mu.Lock()
	defer l.mu.Unlock()
	w := &log{client: len(l.all), floor: now()}
	l.all = append(l.all, w)
	return w
}

func (l *log) add(r Reads) {
	op := history.Operation{Client: l.client, Call: int64(r.Latest), Return: int64(r.Ended), Value: r.Version}
	l.held = appendOperation(l.held, keyNumbers[r.Key], op)
}

func (l *log) flush() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.handed = append(l.handed, l.held...)
	l.held = l.held[:0]
	l.floor = now()
}

// take empties the logs. What comes later was called at the floor or later.
func (l *logs) take() (operations []byte, floor Instant) {
	l.mu.Lock()
	defer l.mu.Unlock()
	floor = now() // first
	for _, w := range l.all {
		w.mu.Lock()
		operations = append(operations, w.handed...)
		w.handed = w.handed[:0]
		floor = min(floor, w.floor)
		w.mu.Unlock()
	}
	return operations, floor
}
