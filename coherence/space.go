package coherence

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/mutant"
	"github.com/tiercache/tiercache/internal/script"
	"github.com/tiercache/tiercache/internal/token"
)

// SpaceConfig describes a space.
type SpaceConfig struct {
	// Name of the space, the same in all processes; matches [A-Za-z0-9_.-]+.
	Name string

	// Erase removes copies that processes share, such as an L2, before the keys
	// are announced; nil if there are none. It must be safe to repeat.
	Erase func(ctx context.Context, keys []string) error

	// Acked makes announcements wait until every node has confirmed them, and
	// copies valid only while writers wait for this node: after Announce has returned
	// nil nobody serves an older copy, not for a moment. See "Acknowledged
	// announcements" in the package documentation for what it costs. All processes
	// must agree on it.
	Acked bool

	// Fence is how long a write that is fenced may last: the longest time after the
	// start of a node, or after a loss of history, for which reads of an acked space go
	// to the source. At least three times MaxStale, which is the default; all processes
	// must agree on it.
	Fence time.Duration
}

// A Space is a named set of keys of which this process keeps copies: a map, a
// parsed template, a compiled rule. Take a Stamp before you load a copy, serve
// the copy only while its stamp is Valid, and Announce every change after it
// was made. Its methods are safe for concurrent use.
type Space struct {
	node  *Node
	name  string
	erase func(context.Context, []string) error
	seed  maphash.Seed
	mask  uint64 // all ones; tests narrow it to make hashes collide

	acked  bool
	opened Instant
	life   atomic.Int64 // the longest life of a fence, ns
	fences fences
}

// hashMask is what every new space hashes with.
var hashMask = ^uint64(0)

// Space opens a space. One process opens a name once at a time.
func (n *Node) Space(cfg SpaceConfig) (*Space, error) {
	if !named.MatchString(cfg.Name) {
		return nil, fmt.Errorf("coherence.SpaceConfig.Name: %q does not match %s", cfg.Name, named)
	}
	n.spacesMu.Lock()
	defer n.spacesMu.Unlock()
	if n.closed.Load() {
		return nil, ErrClosed
	}
	if n.spaces[cfg.Name] != nil {
		return nil, fmt.Errorf("coherence.SpaceConfig.Name: %q is open already", cfg.Name)
	}
	if cfg.Fence == 0 {
		cfg.Fence = 3 * n.cfg.MaxStale
	}
	if cfg.Acked && (cfg.Fence < 3*n.cfg.MaxStale || cfg.Fence > maxFence) {
		return nil, fmt.Errorf("coherence.SpaceConfig.Fence: %v is not between three times MaxStale (%v) and %v", cfg.Fence, 3*n.cfg.MaxStale, maxFence)
	}
	s := &Space{node: n, name: cfg.Name, erase: cfg.Erase, seed: maphash.MakeSeed(), mask: hashMask, acked: cfg.Acked, opened: n.Now()}
	s.life.Store(int64(cfg.Fence))
	n.spaces[cfg.Name] = s
	if cfg.Acked {
		n.attest.spaces.Add(1)
		n.wake()
	}
	return s, nil
}

func (n *Node) space(name string) *Space {
	n.spacesMu.Lock()
	defer n.spacesMu.Unlock()
	return n.spaces[name]
}

// Close gives the name free. Stamps of the space must not be asked any more.
func (s *Space) Close() {
	s.node.spacesMu.Lock()
	defer s.node.spacesMu.Unlock()
	if s.node.spaces[s.name] != s {
		return
	}
	delete(s.node.spaces, s.name)
	if s.acked {
		s.node.attest.spaces.Add(-1)
	}
}

// Name returns the space's name.
func (s *Space) Name() string { return s.name }

// A Stamp tells whether a copy may still be served. The zero Stamp is never
// valid.
type Stamp struct {
	hash uint64
	gen  uint64
	ok   bool
}

// Stamp is to be taken before the first read of what will become the copy.
func (s *Space) Stamp(key string) Stamp {
	h := s.Hash(key)
	return Stamp{hash: h, gen: s.node.gens.of(h), ok: s.inStep()}
}

// Valid reports whether a copy loaded after the stamp was taken may be served
// now: the key was not announced since, and the node is in step. A copy loaded
// adrift stays invalid for good: what was announced meanwhile may have been
// applied before the copy was read.
func (s *Space) Valid(st Stamp) bool {
	return (st.ok || mutant.StampBlind) && s.inStep() && st.gen == s.node.gens.of(st.hash)
}

// inStep reports whether copies may be served now.
func (s *Space) inStep() bool {
	if s.acked {
		return s.node.Assured(s.node.Now())
	}
	return s.node.Leased(s.node.Now())
}

// Hash is the key's place in this process; it means nothing in another one.
func (s *Space) Hash(key string) uint64 { return maphash.String(s.seed, key) & s.mask }

// Generation counts the invalidations of a hash. A copy is valid while it is
// what it was before the copy's first read. See Stamp for the simple form.
func (s *Space) Generation(hash uint64) uint64 { return s.node.gens.of(hash) }

// Bump voids this process's copies of a key and nobody else's.
func (s *Space) Bump(key string) { s.node.gens.bump(s.Hash(key)) }

