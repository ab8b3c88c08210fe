package coherence

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"
)

// peer is a node whose confirmation is waited for.
type peer struct {
	name  string
	value string        // its entry in the registry
	lease time.Duration // of its probes
}

// parsePeers reads a part of the registry, without this node.
func (n *Node) parsePeers(list any) []peer {
	fields, _ := list.([]any)
	var peers []peer
	for pair := range slices.Chunk(fields, 2) {
		if len(pair) < 2 {
			break
		}
		name, _ := pair[0].(string)
		value, _ := pair[1].(string)
		if name != n.name {
			lease, _ := parsePeer(value)
			peers = append(peers, peer{name, value, lease})
		}
	}
	return peers
}

// maxLease bounds what is believed of a registry: longer leases than half the life
// of a fence are refused when a cache is opened.
const maxLease = maxFence / 2

// parsePeer reads a value of the registry: lease, sequence, number, seconds. One
// that cannot be read has the longest lease.
func parsePeer(value string) (lease time.Duration, number uint64) {
	var ms, sequence, seconds uint64
	if _, err := fmt.Sscanf(value, "%d|%d|%d|%d", &ms, &sequence, &number, &seconds); err != nil {
		return maxLease, 0
	}
	return time.Duration(min(ms, uint64(maxLease.Milliseconds()))) * time.Millisecond, number
}

// expelGone takes nodes off the registry whose leases were waited for.
func (n *Node) expelGone(ctx context.Context, gone []peer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), n.cfg.Timeout)
	defer cancel()
	args := make([]any, 0, 2*len(gone))
	for _, p := range gone {
		args = append(args, p.name, p.value)
	}
	_, _ = n.control.Run(ctx, expelScript, []string{n.keys.nodes}, args...) // else the next writer waits as well
}

// unlist leaves the registry, so that nobody waits for this node. Nothing may be
// served on its assurance from before.
func (n *Node) unlist(ctx context.Context) {
	if !n.attest.listed.Load() {
		return
	}
	n.assured.Store(-1)
	ctx, cancel := context.WithTimeout(ctx, n.cfg.Timeout)
	defer cancel()
	if _, err := n.control.Run(ctx, expelScript, []string{n.keys.nodes}, n.name, ""); err == nil {
		n.attest.listed.Store(false)
	}
}

// A sweep takes nodes off the registry that died, so that it does not grow while nobody
// writes. No clock of Redis says who has: a writer would have to take it at its word, and
// return while a living node serves the old value. The sweep waits for leases as a writer does.
type sweep struct {
	found []peer  // on the registry when it began
	due   Instant // when their leases have been waited for; or if there are none, when the next begins
}

const sweepEvery = time.Hour

// sweepRegistry follows a probe that attested. A node sweeps when it comes, and from time
// to time.
func (n *Node) sweepRegistry(ctx context.Context) {
	s := &n.attest.sweep
	if n.Now() < s.due {
		return
	}
	gone := s.found
	s.found, s.due = nil, n.Now().Add(sweepEvery)
	if len(gone) > 0 {
		n.expelGone(ctx, gone)
		return
	}
	ctx, cancel := n.bounded(ctx)
	defer cancel()
	all, err := n.clients.control.HGetAll(ctx, n.keys.nodes).Result()
	if err != nil {
		return // nobody depends on it
	}
	longest := time.Duration(0)
	for field, value := range all {
		if name, listed := strings.CutPrefix(field, "l:"); listed && name != n.name {
			lease, _ := parsePeer(value)
			s.found = append(s.found, peer{name, value, lease})
			longest = max(longest, lease)
		}
	}
	if len(s.found) > 0 {
		s.due = n.Now().Add(withMargin(longest))
	}
}
