package coherence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/token"
)

// membership is this node's place among those who announce, in a fleet that keeps
// its shared values over a failover (Config.Warm). After one, values may be kept
// only if everybody who announced something that is lost makes it again, so that
// everybody has to be known: a node announces only once all members know of it,
// and a member knows of all that came after it.
//
// All but mandate and fault is the prober's.
type membership struct {
	mandate atomic.Pointer[mandate] // nil: no member
	fault   atomic.Pointer[error]   // why the last BEAT failed, if it did

	since    uint64   // version of the list that this node is on for certain
	seen     uint64   // version of the list that it has
	told     uint64   // version that it has told the others it has
	known    []string // the other members
	next     []string // the same, newer; it holds once a later probe is in step
	listed   bool     // next is set
	complete bool     // known is all who may have announced since floor
	floor    uint64   // number of the bus' entry then
	until    Instant  // when this node's life as a member ends
	due      Instant  // when it is to be prolonged
}

// mandate is what an announcement needs of it.
type mandate struct {
	id   string
	full bool // all members know of this one
}

// id is what this node announces as.
func (m *membership) id() string {
	if s := m.mandate.Load(); s != nil {
		return s.id
	}
	return ""
}

// admitted reports whether the node may announce.
func (n *Node) admitted() bool {
	if n.cfg.Warm == 0 {
		return true
	}
	s := n.members.mandate.Load()
	return s != nil && s.full
}

// strange is why the node may not announce.
func (n *Node) strange() error {
	if fault := n.members.fault.Load(); fault != nil {
		return fmt.Errorf("%w: Config.Warm: no member of the fleet: %w", ErrAdrift, *fault)
	}
	return fmt.Errorf("%w: Config.Warm: not all nodes know of this one so far", ErrAdrift)
}

// expel forgets a membership that Redis does not know any more; the prober asks
// for a new one, under a new name.
func (n *Node) expel() {
	if n.members.mandate.Swap(nil) != nil {
		n.wake() // else it is asking already, and may be here because it was refused again
	}
}

// isStranger reports whether an announcement was refused for want of a membership.
func isStranger(err error) bool { return redis.HasErrorPrefix(err, "STRANGER") }

// attend keeps the membership up. It follows a probe that ended in step and saw
// the given version of the list.
func (n *Node) attend(ctx context.Context, version uint64) error {
	if n.cfg.Warm == 0 {
		return nil
	}
	m := &n.members
	if m.listed { // whoever is missing in it announced nothing that this probe has not shown
		m.known, m.next, m.listed = m.next, nil, false
	}
	const rounds = 3 // others may come at the same time
	for range rounds {
		s := m.mandate.Load()
		if s != nil && s.full && m.complete && version == m.told && n.Now() < m.due {
			return nil
		}
		if err := n.beat(ctx, s); err != nil {
			m.fault.Store(&err)
			return err
		}
		m.fault.Store(nil)
		version = m.seen
		if m.told == version && m.mandate.Load() != nil {
			return nil
		}
	}
	return nil
}

// beat tells the others that this node lives and what it knows of them.
func (n *Node) beat(ctx context.Context, s *mandate) error {
	m := &n.members
	member := "1"
	if s == nil {
		s, member = &mandate{id: token.New().Hex()}, "0"
	}
	ctx, cancel := n.bounded(ctx)
	defer cancel()
	sent, told := n.Now(), m.seen
	reply, err := n.control.Run(ctx, beatScript, n.keys.own(), s.id, n.cfg.Warm.Milliseconds(), told, member)
	if err != nil {
		return err
	}
	version, number, others, err := parseBeat(reply)
	if err != nil {
		return err
	}
	if version < 0 {
		n.expel()
		return nil
	}
	if member == "0" {
		m.complete = false
	}
	if !m.complete {
		m.since = uint64(version)
	}
	m.until, m.due = sent.Add(n.cfg.Warm), sent.Add(min(n.cfg.Warm/4, n.cfg.MaxStale))
	m.seen, m.told = uint64(version), told
	m.list(number, others)
	full := s.full || !slices.ContainsFunc(others, func(o other) bool { return o.seen < m.since })
	m.mandate.Store(&mandate{s.id, full})
	if full && !s.full {
		n.stepped.fire()
	}
	return nil
}

// other is another member and the version of the list that it has.
type other struct {
	id   string
	seen uint64
}

// list takes over who is there. Whoever came counts at once, whoever has gone
// counts until the next probe; and what somebody announced who has gone cannot be
// made again, so that no history that ends before it can be kept.
func (m *membership) list(number uint64, others []other) {
	m.next, m.listed = nil, true
	for _, o := range others {
		m.next = append(m.next, o.id)
		if !slices.Contains(m.known, o.id) {
			m.known = append(m.known, o.id)
		}
	}
	if len(m.next) < len(m.known) || !m.complete {
		m.floor = max(m.floor, number)
	}
	m.complete = true
}

// lives reports whether nobody can have been admitted without this node's knowing.
func (m *membership) lives(now Instant) bool {
	return m.mandate.Load() != nil && m.complete && now < m.until
}

// unsettle ends what is known of the list: another Redis process may have another.
func (m *membership) unsettle() { m.complete, m.due, m.seen, m.told = false, 0, 0, 0 }

// leave takes this node off the list, so that nobody waits for it.
func (n *Node) leave() {
	id := n.members.id()
	if id == "" {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), n.cfg.Timeout)
	defer cancel()
	_, _ = n.control.Run(ctx, beatScript, n.keys.own(), id, 0, 0, "1") // else its life ends by itself
}

// parseBeat reads BEAT's reply: version, number, others with their versions. A
// negative version stands alone: the caller is no member.
func parseBeat(reply any) (version int64, number uint64, others []other, err error) {
	fields, _ := reply.([]any)
	if len(fields) == 1 && fields[0] == int64(-1) {
		return -1, 0, nil, nil
	}
	if len(fields) != 3 {
		return 0, 0, nil, fmt.Errorf("coherence: BEAT answered %v", reply)
	}
	version, ok1 := fields[0].(int64)
	last, ok2 := fields[1].(int64)
	list, ok3 := fields[2].([]any)
	if !ok1 || !ok2 || !ok3 || version < 0 || last < 0 || len(list)%2 != 0 {
		return 0, 0, nil, fmt.Errorf("coherence: BEAT answered %v", reply)
	}
	for i := 0; i < len(list); i += 2 {
		id, _ := list[i].(string)
		text, _ := list[i+1].(string)
		seen, err := strconv.ParseUint(text, 10, 53)
		if id == "" || err != nil {
			return 0, 0, nil, errors.New("coherence: BEAT answered a malformed list")
		}
		others = append(others, other{id, seen})
	}
	return version, uint64(last), others, nil
}
