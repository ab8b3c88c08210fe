package coherence

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"
)

// attestation is this node's part in acknowledged announcements. While a space
// with SpaceConfig.Acked is open the node attests: each of its probes enters it in
// the registry, a list of nodes in Redis, for whose confirmations writers wait.
// Assurance is the lease of a probe that did: see "Acknowledged announcements".
type attestation struct {
	spaces   atomic.Int32           // open ones with Acked
	listed   atomic.Bool            // the registry may name this node
	registry atomic.Pointer[string] // the registry that named it last
	since    atomic.Int64           // Instant from which on the announcements were followed without a gap
	born     atomic.Int64           // Instant before which fences, leases and registries may have been lost

	birth    uint64  // what born was computed from, ms of Redis; 0: a guess. The prober's
	sighted  Instant // when INFO could be read again: what was lost before that nobody saw. The prober's
	sequence uint64  // of the last ATTEST. The prober's
	refused  bool    // that ATTEST was refused has been told. The prober's
	sweep    sweep   // The prober's
}

// Assured reports whether at the instant t every announcement that waits for
// confirmations had been applied here, or waits for this node still. It implies
// Leased. It is never so while no space with SpaceConfig.Acked is open.
func (n *Node) Assured(t Instant) bool { return int64(t) <= n.assured.Load() }

// unseen says why this node may take a Redis process for another one. It notices that
// by its next probe then, or later, which is too late where writers wait for all nodes:
// the registry of a process that took over may lack some, and what that process holds
// may be older than a write that has ended.
func (n *Node) unseen() error {
	const field = "coherence.SpaceConfig.Acked (tiered.Config.Consistency): "
	if n.cfg.Monitor == nil || n.cfg.Proxied {
		return errors.New(field + "needs a Monitor that sees each connection: set coherence.Config.Monitor, and Proxied to false")
	}
	if err := n.monitor.blindness(); err != nil {
		return fmt.Errorf(field+"needs INFO, by which Redis processes are told apart; allow +info: %w", err)
	}
	return nil
}

// assure grants the assurance that a probe sent at s has earned. The lease has
// been extended before.
func (n *Node) assure(s Instant) {
	n.assured.Store(max(n.assured.Load(), int64(s.Add(n.clients.lease))))
	n.stepped.fire()
}

// doubt ends the assurance until the next probe: the registry, or the epoch, is
// another one than this node knows.
func (n *Node) doubt() {
	n.assured.Store(-1)
	n.wake()
}

// estrange notes that announcements may have been missed: fences that are unknown
// here may stand. It comes before anything that makes the node believe in a
// history that it has not followed.
func (n *Node) estrange() { n.attest.since.Store(int64(n.Now())) }

// rebirth notes when what Redis holds now came into being.
func (n *Node) rebirth(at Instant, birth uint64) {
	n.attest.birth = birth
	n.attest.born.Store(int64(max(at, n.attest.sighted)))
}

// attestOrRead is what a probe reads. A node that attests enters the registry in
// the same step; if that is refused the probe is an ordinary one.
func (n *Node) attestOrRead(ctx context.Context, sent report, s Instant) (r report, attested bool, err error) {
	if n.attest.spaces.Load() == 0 {
		n.unlist(ctx)
		r, err = n.readBus(ctx, s)
		return r, false, err
	}
	n.attest.listed.Store(true)
	if r, err = n.enlist(ctx, sent, s); err == nil {
		return r, true, n.unproxied(ctx)
	}
	var refused redis.Error
	if !errors.As(err, &refused) || isPassing(err) && !refusesWrites(err) {
		return report{}, false, err
	}
	if !n.attest.refused {
		n.attest.refused = true
		n.event(Event{Kind: EventConfig, Note: "Redis refuses the registration of this node: reads of acknowledged caches go to the source", Err: err})
	}
	r, err = n.readBus(ctx, s)
	return r, false, err
}

