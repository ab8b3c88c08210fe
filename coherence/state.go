package coherence

import (
	"context"
	"errors"
	"fmt"
)

// Leased reports whether the node has proved itself in step for the instant t:
// everything announced up to t-MaxStale has been applied here.
func (n *Node) Leased(t Instant) bool { return int64(t) <= n.lease.Load() }

// extend grants the lease that a probe sent at s has earned (I4).
func (n *Node) extend(s Instant) {
	n.lease.Store(max(n.lease.Load(), int64(s.Add(n.clients.lease))))
	n.stepped.fire()
}

func (n *Node) dropLease() {
	n.assured.Store(-1)
	n.lease.Store(-1)
}

// State of a node.
type State uint8

const (
	Joining State = iota // no proof of being in step so far
	InStep               // local copies are served
	Adrift               // the proof has run out: reads go to the source
)

func (s State) String() string { return [...]string{"joining", "in step", "adrift"}[s] }

// State returns the node's state now.
func (n *Node) State() State {
	if n.Leased(n.Now()) {
		return InStep
	}
	if _, joined := n.history.position(); joined {
		return Adrift
	}
	return Joining
}

// Ready waits until the node is in step. It returns the context's error, or
// ErrClosed.
func (n *Node) Ready(ctx context.Context) error {
	return n.when(ctx, func() bool { return n.Leased(n.Now()) })
}

// when waits until something holds that a probe may bring about.
func (n *Node) when(ctx context.Context, holds func() bool) error {
	for {
		stepped := n.stepped.wait()
		if n.closed.Load() {
			return ErrClosed
		}
		if holds() {
			return nil
		}
		select {
		case <-stepped:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// Settle is Ready for a caller that is about to announce: it waits for at most
// one Timeout and says ErrAdrift then, and at once where Redis is known to be away, so
// that an outage costs no waiting. With Config.Warm the node must be known to all
// others as well.
func (n *Node) Settle(ctx context.Context) error {
	return n.settle(ctx, func() bool { return n.Leased(n.Now()) && n.admitted() })
}

func (n *Node) settle(ctx context.Context, settled func() bool) error {
	if settled() {
		return nil
	}
	n.wake()
	if ctx.Err() == nil && !n.closed.Load() && n.away() {
		return n.unsettled()
	}
	short, cancel := context.WithTimeout(ctx, n.cfg.Timeout)
	defer cancel()
	err := n.when(short, settled)
	if err != nil && ctx.Err() == nil && !errors.Is(err, ErrClosed) {
		return n.unsettled()
	}
	return err
}

// away reports whether the node is known to be cut off: adrift for longer than a probe's
// interval, and the last probe failed. It is no news then that Redis does not answer. A
// node that is still joining, or that probes for the first time after a suspension, has
// nothing to go by.
func (n *Node) away() bool {
	_, joined := n.history.position()
	failure := n.prober.failure.Load()
	return joined && failure != nil && *failure != nil && !n.Leased(n.Now().Add(-n.cfg.Probe))
}

// unsettled says why Settle has waited in vain.
func (n *Node) unsettled() error {
	switch {
	case !n.Leased(n.Now()):
		return ErrAdrift
	case n.admitted():
		return fmt.Errorf("%w: not entered in the registry, or unable to read INFO", ErrAdrift)
	}
	return n.strange()
}
