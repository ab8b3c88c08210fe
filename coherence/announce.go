package coherence

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/script"
	"github.com/tiercache/tiercache/internal/token"
)

// Announce makes every node drop its copies of keys: it erases what the
// processes share, then announces (256 keys a message), then drops the copies
// here. Call it after the change was made. When it returns nil, no node serves
// an older copy for longer than its MaxStale; of a space with SpaceConfig.Acked,
// not at all.
//
// If Redis does not confirm it, the keys go to the journal and ErrUnconfirmed
// is returned; ErrClosed if the node was closed meanwhile, and nothing will
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
	made, err := s.announceInStep(ctx, keys, confirm)
	if err == nil {
		return made[len(made)-1], s.heard(ctx, made)
	}
	if !s.owe(keys, err) {
		return Receipt{}, fmt.Errorf("%w: space %q: not announced: %w", ErrClosed, s.name, err)
	}
	return Receipt{}, fmt.Errorf("%w: space %q: %w", ErrUnconfirmed, s.name, err)
}

// announceInStep announces when the node is in step, and once more if another Redis process
// answered a part. Should a hook of the client panic, which a server like that of
// net/http survives, the keys are owed.
func (s *Space) announceInStep(ctx context.Context, keys []string, confirm bool) (made []Receipt, err error) {
	unwound := true
	defer func() {
		if unwound {
			s.owe(keys, errUnwound)
		}
	}()
	err = s.settle(ctx, confirm)
	if err == nil {
		made, err = s.announce(ctx, keys, confirm)
	}
	if errors.Is(err, errSwitched) {
		if err = s.settle(ctx, confirm); err == nil {
			made, err = s.announce(ctx, keys, confirm)
		}
	}
	unwound = false
	return made, err
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

// announce is one attempt, of which all must have reached the same Redis process:
// one that took over in between may lack what its predecessor erased.
func (s *Space) announce(ctx context.Context, keys []string, confirm bool) (made []Receipt, err error) {
	if !confirm && s.erase == nil && len(keys) <= maxKeys {
		out := s.carry(ctx, errand{first: s.erasures(keys), keys: keys})
		return []Receipt{out.receipt}, out.err
	}
	return s.announceAlone(ctx, keys, confirm)
}

// announceAlone is one attempt in entries that are shared with nobody.
func (s *Space) announceAlone(ctx context.Context, keys []string, confirm bool) (made []Receipt, err error) {
	id, err := s.node.voice()
	if err != nil {
		return nil, err
	}
	view, _ := s.node.View()
	form := announcing{space: s, id: id, confirm: confirm}
	if confirm {
		if form.vantage, err = s.survey(); err != nil {
			return nil, err
		}
		view = form.vantage.view
	}
	made, err = s.announceBy(ctx, s.node.data, form, keys)
	if isUnlisted(err) || err == nil && !s.node.Holds(view) {
		err = errSwitched
	}
	if err != nil {
		release(s.node, made)
		return nil, err
	}
	return made, nil
}

// errSwitched: a Redis process that this node had not met answered a part of an
// announcement.
var errSwitched = errors.New("coherence: another Redis process took over during the announcement")

// announceBy erases and announces any number of keys, in entries of their own. Data
// first, then the bus: whoever hears of a change finds no older data (I7).
func (s *Space) announceBy(ctx context.Context, run *script.Runner, form announcing, keys []string) (made []Receipt, err error) {
	if s.erase != nil {
		if err := s.erase(script.Through(ctx, run), keys); err != nil {
			return nil, err
		}
	}
	for part := range slices.Chunk(keys, maxKeys) {
		e := &errand{first: s.erasures(part), keys: part}
		s.post(ctx, run, form, []*errand{e})
		if e.out.err != nil {
			return made, e.out.err
		}
		made = append(made, e.out.receipt)
	}
	return made, nil
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
