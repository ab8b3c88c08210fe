package coherence

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/script"
	"github.com/tiercache/tiercache/internal/token"
)

// Announce makes every node drop its copies of keys: it erases what the
// processes share, then announces, then drops the copies here, as many keys at a
// time as a message takes: 256, or 4 KiB. Call it after the change was made. When it returns nil, no node serves
// an older copy for longer than its MaxStale; of a space with SpaceConfig.Acked,
// not at all.
//
// If Redis does not confirm a message, its keys and those that were to follow go to the
// journal and ErrUnconfirmed is returned; ErrClosed if the node was closed meanwhile, and nothing will
// announce them. A key of more than MaxKey bytes is an error and nothing is
// done. The context bounds the wait, not the work: a change that was made must
// be announced. Cancelled while Redis is asked, it may take Config.Timeout to end the
// wait; deadlines are kept. If it ends while nodes have still to confirm, ErrUnheard is
// returned.
func (s *Space) Announce(ctx context.Context, keys ...string) error {
	_, err := s.AnnounceAll(ctx, keys, s.acked)
	return err
}

// AnnounceAll is Announce; confirm says whether it waits for all nodes. The receipt
// is that of the last message.
func (s *Space) AnnounceAll(ctx context.Context, keys []string, confirm bool) (Receipt, error) {
	for _, k := range keys {
		if len(k) > MaxKey {
			return Receipt{}, fmt.Errorf("coherence: key %.64q... of space %q has %d bytes, more than %d", k, s.name, len(k), MaxKey)
		}
	}
	if s.node.closed.Load() {
		return Receipt{}, ErrClosed
	}
	if len(keys) == 0 {
		return Receipt{}, nil
	}
	made, rest, err := s.announceInStep(ctx, keys, confirm)
	if err == nil {
		return made[len(made)-1], s.heard(ctx, made)
	}
	release(s.node, made)
	if !s.owe(rest, err) {
		return Receipt{}, fmt.Errorf("%w: space %q: not announced: %w", ErrClosed, s.name, err)
	}
	return Receipt{}, fmt.Errorf("%w: space %q: %d of %d keys: %w", ErrUnconfirmed, s.name, len(rest), len(keys), err)
}

// announceInStep announces, entry by entry, and returns what is left to be announced if
// one fails. Should a hook of the client panic, which a server like that of net/http
// survives, the rest is owed.
func (s *Space) announceInStep(ctx context.Context, keys []string, confirm bool) (made []Receipt, rest []string, err error) {
	unwound := true
	defer func() {
		if unwound {
			s.owe(rest, errUnwound)
		}
	}()
	for rest = keys; len(rest) > 0; {
		part, later := cut(rest)
		receipt, err := s.announceEntry(ctx, part, confirm)
		if err != nil {
			unwound = false
			return made, rest, err
		}
		made, rest = append(made, receipt), later
	}
	unwound = false
	return made, nil, nil
}

// announceEntry announces keys of one entry when the node is in step, and once more if
// another Redis process answered a part.
func (s *Space) announceEntry(ctx context.Context, keys []string, confirm bool) (r Receipt, err error) {
	for range 2 {
		if err = s.settle(ctx, confirm); err != nil {
			return Receipt{}, err
		}
		if r, err = s.announce(ctx, keys, confirm); !errors.Is(err, errSwitched) {
			break
		}
	}
	return r, err
}

// errUnwound: a hook of the client ended an announcement in its goroutine.
var errUnwound = errors.New("coherence: a hook of the client panicked or ended its goroutine")

// owe gives keys to the journal and drops the copies here. False: the node was closed.
func (s *Space) owe(keys []string, cause error) bool {
	kept := s.node.journal.add(s, keys, cause) // first: who reads the new generation must not trust Redis
	s.bumpAll(keys)
	return kept
}

func (s *Space) settle(ctx context.Context, confirm bool) error {
	if confirm {
		return s.SettleAcked(ctx)
	}
	return s.node.Settle(ctx)
}

// heard waits for the confirmations of announcements.
func (s *Space) heard(ctx context.Context, made []Receipt) error {
	for i, r := range made {
		if err := s.node.Heard(ctx, r); err != nil {
			release(s.node, made[i:])
			return fmt.Errorf("%w: space %q: %w", ErrUnheard, s.name, err)
		}
	}
	return nil
}

