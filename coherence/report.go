package coherence

import (
	"context"
	"errors"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// report is what a probe read from Redis.
type report struct {
	at      position
	epoch   uint64 // 0: missing
	version uint64 // of the list of members; see membership
}

// readBus reads position, epoch and clock. It changes nothing in Redis.
func (n *Node) readBus(ctx context.Context, s Instant) (report, error) {
	ctx, cancel := n.bounded(ctx)
	defer cancel()
	rdb, err := n.busClient(ctx)
	if err != nil {
		return report{}, err
	}
	pipe := rdb.Pipeline()
	fields, clock := pipe.HMGet(ctx, n.keys.bus, "n", "c", "e", "v"), pipe.Time(ctx)
	var server, replication *redis.StringCmd
	if n.cfg.Proxied {
		server, replication = pipe.Info(ctx, "server"), pipe.Info(ctx, "replication")
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return report{}, err
	}
	if n.cfg.Proxied {
		if err := n.noticeProcess(server.Val() + "\r\n" + replication.Val()); err != nil {
			return report{}, err
		}
	}
	n.clock.set(s, n.Now(), clock.Val())
	return parseReport(fields.Val())
}

var errNewProcess = errors.New("coherence: an unknown Redis process answered the probe")

// noticeProcess looks behind a proxy that keeps our connection over a failover.
func (n *Node) noticeProcess(info string) error {
	process, role := identify(info)
	if role != "" && role != "master" {
		return ErrReplica
	}
	before := n.monitor.met.Load()
	if process != "" {
		n.monitor.meet(process)
	}
	if n.monitor.met.Load() != before {
		return errNewProcess
	}
	return nil
}

// busClient returns the client of the Redis process that holds the bus.
func (n *Node) busClient(ctx context.Context) (redis.UniversalClient, error) {
	if c, ok := n.clients.control.(*redis.ClusterClient); ok {
		return c.MasterForKey(ctx, n.keys.bus)
	}
	return n.clients.control, nil
}

// parseReport reads n, c, e and v. What is no number counts as absent, as it does
// in the scripts: the node takes it for lost, and voids and mends the bus.
func parseReport(fields []any) (report, error) {
	if len(fields) != 4 {
		return report{}, errMalformed
	}
	text := func(i int) string {
		s, _ := fields[i].(string)
		return s
	}
	number := func(i int) uint64 {
		n, err := strconv.ParseUint(text(i), 10, 64)
		if err != nil {
			return 0
		}
		return n
	}
	return report{at: position{n: number(0), nonce: text(1)}, epoch: number(2), version: number(3)}, nil
}
