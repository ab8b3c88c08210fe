package coherence

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/script"
)

// A recovery keeps the fleet's shared values when another Redis process takes over
// with a part of the history: a replica that was promoted, a server restarted on
// its data. What it holds is what the former one held at an earlier moment, so that
// a value in it is old only if an announcement of its key came later. The members
// make those announcements again; when all who may have made one have reported, the
// values that are left are good.
//
// The fields are those of the process that is being entered.
type recovery struct {
	process  string
	noticed  Instant
	member   bool   // this node was a member then
	repeated bool   // what it lost has been announced again
	ancestor uint64 // the last entry that it has in common with the history followed here
	vouched  bool   // this node knows all who may have announced after that
}

// What a recovery may end with, other than values kept.
var (
	errCold    = errors.New("coherence: this history cannot be kept") // void it
	errWaiting = errors.New("coherence: a Redis process that took over is not settled yet")
)

// keep tries to keep the values of a process that was met and not entered yet.
// errCold: they are to be voided. Any other error: to be tried again.
func (n *Node) keep(ctx context.Context, process string) error {
	if n.cfg.Warm == 0 {
		return errCold
	}
	if n.recovery.process != process {
		now := n.Now()
		n.recovery = recovery{process: process, noticed: now, member: n.members.lives(now)}
	}
	conn, err := n.reach(ctx, process)
	if err != nil {
		return err
	}
	defer conn.Close()
	run := script.NewRunner(conn)
	if !n.recovery.repeated {
		if err := n.open(ctx, conn, run); err != nil {
			return err
		}
	}
	_, kept, err := n.recover(ctx, run)
	if err == nil && !kept {
		err = errWaiting
	}
	if err == nil {
		n.rewind()
	}
	return err
}

// open finds out what the process has lost of what this node announced, and
// announces it again.
func (n *Node) open(ctx context.Context, conn *redis.Conn, run *script.Runner) error {
	at, _, err := n.recover(ctx, run)
	if err != nil {
		return err
	}
	r := &n.recovery
	if r.ancestor, err = n.ancestor(ctx, conn, at); err != nil {
		return err
	}
	if !n.memory.covers(r.ancestor) {
		return errCold
	}
	r.vouched = r.member && r.ancestor >= n.members.floor
	if err := n.repeat(ctx, run); err != nil {
		return err
	}
	r.repeated = true
	return nil
}

// reach returns a connection that leads to the process for certain. One that was
// made before it took over may lead to its predecessor for a while.
func (n *Node) reach(ctx context.Context, process string) (*redis.Conn, error) {
	rdb, ok := n.clients.control.(*redis.Client)
	if !ok {
		return nil, errCold
	}
	conn := rdb.Conn()
	there, err := n.identity(ctx, conn)
	switch {
	case err != nil:
	case there == process:
		return conn, nil
	case slices.Contains(n.monitor.unhandled(), there):
		err = errSuperseded
	case n.Now() > n.recovery.noticed.Add(n.cfg.MaxStale):
		err = errCold
	default:
		err = errWaiting
	}
	return nil, errors.Join(err, conn.Close())
}

// errSuperseded: the process has been followed by another one that waits its turn.
var errSuperseded = errors.New("coherence: another Redis process took over since")

// identity asks a server which process it is.
func (n *Node) identity(ctx context.Context, rdb interface{ Pipeline() redis.Pipeliner }) (string, error) {
	ctx, cancel := n.bounded(ctx)
	defer cancel()
	pipe := rdb.Pipeline()
	server, replication := pipe.Info(ctx, "server"), pipe.Info(ctx, "replication")
	if _, err := pipe.Exec(ctx); err != nil {
		return "", err
	}
	process, _ := identify(server.Val() + "\r\n" + replication.Val())
	return process, nil
}

