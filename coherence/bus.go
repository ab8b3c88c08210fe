package coherence

import (
	"context"
	"math"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/token"
)

// subscription is the current pub/sub connection.
type subscription struct {
	heard     atomic.Uint64 // highest entry delivered by pub/sub
	confirmed atomic.Int64  // Instant at which Redis confirmed the bus channel; in the far future until then
	up        signal        // fires when it does

	mu  sync.Mutex
	now *redis.PubSub
}

func (s *subscription) set(ps *redis.PubSub) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = ps
}

// renew closes the connection; the receiver makes a new one.
func (s *subscription) renew() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.now != nil {
		_ = s.now.Close() // closed twice is no fault
	}
}

// receiveLoop keeps a subscription alive. Pub/sub makes the usual case fast;
// the bound rests on the probe alone, so that whatever goes wrong here costs
// latency and nothing else.
func (n *Node) receiveLoop(ctx context.Context) {
	for ctx.Err() == nil {
		n.receive(ctx)
		if ctx.Err() != nil {
			return
		}
		reload(n.clients.data)
		n.wake()
		pause(ctx, n.cfg.Probe/2+rand.N(n.cfg.Probe))
	}
}

// hearing waits until pub/sub works, as long as the context allows.
func (n *Node) hearing(ctx context.Context) {
	for {
		up := n.sub.up.wait()
		if n.sub.confirmed.Load() <= int64(n.Now()) {
			return
		}
		select {
		case <-up:
		case <-ctx.Done():
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// receive reads one subscription until it fails. It does not use
// PubSub.Channel, which drops messages and hides reconnections. After any error
// the connection is closed: half a reply may have been read.
//
// The context of its calls is spent once it is connected: go-redis takes from
// it what it needs to read and write, and cannot connect anew by itself, which
// it does under the lock that Ping and Close take.
func (n *Node) receive(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer n.sub.confirmed.Store(math.MaxInt64)
	connecting, connected := context.WithTimeout(ctx, 4*n.cfg.Timeout)
	ps := n.clients.data.Subscribe(connecting, n.keys.channel, n.keys.inboxes+n.name)
	connected()
	spent, spend := context.WithCancel(context.Background())
	spend()
	n.sub.set(ps)
	defer n.sub.renew()
	stop := context.AfterFunc(ctx, func() { _ = ps.Close() })
	defer stop()

	var pinger sync.WaitGroup
	defer pinger.Wait()
	defer cancel()
	pinger.Go(func() { n.ping(ctx, spent, ps) })
	for {
		m, err := ps.ReceiveTimeout(spent, 3*n.cfg.Probe)
		if err != nil {
			return
		}
		switch m := m.(type) {
		case *redis.Subscription:
			n.counts.subscribed.Add(1)
			n.sub.confirmed.Store(int64(n.Now()))
			n.sub.up.fire()
			n.wake() // whatever was announced before is not coming here
		case *redis.Message:
			n.deliver(m)
		}
	}
}

// ping asks for a sign of life every Probe; receive gives up after three.
func (n *Node) ping(ctx, spent context.Context, ps *redis.PubSub) {
	tick := time.NewTicker(n.cfg.Probe)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if ps.Ping(spent) != nil {
				return // receive notices the silence
			}
		}
	}
}

func (n *Node) deliver(m *redis.Message) {
	if m.Channel != n.keys.channel {
		if ack, ok := strings.CutPrefix(m.Payload, ackPrefix); ok {
			n.audience.hear(ack)
			return
		}
		n.inbox.wake(m.Payload)
		return
	}
	if end, ok := strings.CutPrefix(m.Payload, liftPrefix); ok {
		n.lift(end)
		return
	}
	n.counts.messages.Add(1)
	e, err := parseEntry(m.Payload)
	if err != nil {
		n.distrust(err)
		return
	}
	n.apply(e) // first: it does no harm twice, and nobody may stand at e without it
	if !n.history.advance(e) {
		n.wake()
	}
	n.sub.heard.Store(max(n.sub.heard.Load(), e.at.n))
}

// apply drops the copies that an entry names, and confirms it where that is asked.
func (n *Node) apply(e entry) {
	c, err := parsePayload(e.payload)
	if err != nil {
		n.distrust(err)
		return
	}
	if s := n.space(c.space); s != nil {
		if c.writer != n.name { // it knows its own fences, and when they end
			s.heed(c) // first: who loads with the new generation must know of the fence
		}
		s.bumpAll(c.keys)
	}
	if c.writer != "" && c.writer != n.name && n.attest.listed.Load() {
		n.debts.add(c.writer, e.at.nonce)
	}
}

// liftPrefix begins the message that a fence has ended; an entry begins with a
// digit.
const liftPrefix = "u|"

// lift ends a fence: "<space>|<token in hex>|<key>".
func (n *Node) lift(text string) {
	name, rest, _ := strings.Cut(text, "|")
	hexToken, key, _ := strings.Cut(rest, "|")
	t, err := token.Parse(hexToken)
	if s := n.space(name); s != nil && err == nil {
		s.fences.lift(key, t, n.Now())
	}
}

// distrust voids all local copies: a message that cannot be understood may
// have named any of them.
func (n *Node) distrust(err error) {
	n.estrange()
	n.gens.flush()
	n.counts.malformed.Add(1)
	n.event(Event{Kind: EventMalformed, Err: err})
	n.wake()
}

// voice returns what this node announces as, or why it may not announce.
func (n *Node) voice() (id string, err error) {
	if n.cfg.Warm == 0 {
		return "", nil
	}
	if !n.admitted() {
		return "", n.strange()
	}
	return n.members.id(), nil
}
