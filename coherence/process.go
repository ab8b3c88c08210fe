package coherence

import (
	"context"
	"errors"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// enterProcesses enters the Redis processes met since the last probe into the
// fleet's records. One that no node has met before voids L2, unless it can be
// proved that its values are good.
func (n *Node) enterProcesses(ctx context.Context) error {
	for _, process := range n.monitor.unhandled() {
		err := n.keep(ctx, process)
		if errors.Is(err, errCold) {
			err = n.replace(ctx, process)
		}
		if err != nil && !errors.Is(err, errSuperseded) {
			return err
		}
		if n.monitor.regained.Swap(false) {
			n.attest.sighted = n.Now()
		}
		n.rebirth(n.Now(), 0)
		n.estrange()
		n.monitor.enter()
	}
	return nil
}

// replace enters a process whose values are void.
func (n *Node) replace(ctx context.Context, process string) error {
	epoch, err := n.meet(ctx, process, false)
	if err != nil {
		return err
	}
	first := n.history.epoch.Load() == 0
	if n.history.raise(epoch) && !first {
		n.gens.flush()
		n.event(Event{Kind: EventHistory, Note: "met a Redis process unknown to the fleet; L2 and all local copies were voided"})
		n.sub.renew()
		n.members.unsettle()
		n.repeatLater()
	}
	return nil
}

// lookAgain asks for the process while the monitor could not be told: what refused INFO for
// a moment would blind it until another connection is made, which may be never.
func (n *Node) lookAgain(ctx context.Context) error {
	if n.monitor.blindness() == nil {
		return nil
	}
	rdb, err := n.busClient(ctx)
	if err != nil {
		return err
	}
	process, err := n.identity(ctx, rdb)
	var refused redis.Error
	if errors.As(err, &refused) {
		return nil
	}
	if err == nil && process != "" {
		_ = n.monitor.meet(process, nil) // closes this connection too; the next probe enters the process
	}
	return err
}

// meet enters a process ("" for the one at hand) and returns the epoch to use.
func (n *Node) meet(ctx context.Context, process string, force bool) (uint64, error) {
	ctx, cancel := n.bounded(ctx)
	defer cancel()
	flag := "0"
	if force {
		flag = "1"
	}
	known := strconv.FormatUint(n.history.epoch.Load(), 10)
	reply, err := n.control.Run(ctx, meetScript, []string{n.keys.bus}, process, known, flag)
	if err != nil {
		return 0, err
	}
	text, _ := reply.(string)
	epoch, err := strconv.ParseUint(text, 10, 64)
	if err != nil || epoch == 0 {
		return 0, fmt.Errorf("coherence: MEET answered %q", reply)
	}
	return epoch, nil
}