// recover runs RECOVER and returns where the process' bus stands.
func (n *Node) recover(ctx context.Context, run *script.Runner) (at position, kept bool, err error) {
	ctx, cancel := n.bounded(ctx)
	defer cancel()
	id, done := n.members.id(), "0"
	if n.recovery.repeated {
		done = "1"
	}
	sent := n.Now()
	args := []any{n.recovery.process, n.history.epoch.Load(), id, n.cfg.Warm.Milliseconds(), (2 * n.cfg.MaxStale).Milliseconds(), done}
	if n.recovery.vouched && n.recovery.repeated {
		for _, member := range append([]string{id}, n.members.known...) {
			args = append(args, member)
		}
	}
	reply, err := run.Run(ctx, recoverScript, n.keys.own(), args...)
	if err != nil {
		return position{}, false, err
	}
	fields, _ := reply.([]any)
	if len(fields) == 1 && fields[0] == "cold" {
		return position{}, false, errCold
	}
	if len(fields) != 3 {
		return position{}, false, fmt.Errorf("coherence: RECOVER answered %v", reply)
	}
	number, ok1 := fields[1].(int64)
	nonce, ok2 := fields[2].(string)
	if !ok1 || !ok2 || number < 0 {
		return position{}, false, fmt.Errorf("coherence: RECOVER answered %v", reply)
	}
	if id != "" {
		n.members.until = sent.Add(n.cfg.Warm)
	}
	return position{uint64(number), nonce}, fields[0] == "kept", nil
}

// ancestor returns the number of the last entry that the bus at hand has in common
// with the history followed here: 0 for a node that has followed none.
func (n *Node) ancestor(ctx context.Context, conn *redis.Conn, at position) (uint64, error) {
	here, joined := n.history.position()
	if !joined || here.n == 0 {
		return 0, nil
	}
	if at.n <= here.n && n.history.passed(at) {
		return at.n, nil
	}
	const batch = wholeBatch / 4
	high := min(at.n, here.n)
	for hi := high; hi > 0 && hi+ring > at.n; hi -= min(hi, batch) {
		lo := max(hi, batch) - batch + 1
		slots, err := n.readSlots(ctx, conn, lo, hi)
		if err != nil {
			return 0, err
		}
		for i := hi; i >= lo; i-- {
			text, _ := slots[i-lo].(string)
			if e, err := parseEntry(text); err == nil && e.at.n == i && n.history.passed(e.at) {
				return i, nil
			}
		}
	}
	return 0, errCold
}

// repeat makes the announcements again that came after the common ancestor.
func (n *Node) repeat(ctx context.Context, run *script.Runner) error {
	lost := n.memory.cut(n.recovery.ancestor)
	for space, keys := range bySpace(lost) {
		for rest := keys; len(rest) > 0; {
			var part []string
			part, rest = cut(rest)
			if _, err := space.announceBy(ctx, run, announcing{space: space, id: n.members.id()}, part); err != nil {
				n.memory.restore(lost)
				return err
			}
			n.counts.repeated.Add(uint64(len(part)))
		}
	}
	return nil
}

// bySpace collects the keys of announcements, each once.
func bySpace(made []announcement) map[*Space][]string {
	seen := make(map[*Space]map[string]bool)
	keys := make(map[*Space][]string)
	for _, a := range slices.Backward(made) { // the youngest first
		if seen[a.space] == nil {
			seen[a.space] = make(map[string]bool)
		}
		for _, k := range a.keys {
			if !seen[a.space][k] {
				seen[a.space][k] = true
				keys[a.space] = append(keys[a.space], k)
			}
		}
	}
	return keys
}

// rewind goes back to the common ancestor, from where the next probe follows the
// history that Redis has now. Copies stay: what that history has lost has been
// announced in it again.
func (n *Node) rewind() {
	if _, joined := n.history.position(); !joined {
		return
	}
	n.history.rewind(n.recovery.ancestor)
	n.members.unsettle()
	n.prober.owed = 0
	n.sub.heard.Store(0)
	n.sub.renew()
	n.counts.kept.Add(1)
	n.event(Event{Kind: EventHistory, Note: "met a Redis process unknown to the fleet; announcements that it had lost were made again and all values kept"})
}

// repeatLater hands what this node announced after an instant to the journal: Redis'
// history was voided, and others may have loaded values from the new one before these
// announcements reached the old one. If it does not remember them all, or they are more
// than the journal holds, everything is voided.
func (n *Node) repeatLater(since Instant) {
	made, whole := n.memory.clear(since)
	if !whole {
		n.journal.overflow("Redis may have lost announcements of this node that it has forgotten")
		return
	}
	for space, keys := range bySpace(made) {
		n.journal.add(space, keys, errSwitched)
	}
}