func (s *Space) bumpAll(keys []string) {
	for _, k := range keys {
		s.Bump(k)
	}
}

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
// be announced. If it ends while nodes have still to confirm, ErrUnheard is
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
	err := s.settle(ctx, confirm)
	var made []Receipt
	if err == nil {
		made, err = s.announce(ctx, keys, confirm)
	}
	if errors.Is(err, errSwitched) {
		if err = s.settle(ctx, confirm); err == nil {
			made, err = s.announce(ctx, keys, confirm)
		}
	}
	if err == nil {
		return made[len(made)-1], s.heard(ctx, made)
	}
	if mutant.BumpFirst {
		s.bumpAll(keys)
	}
	kept := s.node.journal.add(s, keys, err) // first: who reads the new generation must not trust Redis
	s.bumpAll(keys)
	if !kept {
		return Receipt{}, fmt.Errorf("%w: space %q: not announced: %w", ErrClosed, s.name, err)
	}
	return Receipt{}, fmt.Errorf("%w: space %q: %w", ErrUnconfirmed, s.name, err)
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
	id, err := s.node.voice()
	if err != nil {
		return nil, err
	}
	view, _ := s.node.View()
	made, err = s.announceBy(ctx, s.node.data, announcing{space: s, id: id, confirm: confirm, epoch: view.Epoch}, keys)
	if isStranger(err) {
		s.node.expel()
	}
	if isUnlisted(err) {
		s.node.doubt()
		err = errSwitched
	}
	if err == nil && !s.node.Holds(view) && !mutant.AnnounceAcross {
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

// announceBy erases and announces. Data first, then the bus: whoever hears of a
// change finds no older data (I7).
func (s *Space) announceBy(ctx context.Context, run *script.Runner, form announcing, keys []string) (made []Receipt, err error) {
	if s.erase != nil && !mutant.NoErase && !mutant.AnnounceFirst {
		if err := s.erase(script.Through(ctx, run), keys); err != nil {
			return nil, err
		}
	}
	if mutant.AnnounceFirst {
		defer s.erase(ctx, keys)
	}
	for len(keys) > 0 {
		a := form
		a.notice = notice{space: s.name, keys: keys[:min(len(keys), maxKeys)]}
		keys = keys[len(a.notice.keys):]
		s.node.prepare(&a)
		bounded, cancel := s.node.bounded(ctx)
		reply, err := run.Run(bounded, a.call.Script, a.call.Keys, a.call.Args...)
		cancel()
		var r Receipt
		if err == nil {
			r, err = s.node.appended(reply, &a)
		}
		if err != nil {
			a.end()
			return made, err
		}
		made = append(made, r)
		s.bumpAll(a.notice.keys)
	}
	return made, nil
}

// Pending reports whether an invalidation of the key has failed here and is
// being retried: shared copies are not to be used for it.
func (s *Space) Pending(key string) bool { return s.node.journal.holds(s, key) && !mutant.NoPending }

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
	id, err := s.node.voice()
	if err != nil {
		return nil, Receipt{}, err
	}
	view, _ := s.node.View()
	a := announcing{space: s, id: id, confirm: fence.Confirm, epoch: view.Epoch, notice: notice{space: s.name, keys: []string{key}}}
	if fence.Confirm {
		a.notice.fence, a.notice.life = fence.Token, fence.Life
	}
	s.node.prepare(&a)
	call := a.call
	if !mutant.StaleNonce {
		// If the server had forgotten first alone, the announcement went ahead of it
		// and must be made again: under its old nonce it would pass for made.
		call.Again = func() []any {
			s.node.prepare(&a)
			return a.call.Args
		}
	}
	ctx, cancel := s.node.bounded(ctx)
	defer cancel()
	if mutant.AppendFirst {
		_, _ = s.node.data.Run(ctx, call.Script, call.Keys, call.Args...)
	}
	s.heed(a.notice)
	replies, err := s.node.data.Ordered(ctx, first, call)
	if isStranger(err) {
		s.node.expel()
	}
	if isUnlisted(err) {
		s.node.doubt()
	}
	var receipt Receipt
	if err == nil {
		receipt, err = s.node.appended(replies[1].Value, &a)
	}
	if err != nil {
		a.end()
		return nil, Receipt{}, err
	}
	s.Bump(key)
	return replies[0].Value, receipt, nil
}

// isUnlisted reports whether an announcement that was to be confirmed was refused
// because the registry is another one than this node knows.
func isUnlisted(err error) bool { return redis.HasErrorPrefix(err, "UNLISTED") }

// Lift ends a fence that was announced: here at once, and on the other nodes when
// they hear of it. If they do not, it lasts for its life there, which costs loads of
// the source.
func (s *Space) Lift(ctx context.Context, key string, t token.Token) {
	s.fences.lift(key, t, s.node.Now())
	ctx, cancel := s.node.bounded(ctx)
	defer cancel()
	s.node.clients.data.Publish(ctx, s.node.keys.channel, liftPrefix+s.name+"|"+t.Hex()+"|"+key)
}

// Confirm is the call that answers 1 while the announcement stands in the ring.
func (s *Space) Confirm(r Receipt) script.Call {
	return script.Call{Script: confirmScript, Keys: []string{s.node.keys.bus}, Args: []any{r.slot, r.nonce}}
}

// Await registers for wake-ups of key; Cancel it.
func (s *Space) Await(key string) *Waiter { return s.node.inbox.await(s.WakePayload(key)) }

// WakePayload is what wakes those who await key, published to the inboxes of
// their nodes.
func (s *Space) WakePayload(key string) string { return s.name + ":" + key }

// InboxPrefix is the channel of a node's inbox without the node's name.
func (s *Space) InboxPrefix() string { return s.node.keys.inboxes }