func release(n *Node, made []Receipt) {
	for _, r := range made {
		n.audience.close(r.nonce)
	}
}

// announce is one attempt, of which all must have reached the same Redis process: one that
// took over in between may lack what its predecessor erased. The keys fit into an entry.
func (s *Space) announce(ctx context.Context, keys []string, confirm bool) (Receipt, error) {
	if !confirm && s.erase == nil {
		out := s.carry(ctx, errand{first: s.erasures(keys), keys: keys})
		return out.receipt, out.err
	}
	return s.announceAlone(ctx, keys, confirm)
}

// announceAlone is one attempt in an entry that is shared with nobody.
func (s *Space) announceAlone(ctx context.Context, keys []string, confirm bool) (Receipt, error) {
	id, err := s.node.voice()
	if err != nil {
		return Receipt{}, err
	}
	view, _ := s.node.View()
	form := announcing{space: s, id: id, confirm: confirm}
	if confirm {
		if form.vantage, err = s.survey(); err != nil {
			return Receipt{}, err
		}
		view = form.vantage.view
	}
	r, err := s.announceBy(ctx, s.node.data, form, keys)
	if isUnlisted(err) || err == nil && !s.node.Holds(view) {
		release(s.node, []Receipt{r})
		return Receipt{}, errSwitched
	}
	return r, err
}

// errSwitched: a Redis process that this node had not met answered a part of an
// announcement.
var errSwitched = errors.New("coherence: another Redis process took over during the announcement")

// announceBy erases and announces the keys of one entry, in an entry of its own. Data
// first, then the bus: whoever hears of a change finds no older data (I7).
func (s *Space) announceBy(ctx context.Context, run *script.Runner, form announcing, keys []string) (Receipt, error) {
	if s.erase != nil {
		if err := s.erase(script.Through(ctx, run), keys); err != nil {
			return Receipt{}, err
		}
	}
	e := &errand{first: s.erasures(keys), keys: keys}
	s.post(ctx, run, form, []*errand{e})
	return e.out.receipt, e.out.err
}

// erasures are the calls that erase keys.
func (s *Space) erasures(keys []string) []script.Call {
	if s.erasing == nil {
		return nil
	}
	return s.erasing(keys)
}

// A Fence is what a write that is under way announces: how long its key is fenced,
// and under which token. Confirm asks all nodes to confirm that they know: wait for
// them with Node.Heard.
type Fence struct {
	Token   token.Token
	Life    time.Duration
	Confirm bool
}

// AnnounceBehind runs first and then announces key, in this order and in one
// round trip where the client allows it, and drops the copy here. It is of use
// to packages of this module only: first is a fence.
func (s *Space) AnnounceBehind(ctx context.Context, first script.Call, key string, fence Fence) (any, Receipt, error) {
	e := errand{first: []script.Call{first}, keys: []string{key}, fence: true}
	if !fence.Confirm {
		out := s.carry(ctx, e)
		return out.reply, out.receipt, out.err
	}
	id, err := s.node.voice()
	if err != nil {
		return nil, Receipt{}, err
	}
	form := announcing{space: s, id: id, confirm: true}
	if form.vantage, err = s.survey(); err != nil {
		return nil, Receipt{}, err
	}
	form.notice.fence, form.notice.life = fence.Token, fence.Life
	s.post(ctx, s.node.data, form, []*errand{&e})
	return e.out.reply, e.out.receipt, e.out.err
}

// isUnlisted reports whether an announcement that was to be confirmed was refused
// because the registry is another one than this node knows.
func isUnlisted(err error) bool { return redis.HasErrorPrefix(err, "UNLISTED") }

// Lift ends a fence that was announced: here at once, and on the other nodes when
// they hear of it. If they do not, it lasts for its life there, which costs loads of
// the source.
func (s *Space) Lift(key string, t token.Token) {
	s.fences.lift(key, t, s.node.Now())
	s.node.debts.tell(liftPrefix + s.name + "|" + t.Hex() + "|" + key)
}

// Confirm is the call that answers 1 while the announcement stands in the ring.
func (s *Space) Confirm(r Receipt) script.Call {
	return script.Call{Script: confirmScript, Keys: []string{s.node.keys.bus}, Args: []any{r.slot, r.nonce}}
}
