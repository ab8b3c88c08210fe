package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// Service is what the director can ask of a node, over net/rpc.
type Service struct{ n *node }

// None stands for no argument or no result: gob has no empty struct.
type None bool

// Ready waits until the node is in step with the fleet.
func (s *Service) Ready(limit time.Duration, _ *None) error {
	ctx, cancel := context.WithTimeout(s.n.ctx, limit)
	defer cancel()
	return s.n.fleet.Ready(ctx)
}

// Slow makes every load from the source take longer.
func (s *Service) Slow(delay time.Duration, _ *None) error {
	s.n.source.slow(delay)
	return nil
}

// Source reports the loads since the last reset.
func (s *Service) Source(reset bool, log *SourceLog) error {
	*log = s.n.source.report(reset)
	log.Weak = s.n.weakLoads(reset)
	return nil
}

// Look reads one value.
func (s *Service) Look(args LookArgs, look *Look) error {
	ctx, cancel := context.WithTimeout(s.n.ctx, callLimit)
	defer cancel()
	read := s.n.read(args.Shelf)
	if args.Peek {
		read = s.n.peek
	}
	var err error
	*look, err = read(ctx, args.Key)
	return err
}

// StartReads begins a read load; there is one at a time.
func (s *Service) StartReads(plan ReadPlan, _ *None) error {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	if s.n.reads != nil {
		return errors.New("a read load is running")
	}
	s.n.reads = startReads(s.n.ctx, s.n.read(plan.Shelf), plan)
	return nil
}

// CountReads tells how far the running read load has come.
func (s *Service) CountReads(_ None, count *ReadCount) error {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	if s.n.reads == nil {
		return errors.New("no read load is running")
	}
	*count = s.n.reads.count()
	return nil
}

// StopReads ends the read load and returns what it saw.
func (s *Service) StopReads(_ None, log *ReadLog) error {
	s.n.mu.Lock()
	load := s.n.reads
	s.n.reads = nil
	s.n.mu.Unlock()
	if load == nil {
		return errors.New("no read load is running")
	}
	*log = load.stop()
	return nil
}

// StartOrders lets customers order; they charge what the cache says.
func (s *Service) StartOrders(plan OrderPlan, _ *None) error {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	if s.n.orders != nil {
		return errors.New("customers are here already")
	}
	s.n.orders = startOrders(s.n, plan)
	return nil
}

// StopOrders sends the customers home.
func (s *Service) StopOrders(_ None, log *OrderLog) error {
	s.n.mu.Lock()
	load := s.n.orders
	s.n.orders = nil
	s.n.mu.Unlock()
	if load == nil {
		return errors.New("no customers are here")
	}
	*log = load.stop()
	return nil
}

// Herd reads one key with many readers at once.
func (s *Service) Herd(plan HerdPlan, log *HerdLog) error {
	*log = stampede(s.n.ctx, s.n.read(plan.Shelf), plan)
	return nil
}

// Update changes a price.
func (s *Service) Update(args UpdateArgs, change *Change) error {
	ctx, cancel := context.WithTimeout(s.n.ctx, callLimit)
	defer cancel()
	*change = s.n.update(ctx, args)
	return nil
}

// Held waits for a writer that was told to hold and has committed.
func (s *Service) Held(limit time.Duration, change *Change) error {
	select {
	case *change = <-s.n.held:
		return nil
	case <-time.After(limit):
		return errors.New("no writer is held")
	case <-s.n.ctx.Done():
		return s.n.ctx.Err()
	}
}

// Release lets the held writer go on.
func (s *Service) Release(None, *None) error {
	select {
	case s.n.release <- struct{}{}:
		return nil
	default:
		return errors.New("a release is waiting already")
	}
}

// read returns the read side of a cache.
func (n *node) read(shelf string) readFunc {
	switch shelf {
	case shelfTextbook:
		return func(ctx context.Context, key string) (Look, error) { return lookAt(n.textbook.get(ctx, key)) }
	case shelfRanking:
		return func(ctx context.Context, key string) (Look, error) {
			r, err := n.rankings.Get(ctx, key, n.source.ranking)
			return Look{Version: r.Build}, err
		}
	}
	return func(ctx context.Context, key string) (Look, error) {
		return lookAt(n.prices.Get(ctx, key, n.source.product))
	}
}

// weakLoads are those since the last reset that were made without Redis.
func (n *node) weakLoads(reset bool) int64 {
	n.mu.Lock()
	defer n.mu.Unlock()
	sum := n.prices.Stats().WeakLoads + n.rankings.Stats().WeakLoads
	weak := sum - n.weak
	if reset {
		n.weak = sum
	}
	return int64(weak)
}

// peek sees a ranking as the caches hold it, without a load. Build 0: they do
// not hold it.
func (n *node) peek(ctx context.Context, key string) (Look, error) {
	r, err := n.rankings.Peek(ctx, key)
	if errors.Is(err, tiered.ErrMiss) {
		err = nil
	}
	return Look{Version: r.Build}, err
}

func lookAt(p Product, err error) (Look, error) { return Look{p.Version, p.Cents}, err }

// update runs an Update of the chosen cache and keeps the time of each step.
func (n *node) update(ctx context.Context, args UpdateArgs) Change {
	var draft atomic.Pointer[Change]
	write := func(ctx context.Context, key string) (Product, error) {
		p, err := n.shop.setPrice(ctx, key, args.Cents)
		if err != nil {
			return p, err
		}
		c := Change{Key: key, Version: p.Version, Cents: p.Cents, Committed: now()}
		draft.Store(&c)
		if args.Hold {
			return p, n.hold(c)
		}
		return p, nil
	}
	asked := now()
	err := n.verb(args.Shelf)(ctx, args.Key, write)
	end := now()
	c := Change{Key: args.Key}
	if d := draft.Load(); d != nil {
		c = *d
	}
	c.Asked = asked
	c.close(end, err)
	return c
}

// verb returns the write side of a cache.
func (n *node) verb(shelf string) func(context.Context, string, func(context.Context, string) (Product, error)) error {
	return func(ctx context.Context, key string, write func(context.Context, string) (Product, error)) error {
		if shelf == shelfTextbook {
			_, err := n.textbook.update(ctx, key, write)
			return err
		}
		_, err := n.prices.Update(ctx, key, write)
		return err
	}
}

// hold stops a writer after its commit until the director releases it.
func (n *node) hold(c Change) error {
	n.held <- c
	select {
	case <-n.release:
		return nil
	case <-n.ctx.Done():
		return n.ctx.Err()
	}
}

// close notes how Update ended. The bound runs from a return without error.
func (c *Change) close(end int64, err error) {
	switch {
	case err == nil:
		c.Outcome, c.Returned = outcomeDone, end
		return
	case errors.Is(err, tiered.ErrNotWritten):
		c.Outcome = outcomeRefused
	case errors.Is(err, tiered.ErrUnconfirmed):
		c.Outcome = outcomeUnconfirmed
	default:
		c.Outcome = outcomeFailed
	}
	c.Err = fmt.Sprint(err)
}
