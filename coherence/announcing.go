package coherence

import (
	"context"
	"fmt"
	"strconv"

	"github.com/tiercache/tiercache/internal/script"
	"github.com/tiercache/tiercache/internal/token"
)

// A Receipt names an entry of the bus.
type Receipt struct {
	slot, nonce string
	number      uint64
	epoch       uint64
	stamp       uint64

	// Of an announcement that is to be confirmed.
	space    string
	registry string
	answered Instant
	peers    []peer
	hearing  *hearing
}

// Position is the entry's place in the history of the bus: the epoch, its number and
// its nonce. The epoch is 0 if there is no entry.
func (r Receipt) Position() (epoch, number uint64, nonce string) { return r.epoch, r.number, r.nonce }

// Stamp is a number that grows from one announced fence of the fleet to the next, also
// over a loss of history. It is 0 for an announcement without a fence.
func (r Receipt) Stamp() uint64 { return r.stamp }

// announcing is an announcement under way, of up to maxKeys keys.
type announcing struct {
	space   *Space
	notice  notice // its keys are kept
	id      string // of the member that this node is
	stamps  int    // how many it takes
	call    script.Call
	nonce   string
	confirm bool
	vantage vantage  // of one that is to be confirmed
	hearing *hearing // of the same
}

// prepare makes an announcement ready to be sent.
func (n *Node) prepare(a *announcing) {
	a.end()
	a.nonce = token.New().Hex()
	if a.confirm {
		a.notice.writer = n.name
		a.hearing = n.audience.open(a.nonce)
	}
	a.call.Script, a.call.Keys = appendScript, n.keys.own()
	a.call.Args = []any{n.keys.channel, a.nonce, a.notice.append(nil)}
	if a.stamps > 0 || a.id != "" || a.confirm {
		a.call.Args = append(a.call.Args, a.stamps, a.id, a.vantage.registry)
	}
}

// announce runs first and then makes an announcement. The results are those of first.
func (n *Node) announce(ctx context.Context, run *script.Runner, first []script.Call, a *announcing) (results []script.Result, r Receipt, err error) {
	n.prepare(a)
	call := a.call
	// If the server had forgotten one of first alone, the announcement went ahead of it
	// and must be made again: under its old nonce it would pass for made.
	call.Again = func() []any {
		n.prepare(a)
		return a.call.Args
	}
	ctx, cancel := n.bounded(ctx)
	defer cancel()
	results, reply := run.Behind(ctx, first, call)
	if err = reply.Err; err == nil {
		r, err = n.appended(reply.Value, a)
	}
	if isStranger(err) {
		n.expel()
	}
	if isUnlisted(err) {
		n.doubt()
	}
	if err != nil {
		a.end()
	}
	return results, r, err
}

// end gives up the wait for confirmations.
func (a *announcing) end() {
	if a.hearing != nil {
		a.space.node.audience.close(a.nonce)
		a.hearing = nil
	}
}

// appended reads APPEND's reply: number, epoch, stamp, and the nodes if they are to confirm.
// An entry of an older epoch than this node knows counts as not made: the server was
// replaced, or has lost the epoch since, and nodes that follow its successor never see it.
func (n *Node) appended(reply any, a *announcing) (Receipt, error) {
	answered := n.Now()
	fields, _ := reply.([]any)
	if len(fields) < 3 || a.confirm && len(fields) < 4 {
		return Receipt{}, fmt.Errorf("coherence: APPEND answered %v", reply)
	}
	number, ok1 := fields[0].(int64)
	stamp, ok2 := fields[2].(int64)
	if !ok1 || !ok2 {
		return Receipt{}, fmt.Errorf("coherence: APPEND answered number %v, stamp %v", fields[0], fields[2])
	}
	epoch, known := decimal(fields[1]), n.history.epoch.Load()
	if epoch != known {
		n.wake()
	}
	if epoch < known {
		return Receipt{}, errSwitched // made in a history that is over: nobody need ever read it
	}
	n.counts.announced.Add(1)
	n.memory.remember(announcement{uint64(number), answered, a.space, a.notice.keys})
	r := Receipt{slot: strconv.FormatInt(number%ring, 10), nonce: a.nonce, number: uint64(number), epoch: epoch, stamp: uint64(stamp)}
	if a.confirm {
		if !n.Holds(a.vantage.view) || epoch != a.vantage.view.Epoch {
			n.doubt()
			return Receipt{}, errSwitched // the registry, fences and leases may have been lost
		}
		r.space, r.registry = a.space.name, a.vantage.registry
		r.answered, r.peers, r.hearing = answered, n.parsePeers(fields[3]), a.hearing
	}
	return r, nil
}
