package coherence

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// journal keeps failed invalidations and repeats them until Redis confirms
// them. It is bounded: beyond its size all of L2 is voided instead.
type journal struct {
	node *Node
	size atomic.Int64 // keys held; written under mu, as full is, for a fast look
	full atomic.Bool  // void everything
	more chan struct{}

	mu    sync.Mutex
	keys  map[*Space]map[string]uint64 // key and when it last failed, as a count
	fails uint64
	part  int // keys of the next retry: few after one that failed, or a dead shard would hold up all others
	ended bool
}

// chunk is the number of keys of one retry at most.
const chunk = maxKeys

func (j *journal) init(n *Node) {
	j.node = n
	j.more = make(chan struct{}, 1)
	j.keys = make(map[*Space]map[string]uint64)
	j.part = chunk
}

// add takes over keys whose announcement failed; false if the node was closed.
func (j *journal) add(s *Space, keys []string, cause error) bool {
	j.mu.Lock()
	if j.ended {
		j.mu.Unlock()
		return false
	}
	full, first := false, false
	for _, k := range keys {
		if j.keys[s] == nil {
			j.keys[s] = make(map[string]uint64)
		}
		if _, held := j.keys[s][k]; !held && j.size.Load() >= int64(j.node.cfg.JournalSize) {
			full, first = true, j.fill()
			break
		} else if !held {
			j.size.Add(1)
		}
		j.fails++
		j.keys[s][k] = j.fails
	}
	j.mu.Unlock()
	switch {
	case first:
		j.node.event(Event{Kind: EventOverflow, Space: s.name, Err: cause,
			Note: fmt.Sprintf("more than %d keys failed; the fleet's caches will be voided", j.node.cfg.JournalSize)})
	case !full:
		j.node.event(Event{Kind: EventJournal, Space: s.name, Err: cause, Note: fmt.Sprintf("%d keys", len(keys))})
	}
	j.wake()
	return true
}

// overflow owes everything, because what is to be announced is not known any more.
func (j *journal) overflow(why string) {
	j.mu.Lock()
	first := !j.ended && j.fill()
	j.mu.Unlock()
	if first {
		j.node.event(Event{Kind: EventOverflow, Note: why + "; the fleet's caches will be voided"})
	}
	j.wake()
}

// fill notes, under the lock, that everything is owed, and reports whether it was not
// before.
func (j *journal) fill() bool {
	j.fails++ // a flush that is under way came before
	return !j.full.Swap(true)
}

func (j *journal) wake() {
	select {
	case j.more <- struct{}{}:
	default:
	}
}

// holds reports whether the key waits for its retry.
func (j *journal) holds(s *Space, key string) bool {
	if j.full.Load() {
		return true
	}
	if j.size.Load() == 0 {
		return false
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	_, held := j.keys[s][key]
	return held || j.full.Load() // a key that did not fit may have come meanwhile
}

// loop retries whenever something failed and the node is in step.
func (j *journal) loop(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-j.more:
		}
		if j.settled() {
			continue // with what failed before
		}
		for !j.settled() {
			if j.node.Ready(ctx) != nil {
				return
			}
			if err := j.retry(ctx); err != nil {
				pause(ctx, j.node.cfg.Probe)
			}
			if ctx.Err() != nil {
				return
			}
		}
		j.node.event(Event{Kind: EventSettled})
	}
}

func (j *journal) settled() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.size.Load() == 0 && !j.full.Load()
}

// retry sends everything once. A key that fails anew meanwhile stays.
func (j *journal) retry(ctx context.Context) error {
	if err := j.retryAll(ctx); err != nil {
		return err
	}
	for {
		s, failed := j.next()
		if s == nil {
			return nil
		}
		keys := make([]string, 0, len(failed))
		for k := range failed {
			keys = append(keys, k)
		}
		if err := s.repay(ctx, keys); err != nil {
			j.resize(max(len(keys)/2, 1))
			return err
		}
		j.resize(min(2*len(keys), chunk))
		j.confirm(s, failed)
	}
}

// repay announces what the journal holds. A hook of the client that panics fails the
// attempt: this is a goroutine of ours, and a panic would end the process.
func (s *Space) repay(ctx context.Context, keys []string) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("coherence: a hook of the client panicked: %v", p)
		}
	}()
	_, err = s.announceAlone(ctx, keys, false)
	return err
}

// retryAll voids all of L2 by a new epoch if the journal overflowed.
func (j *journal) retryAll(ctx context.Context) error {
	j.mu.Lock()
	full, upTo := j.full.Load(), j.fails
	j.mu.Unlock()
	if !full {
		return nil
	}
	for range 2 { // somebody may have raised it before the keys failed, which would do the first time
		epoch, _, err := j.node.meet(ctx, "", true)
		if err != nil {
			return err
		}
		j.node.history.raise(epoch)
	}
	j.node.gens.flush()
	j.node.wake() // adopts the position that goes with it
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.fails == upTo {
		j.full.Store(false)
	}
	return nil
}

func (j *journal) resize(part int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.part = part
}

// next draws keys at random, as ranging over a map does.
func (j *journal) next() (*Space, map[string]uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for s, held := range j.keys {
		part := make(map[string]uint64, min(len(held), j.part))
		bytes := 0
		for k, at := range held {
			if bytes += weight(k); bytes > maxBytes && len(part) > 0 {
				break
			}
			if part[k] = at; len(part) == j.part {
				break
			}
		}
		return s, part
	}
	return nil, nil
}

func (j *journal) confirm(s *Space, done map[string]uint64) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for k, at := range done {
		if j.keys[s][k] == at {
			delete(j.keys[s], k)
			j.size.Add(-1)
		}
	}
	if len(j.keys[s]) == 0 {
		delete(j.keys, s)
	}
}

// close tries a last time and counts what is lost. Nothing is taken over later.
func (j *journal) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), max(2*j.node.cfg.Timeout, 100*time.Millisecond))
	defer cancel()
	var err error
	if !j.settled() {
		err = j.retry(ctx)
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ended = true
	if j.size.Load() == 0 && !j.full.Load() {
		return nil
	}
	lost := fmt.Errorf("%w: closed with %d keys unconfirmed", ErrUnconfirmed, j.size.Load())
	if j.full.Load() {
		lost = fmt.Errorf("%w and more than fit into the journal", lost)
	}
	if err == nil {
		return lost // failed during the last try
	}
	return fmt.Errorf("%w: %w", lost, err)
}
