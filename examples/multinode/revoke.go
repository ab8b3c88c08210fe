package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"
)

const (
	revokeKey     = "u007/refund"
	revokeReads   = 10_000 // on all other nodes, begun after the revoke has returned
	revokeReaders = 4      // on each of the other nodes
	revokeBurst   = 5      // checks of a reader, one after the other
	revokePause   = 2 * time.Millisecond
	revokeCalm    = 300 * time.Millisecond
	revokeTries   = 20 // until the nodes answer from memory

	silentTries = 3
	silentLimit = bound + time.Second // the margin of the wait, and time for the asking
)

func playRevoke(ctx context.Context, d *director, r *Result) error {
	r.step("user u007 may refund; node %s will revoke that, all others are asked for it all the time", d.nodes[0].name)
	change, _, logs, err := d.revoke(ctx, r, func() {})
	if err != nil {
		return err
	}
	r.reportRevoked("no node", "", change, logs)
	return d.revokeInSilence(ctx, r)
}

// revokeInSilence revokes while the last node is cut off. It is played again where this
// machine was too busy for the revoke to be accepted at once.
func (d *director) revokeInSilence(ctx context.Context, r *Result) error {
	last := len(d.nodes) - 1
	writer, silent, link := d.nodes[0], d.nodes[last], d.links[last]
	defer link.mend()
	var change Change
	for try := range silentTries {
		var refused int
		var logs []CheckLog
		var err error
		change, refused, logs, err = d.revoke(ctx, r, func() {
			link.sever()
			r.step("node %s is cut off from Redis, and may serve what it holds for as long as its lease lasts", silent.name)
		})
		if err != nil {
			return err
		}
		r.reportRevoked("neither the silent node nor another", "silent_", change, logs)
		r.Figures["silent_repeated"] = try
		if refused == 0 && change.took() <= silentLimit {
			break
		}
		r.step("this machine was too busy for the revoke to be accepted at once; once more")
		link.mend()
		if err := d.ready(ctx, d.nodes[last:]); err != nil {
			return err
		}
	}
	if err := r.reportSilent(ctx, writer, silent, change); err != nil {
		return err
	}
	next, _, err := permit(ctx, writer, true)
	if err != nil {
		return err
	}
	r.Figures["silent_next_ms"] = ms(next.took())
	r.step("the next write does not wait for it any more: %.1f ms", ms(next.took()))
	link.mend()
	return d.ready(ctx, d.nodes)
}

// revoke grants the permission, waits until the other nodes answer from memory, lets
// something happen to one of them, revokes, and returns what the others were answered.
func (d *director) revoke(ctx context.Context, r *Result, happen func()) (c Change, refused int, logs []CheckLog, err error) {
	writer, others := d.nodes[0], d.nodes[1:]
	if _, _, err = permit(ctx, writer, true); err != nil {
		return c, 0, nil, err
	}
	if _, err = all[None](ctx, others, "StartChecks", CheckPlan{revokeKey, revokeReaders, revokeBurst, revokePause}); err != nil {
		return c, 0, nil, err
	}
	if err = d.inMemory(ctx, r, others); err != nil {
		return c, 0, nil, err
	}
	happen()
	if c, refused, err = permit(ctx, writer, false); err != nil {
		return c, refused, nil, err
	}
	r.step("revoked: node %s had the answer after %.1f ms (refused %d times before)", writer.name, ms(c.took()), refused)
	logs, err = all[CheckLog](ctx, others, "StopChecks", CheckEnd{c.Returned, revokeReads/len(others) + 1})
	return c, refused, logs, err
}

// took is the time of a change that was done.
func (c Change) took() time.Duration { return time.Duration(c.Returned - c.Asked) }

// permit repeats a decision until it is accepted. Asked is when it was asked for first.
func permit(ctx context.Context, p *process, allowed bool) (c Change, refused int, err error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	asked := int64(0)
	for ; ; refused++ {
		if c, err = call[Change](ctx, p, "Permit", PermitArgs{revokeKey, allowed}); err != nil {
			return c, refused, err
		}
		if asked == 0 {
			asked = c.Asked
		}
		c.Asked = asked
		switch {
		case c.Outcome == outcomeDone:
			return c, refused, nil
		case c.Outcome != outcomeRefused || pause(ctx, 20*time.Millisecond) != nil:
			return c, refused, fmt.Errorf("node %s: the permission is %s: %s", p.name, c.Outcome, c.Err)
		}
	}
}

// inMemory waits until the nodes need the database no more for their answers.
func (d *director) inMemory(ctx context.Context, r *Result, nodes []*process) error {
	var loads SourceLog
	for range revokeTries {
		if _, err := loadsOf(ctx, nodes, true); err != nil {
			return err
		}
		if err := d.screen.wait(ctx, revokeCalm, nil); err != nil {
			return err
		}
		var err error
		if loads, err = loadsOf(ctx, nodes, true); err != nil || loads.Loads == 0 {
			return err
		}
	}
	r.check(false, "the nodes answer from memory", "%d loads in %v", loads.Loads, revokeCalm)
	return nil
}

// reportRevoked judges the checks of all nodes but the writer's: not one that began
// after the revoke had returned was allowed.
func (r *Result) reportRevoked(who, prefix string, c Change, logs []CheckLog) {
	before, late, after, fewest, failed, example := 0, 0, 0, math.MaxInt, int64(0), ""
	for _, l := range logs {
		allowed := countAfter(l.Allowed, c.Returned)
		began := allowed + countAfter(l.Denied, c.Returned)
		before, late, after, fewest = before+len(l.Allowed)-allowed, late+allowed, after+began, min(fewest, began)
		failed += l.Errors
		if l.Err != "" {
			example = " (" + l.Err + ")"
		}
	}
	r.Figures[prefix+"revoke_ms"], r.Figures[prefix+"reads_allowed_before"] = ms(c.took()), before
	r.Figures[prefix+"reads_after"], r.Figures[prefix+"reads_allowed_after"] = after, late
	r.Figures[prefix+"read_errors"] = failed
	r.check(late == 0 && before > 0, who+" allows it after the revoke has returned",
		"%d of %d reads; %d were allowed before", late, after, before)
	r.check(after >= revokeReads && fewest > 0 && failed == 0, fmt.Sprintf("%d reads on all other nodes show it", revokeReads),
		"%d reads, %d or more a node, %d failed%s; the revoke took %.1f ms", after, fewest, failed, example, ms(c.took()))
}

// reportSilent: who waits for a node that does not answer waits for its lease, and
// says for whom.
func (r *Result) reportSilent(ctx context.Context, writer, silent *process, c Change) error {
	name, err := call[string](ctx, silent, "Name", None(false))
	if err != nil {
		return err
	}
	notes, err := call[[]string](ctx, writer, "Gone", None(false))
	if err != nil {
		return err
	}
	named := slices.ContainsFunc(notes, func(note string) bool { return strings.Contains(note, name) })
	r.Figures["silent_named"] = named
	r.check(c.took() <= silentLimit && named, fmt.Sprintf("a silent node holds up one write, for %v and a margin, and is named", bound),
		"%.1f ms; told of node %s: %v", ms(c.took()), name, named)
	return nil
}
