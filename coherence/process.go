package coherence

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

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
		n.prober.proved = never // it was another process that proved this node in step
		n.monitor.enter()
	}
	return nil
}

// replace enters a process whose values are void.
func (n *Node) replace(ctx context.Context, process string) error {
	sent := n.Now()
	epoch, age, err := n.meet(ctx, process, false)
	if err != nil {
		return err
	}
	first := n.history.epoch.Load() == 0
	if n.history.raise(epoch) && !first {
		n.gens.flush()
		n.event(Event{Kind: EventHistory, Note: "met a Redis process unknown to the fleet; L2 and all local copies were voided"})
		n.sub.renew()
		n.members.unsettle()
		n.repeatLater(n.unused(sent, age))
	}
	return nil
}

// lookAgain asks for the process while the monitor could not be told, once every MaxStale:
// what refused INFO for a moment would blind it until another connection is made, which may
// be never. On a Cluster all masters must say who they are.
func (n *Node) lookAgain(ctx context.Context) {
	if n.monitor.blindness() == nil || n.Now() < n.prober.looked.Add(n.cfg.MaxStale) {
		return
	}
	n.prober.looked = n.Now()
	rdb, err := n.busClient(ctx)
	if err != nil {
		return
	}
	process, err := n.identity(ctx, rdb)
	if c, ok := n.clients.control.(*redis.ClusterClient); ok && err == nil {
		err = c.ForEachMaster(ctx, func(ctx context.Context, shard *redis.Client) error {
			_, err := n.identity(ctx, shard)
			return err
		})
	}
	if err == nil && process != "" {
		n.monitor.sight(process) // closes this connection too; the next probe enters the process
	}
}

// unused is an instant up to which nobody has loaded a value of the epoch that MEET,
// sent at the given instant, has answered with the given age: what was announced by then
// need not be announced in it again. Where values of an older epoch are kept there is
// none.
func (n *Node) unused(sent Instant, age time.Duration) Instant {
	if age < 0 || n.cfg.Warm > 0 {
		return never
	}
	return sent.Add(-age - time.Millisecond) // Redis counts whole ones
}

// never is before the node began.
const never = Instant(math.MinInt64)

// meet enters a process ("" for the one at hand) and returns the epoch to use, and how
// long ago at most a value of it was loaded: negative if that is unknown.
func (n *Node) meet(ctx context.Context, process string, force bool) (epoch uint64, age time.Duration, err error) {
	ctx, cancel := n.bounded(ctx)
	defer cancel()
	flag := "0"
	if force {
		flag = "1"
	}
	known := strconv.FormatUint(n.history.epoch.Load(), 10)
	reply, err := n.control.Run(ctx, meetScript, []string{n.keys.bus}, process, known, flag)
	if err != nil {
		return 0, 0, err
	}
	fields, _ := reply.([]any)
	if len(fields) == 2 {
		ms, ok := fields[1].(int64)
		if epoch = decimal(fields[0]); epoch > 0 && ok {
			if ms > maxAge.Milliseconds() {
				ms = -1
			}
			return epoch, time.Duration(max(-1, ms)) * time.Millisecond, nil
		}
	}
	return 0, 0, fmt.Errorf("coherence: MEET answered %q", reply)
}
