package main

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

// patience bounds every wait for a group of servers.
const patience = 90 * time.Second

// sentinel is a master, a replica and three Sentinels.
type sentinel struct {
	group     *redistest.Sentinel
	rejoining chan error // of a former master that lives; nil: none does
}

// startSentinel shortens the pause that Sentinels make between two failovers, twice this timeout, so that a run
// has many.
func startSentinel(ctx context.Context) (_ rig, err error) {
	s := &sentinel{}
	if s.group, err = redistest.StartSentinel(); err != nil {
		return nil, err
	}
	for _, addr := range s.group.Addrs() {
		if err := do(ctx, addr, "sentinel", "set", s.group.MasterName(), "failover-timeout", sentinelTimeout.Milliseconds()); err != nil {
			return nil, errors.Join(err, s.Close())
		}
	}
	return s, nil
}

const sentinelTimeout = 2 * time.Second

func (s *sentinel) address(int) Address {
	return Address{Addrs: s.group.Addrs(), Master: s.group.MasterName()}
}

func (s *sentinel) links() []*redistest.Proxy { return nil }

func (s *sentinel) Close() error {
	if s.rejoining != nil {
		<-s.rejoining // it ends with the run
	}
	return s.group.Close()
}

func (s *sentinel) masters(ctx context.Context) ([]string, error) {
	master, err := s.group.Current(ctx)
	if err != nil {
		return nil, err
	}
	return []string{master.Addr()}, nil
}

func (s *sentinel) faults() []fault {
	return append(commandFaults(s.masters),
		once("master killed", s.killMaster),
		once("failover of a live master", s.switchMaster),
		once("master frozen, failover", s.freezeMaster),
		fault{"master frozen for half the bound", [2]time.Duration{bound / 2, bound / 2}, s.pauseMaster},
		once("replica killed", s.killReplica),
		once("sentinel killed", s.killSentinel),
	)
}

func (s *sentinel) victim(ctx context.Context, _ int) (*redistest.Server, error) {
	return s.group.Current(ctx)
}

func (s *sentinel) promoted(ctx context.Context, _ int, former *redistest.Server) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.group.Promoted(ctx, former)
}

func (s *sentinel) rejoin(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return s.group.Rejoin(ctx)
}

func (s *sentinel) holds(context.Context, int) (func(string) bool, error) {
	return func(string) bool { return true }, nil
}

func (s *sentinel) pause() time.Duration { return 2*sentinelTimeout + time.Second }

// master returns the current one when the group is fit for a failover.
func (s *sentinel) master(ctx context.Context) (*redistest.Server, error) {
	if err := s.settled(); err != nil {
		return nil, err
	}
	return s.group.Current(ctx)
}

// killMaster kills the master, and restarts it as a replica when another one was promoted.
func (s *sentinel) killMaster(ctx context.Context, d *thread) error {
	master, err := s.master(ctx)
	if err != nil {
		return err
	}
	defer d.fleet.record.losing()()
	if err := master.Kill(); err != nil {
		return err
	}
	if err := s.promoted(ctx, 0, master); err != nil {
		return err
	}
	return s.rejoin(ctx)
}

// switchMaster has the Sentinels replace a master that is well. It lives on for a while, unaware.
func (s *sentinel) switchMaster(ctx context.Context, d *thread) error {
	master, err := s.master(ctx)
	if err != nil {
		return err
	}
	for _, node := range s.group.Sentinels() {
		ended := d.fleet.record.losing()
		if err = do(ctx, node.Addr(), "sentinel", "failover", s.group.MasterName()); err == nil {
			err = s.promoted(ctx, 0, master)
			s.rejoinLater(ctx, ended)
			return err
		}
		ended()
	}
	if strings.Contains(err.Error(), "INPROG") || strings.Contains(err.Error(), "NOGOODSLAVE") {
		return errNoChance
	}
	return err
}

// freezeMaster stops the master for as long as it takes the Sentinels to replace it. It wakes when all of them agree
// on the new one: while they do not, a client may be led to the old one, and only its own settings
// (min-replicas-to-write) would keep it from answering. See the caveats of package coherence.
func (s *sentinel) freezeMaster(ctx context.Context, d *thread) error {
	master, err := s.master(ctx)
	if err != nil {
		return err
	}
	ended := d.fleet.record.losing()
	if err := master.Stop(); err != nil {
		return err
	}
	promoted := s.promoted(ctx, 0, master)
	err = errors.Join(promoted, master.Cont())
	s.rejoinLater(ctx, ended)
	return err
}

// rejoinLater waits in the background until the Sentinels have made a former master a replica: ten seconds or
// more, in which other things may break. What it still takes is lost then.
func (s *sentinel) rejoinLater(ctx context.Context, ended func()) {
	done := make(chan error, 1)
	s.rejoining = done
	go func() {
		err := s.rejoin(ctx)
		ended()
		done <- err
	}()
}

// settled returns errNoChance while a former master is about.
func (s *sentinel) settled() error {
	if s.rejoining == nil {
		return nil
	}
	select {
	case err := <-s.rejoining:
		s.rejoining = nil
		return err
	default:
		return errNoChance
	}
}

func (s *sentinel) pauseMaster(ctx context.Context, _ *thread) (func() error, error) {
	master, err := s.master(ctx)
	if err != nil {
		return nil, err
	}
	return master.Cont, master.Stop()
}

func (s *sentinel) killReplica(ctx context.Context, _ *thread) error {
	master, err := s.master(ctx)
	if err != nil {
		return err
	}
	replica := s.group.Replica()
	if replica == master {
		replica = s.group.Master()
	}
	if err := replica.Kill(); err != nil {
		return err
	}
	return s.rejoin(ctx)
}

func (s *sentinel) killSentinel(ctx context.Context, d *thread) error {
	if err := s.settled(); err != nil {
		return err
	}
	nodes := s.group.Sentinels()
	node := nodes[d.dice.below(len(nodes))]
	if err := node.Kill(); err != nil {
		return err
	}
	_ = sleep(ctx, d.dice.between(0, 2*bound))
	if err := node.Restart(false); err != nil {
		return err
	}
	return s.rejoin(ctx)
}
