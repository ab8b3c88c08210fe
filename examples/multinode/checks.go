package main

import (
	"context"
	"errors"
	"sync"
	"time"
)

// checkLoad asks one node for one permission, over and over.
type checkLoad struct {
	node *node
	plan CheckPlan
	end  context.CancelFunc
	done sync.WaitGroup

	mu  sync.Mutex
	log CheckLog
}

func startChecks(n *node, plan CheckPlan) *checkLoad {
	ctx, cancel := context.WithCancel(n.ctx)
	l := &checkLoad{node: n, plan: plan, end: cancel}
	for range plan.Readers {
		l.done.Go(func() {
			for pause(ctx, plan.Pause) == nil {
				for range plan.Burst {
					l.one()
				}
			}
		})
	}
	return l
}

// one is one check. The clock is read before it begins, so that no check is taken
// for younger than it is.
func (l *checkLoad) one() {
	ctx, cancel := context.WithTimeout(l.node.ctx, readLimit)
	defer cancel()
	start := now()
	allowed, err := l.node.allowed(ctx, l.plan.Key)
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err != nil:
		l.log.Errors++
		l.log.Err = err.Error()
	case allowed:
		l.log.Allowed = append(l.log.Allowed, start)
	default:
		l.log.Denied = append(l.log.Denied, start)
	}
}

// enough reports whether as many checks as asked for began after an instant.
func (l *checkLoad) enough(end CheckEnd) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return countAfter(l.log.Allowed, end.After)+countAfter(l.log.Denied, end.After) >= end.Want
}

// stop waits until there were enough, but not longer than callLimit/2, and ends the
// checks.
func (l *checkLoad) stop(end CheckEnd) CheckLog {
	ctx, cancel := context.WithTimeout(l.node.ctx, callLimit/2)
	defer cancel()
	for !l.enough(end) && pause(ctx, 20*time.Millisecond) == nil {
	}
	l.end()
	l.done.Wait()
	return l.log
}

// countAfter is how many of the instants are later than the given one.
func countAfter(instants []int64, after int64) (n int) {
	for _, t := range instants {
		if t > after {
			n++
		}
	}
	return n
}

// StartChecks begins a load of checks; there is one at a time.
func (s *Service) StartChecks(plan CheckPlan, _ *None) error {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	if s.n.checks != nil {
		return errors.New("a load of checks is running")
	}
	s.n.checks = startChecks(s.n, plan)
	return nil
}

// StopChecks ends it when there were enough.
func (s *Service) StopChecks(end CheckEnd, log *CheckLog) error {
	s.n.mu.Lock()
	load := s.n.checks
	s.n.checks = nil
	s.n.mu.Unlock()
	if load == nil {
		return errors.New("no load of checks is running")
	}
	*log = load.stop(end)
	return nil
}

// Permit grants or revokes a permission.
func (s *Service) Permit(args PermitArgs, change *Change) error {
	ctx, cancel := context.WithTimeout(s.n.ctx, callLimit)
	defer cancel()
	*change = s.n.permit(ctx, args)
	return nil
}

// Name is what the fleet calls the node.
func (s *Service) Name(_ None, name *string) error {
	*name = s.n.fleet.Name()
	return nil
}

// Gone hands out what the node has told of nodes that were waited for in vain.
func (s *Service) Gone(_ None, notes *[]string) error {
	s.n.mu.Lock()
	defer s.n.mu.Unlock()
	*notes, s.n.gone = s.n.gone, nil
	return nil
}