// enlist runs ATTEST.
func (n *Node) enlist(ctx context.Context, sent report, s Instant) (report, error) {
	ctx, cancel := n.bounded(ctx)
	defer cancel()
	a := &n.attest
	a.sequence++
	args := []any{n.name, n.clients.lease.Milliseconds(), a.sequence, sent.at.n}
	for _, process := range n.monitor.known() {
		args = append(args, process)
	}
	reply, err := n.control.Run(ctx, attestScript, n.keys.own(), args...)
	if err != nil {
		return report{}, err
	}
	received := n.Now()
	fields, _ := reply.([]any)
	if len(fields) != 8 {
		return report{}, fmt.Errorf("coherence: ATTEST answered %v", reply)
	}
	seconds, micros, birth := decimal(fields[4]), decimal(fields[5]), decimal(fields[7])
	registry, _ := fields[6].(string)
	if seconds == 0 || birth == 0 || registry == "" {
		return report{}, fmt.Errorf("coherence: ATTEST answered %v", reply)
	}
	now := time.Unix(int64(seconds), int64(micros)*1000)
	n.clock.set(s, received, now)
	if birth != a.birth { // first, so that nobody trusts the registry who takes it for older than it is
		age := min(max(now.Sub(time.UnixMilli(int64(birth))), 0), maxAge)
		n.rebirth(received.Add(-age), birth)
	}
	a.registry.Store(&registry)
	return parseReport(fields[:4])
}

// maxAge stands for long ago.
const maxAge = 24 * time.Hour

func decimal(field any) uint64 {
	text, _ := field.(string)
	v, err := strconv.ParseUint(text, 10, 63)
	if err != nil {
		return 0
	}
	return v
}

// unproxied reads INFO where each probe has to.
func (n *Node) unproxied(ctx context.Context) error {
	if !n.cfg.Proxied {
		return nil
	}
	ctx, cancel := n.bounded(ctx)
	defer cancel()
	rdb, err := n.busClient(ctx)
	if err != nil {
		return err
	}
	pipe := rdb.Pipeline()
	server, replication := pipe.Info(ctx, "server"), pipe.Info(ctx, "replication")
	if _, err := pipe.Exec(ctx); err != nil {
		return err
	}
	return n.noticeProcess(server.Val() + "\r\n" + replication.Val())
}

// SettleAcked is Settle for a caller that is about to announce something that all
// nodes shall confirm. While a registry, fences or leases may have been lost that
// others still act upon, it waits: for the life of a fence after a Redis process has
// come up, or has lost its data. If Redis loses its data again during the wait, so that
// it would take longer than that and MaxStale, the error is ErrAdrift.
func (s *Space) SettleAcked(ctx context.Context) error {
	n := s.node
	// A loss is noticed in steps, the process first and the registry last: MaxStale is
	// what they may be apart.
	patience := n.Now().Add(s.fenceLife()).Add(n.cfg.MaxStale)
	for {
		if err := n.settle(ctx, func() bool { return n.Assured(n.Now()) && n.admitted() }); err != nil {
			return err
		}
		left := s.graceLeft()
		if left <= 0 {
			return nil
		}
		if n.Now().Add(left) > patience {
			return errLostAgain
		}
		pause(ctx, min(left, n.cfg.Probe))
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
}

// errLostAgain: no wait for lost fences ends while Redis goes on losing them.
var errLostAgain = fmt.Errorf("%w: Redis lost its data, or the registry of nodes, once more during the wait for lost fences to end; is maxmemory-policy allkeys-*?", ErrAdrift)

// graceLeft is how long fences, leases and registries may still be in force
// somewhere that Redis has lost.
func (s *Space) graceLeft() time.Duration {
	return Instant(s.node.attest.born.Load()).Add(s.fenceLife()).Sub(s.node.Now())
}

// vantage is what is known of Redis when something is announced that all nodes are
// to confirm.
type vantage struct {
	view     View
	registry string
}

// survey returns the vantage for an announcement now. View and registry come first:
// a newer one moves the birth before it can be seen.
func (s *Space) survey() (v vantage, err error) {
	view, known := s.node.View()
	registry := s.node.attest.registry.Load()
	if !known || registry == nil || !s.node.Assured(s.node.Now()) || s.graceLeft() > 0 {
		return vantage{}, errSwitched
	}
	return vantage{view, *registry}, nil
}
