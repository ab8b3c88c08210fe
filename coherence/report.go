package coherence

import (
	"context"
	"errors"
	"fmt"
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
	noticed := n.askWho(ctx, pipe)
	_, err = pipe.Exec(ctx)
	if err := noticed(err, fields, clock); err != nil {
		return report{}, err
	}
	n.clock.set(s, n.Now(), clock.Val())
	return parseReport(fields.Val())
}

// askWho adds to a probe the question which process answers it, and in which role: one that
// was demoted by hand keeps its connections, follows its successor, and so looks in step.
// Once the pipeline was sent, the function returned tells what its error and the answer mean
// for the other commands of it.
func (n *Node) askWho(ctx context.Context, pipe redis.Pipeliner) (noticed func(err error, others ...redis.Cmder) error) {
	switch {
	case n.cfg.Proxied:
		server, replication := pipe.Info(ctx, "server"), pipe.Info(ctx, "replication")
		return func(err error, _ ...redis.Cmder) error {
			if err != nil {
				return err
			}
			return n.noticeProcess(server.Val() + "\r\n" + replication.Val())
		}
	case n.monitor.cluster.Load(): // a server that is no master answers MOVED
		return func(err error, _ ...redis.Cmder) error { return err }
	}
	role := pipe.Do(ctx, "role")
	return func(err error, others ...redis.Cmder) error {
		if err = unless(err, role, others...); err != nil {
			return err
		}
		return n.noticeRole(role)
	}
}

// unless returns the error of a pipeline unless it is that of its optional command alone.
func unless(err error, optional redis.Cmder, others ...redis.Cmder) error {
	for _, cmd := range others {
		if cmd.Err() != nil {
			return cmd.Err()
		}
	}
	if optional.Err() != nil {
		return nil
	}
	return err // of the connection: no command need have it
}

// noticeRole reads the reply of ROLE.
func (n *Node) noticeRole(role *redis.Cmd) error {
	fields, err := role.Slice()
	var refused redis.Error
	switch {
	case errors.As(err, &refused) && !isPassing(err):
		if !n.prober.unnamed {
			n.prober.unnamed = true
			n.event(Event{Kind: EventConfig, Note: "ROLE is refused: a master that is demoted by hand, without CLIENT KILL, " +
				"goes unnoticed; allow +role, or set coherence.Config.Proxied", Err: err})
		}
		return nil
	case err != nil:
		return err
	case len(fields) > 0 && fields[0] != "master":
		return fmt.Errorf("%w: its role is %v", ErrReplica, fields[0])
	}
	return nil
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
		_ = n.monitor.meet(process, nil) // it refuses only connections that it knows
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
