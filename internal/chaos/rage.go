package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"
)

// Pauses between faults. Strong caches serve nothing from memory for the life of a fence after Redis has lost its
// data, nor a node that has just begun: in between they are to show what they do.
var (
	brief   = [2]time.Duration{bound / 5, bound}
	calmer  = [2]time.Duration{bound / 2, 2 * bound}
	calmest = [2]time.Duration{2 * bound, 6 * bound}
)

// rage is the random run: both threads strike until the time is over and enough was checked, or something is violated.
func (d *director) rage(ctx context.Context, o options) error {
	nodes := append(linkFaults(d.fleet.rig.links()), nodeFaults...)
	servers := d.fleet.rig.faults()
	known := kindsOf(append(nodes, servers...))
	nodes, servers = only(nodes, o.kinds), only(servers, o.kinds)
	if len(nodes)+len(servers) < max(1, len(o.kinds)) {
		return fmt.Errorf("-faults %q: known here are %q", o.kinds, known)
	}
	raging, cancel := context.WithCancel(ctx)
	defer cancel()
	over := now() + Instant(o.length)
	var group sync.WaitGroup
	errs := make([]error, 2)
	pauses := [][2]time.Duration{brief, brief}
	if o.strong {
		pauses = [][2]time.Duration{calmer, calmest}
	}
	for i, faults := range [][]fault{nodes, servers} {
		group.Go(func() {
			errs[i] = (&thread{d, newDice(o.seed + uint64(i) + 1), pauses[i]}).storm(raging, faults)
			if errs[i] != nil {
				cancel()
			}
		})
	}
	group.Go(func() {
		for sleep(raging, probe) == nil {
			if d.fleet.checker.violations() > 0 || now() > over && d.fleet.checked() >= o.least {
				cancel()
			}
		}
	})
	group.Wait()
	return errors.Join(errs...)
}
