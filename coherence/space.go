package coherence

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"

	"github.com/tiercache/tiercache/internal/mutant"
	"github.com/tiercache/tiercache/internal/script"
)

// SpaceConfig describes a space.
type SpaceConfig struct {
	// Name of the space, the same in all processes; matches [A-Za-z0-9_.-]+.
	Name string

	// Erase removes copies that processes share, such as an L2, before the keys
	// are announced; nil if there are none. It must be safe to repeat.
	Erase func(ctx context.Context, keys []string) error
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
	s := &Space{node: n, name: cfg.Name, erase: cfg.Erase, seed: maphash.MakeSeed(), mask: hashMask}
	n.spaces[cfg.Name] = s
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
	if s.node.spaces[s.name] == s {
		delete(s.node.spaces, s.name)
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
	return Stamp{hash: h, gen: s.node.gens.of(h), ok: s.node.Leased(s.node.Now())}
}

// Valid reports whether a copy loaded after the stamp was taken may be served
// now: the key was not announced since, and the node is in step. A copy loaded
// adrift stays invalid for good: what was announced meanwhile may have been
// applied before the copy was read.
func (s *Space) Valid(st Stamp) bool {
	return (st.ok || mutant.StampBlind) && s.node.Leased(s.node.Now()) && st.gen == s.node.gens.of(st.hash)
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
// an older copy for longer than its MaxStale.
//
// If Redis does not confirm it, the keys go to the journal and ErrUnconfirmed
// is returned; ErrClosed if the node was closed meanwhile, and nothing will
// announce them. A key of more than MaxKey bytes is an error and nothing is
// done. The context bounds the wait, not the work: a change that was made must
// be announced.
func (s *Space) Announce(ctx context.Context, keys ...string) error {
	for _, k := range keys {
		if len(k) > MaxKey {
			return fmt.Errorf("coherence: key %.64q... of space %q has %d bytes, more than %d", k, s.name, len(k), MaxKey)
		}
	}
	if s.node.closed.Load() {
		return ErrClosed
	}
	if len(keys) == 0 {
		return nil
	}
	err := s.node.Settle(ctx)
	if err == nil {
		err = s.announce(ctx, keys)
	}
	if errors.Is(err, errSwitched) {
		err = s.announce(ctx, keys)
	}
	if err == nil {
		return nil
	}
	if mutant.BumpFirst {
		s.bumpAll(keys)
	}
	kept := s.node.journal.add(s, keys, err) // first: who reads the new generation must not trust Redis
	s.bumpAll(keys)
	if !kept {
		return fmt.Errorf("%w: space %q: not announced: %w", ErrClosed, s.name, err)
	}
	return fmt.Errorf("%w: space %q: %w", ErrUnconfirmed, s.name, err)
}

// announce is one attempt, of which all must have reached the same Redis process:
// one that took over in between may lack what its predecessor erased.
func (s *Space) announce(ctx context.Context, keys []string) error {
	id, err := s.node.voice()
	if err != nil {
		return err
	}
	view, _ := s.node.View()
	err = s.announceBy(ctx, s.node.data, id, keys)
	if isStranger(err) {
		s.node.expel()
	}
	if err == nil && !s.node.Holds(view) && !mutant.AnnounceAcross {
		err = errSwitched
	}
	return err
}

// errSwitched: a Redis process that this node had not met answered a part of an
// announcement.
var errSwitched = errors.New("coherence: another Redis process took over during the announcement")

// announceBy erases and announces. Data first, then the bus: whoever hears of a
// change finds no older data (I7).
func (s *Space) announceBy(ctx context.Context, run *script.Runner, id string, keys []string) error {
	if s.erase != nil && !mutant.NoErase && !mutant.AnnounceFirst {
		if err := s.erase(script.Through(ctx, run), keys); err != nil {
			return err
		}
	}
	if mutant.AnnounceFirst {
		defer s.erase(ctx, keys)
	}
	for len(keys) > 0 {
		chunk := keys[:min(len(keys), maxKeys)]
		keys = keys[len(chunk):]
		call, nonce := s.node.appendCall(s.name, id, chunk)
		bounded, cancel := s.node.bounded(ctx)
		reply, err := run.Run(bounded, call.Script, call.Keys, call.Args...)
		cancel()
		if err == nil {
			_, err = s.node.appended(reply, nonce, s, chunk)
		}
		if err != nil {
			return err
		}
		s.bumpAll(chunk)
	}
	return nil
}

// Pending reports whether an invalidation of the key has failed here and is
// being retried: shared copies are not to be used for it.
func (s *Space) Pending(key string) bool { return s.node.journal.holds(s, key) && !mutant.NoPending }

// AnnounceBehind runs first and then announces key, in this order and in one
// round trip where the client allows it, and drops the copy here. It is of use
// to packages of this module only: first is a fence.
func (s *Space) AnnounceBehind(ctx context.Context, first script.Call, key string) (any, Receipt, error) {
	id, err := s.node.voice()
	if err != nil {
		return nil, Receipt{}, err
	}
	keys := []string{key}
	call, nonce := s.node.appendCall(s.name, id, keys)
	if !mutant.StaleNonce {
		// If the server had forgotten first alone, the announcement went ahead of it
		// and must be made again: under its old nonce it would pass for made.
		call.Again = func() []any {
			var again script.Call
			again, nonce = s.node.appendCall(s.name, id, keys)
			return again.Args
		}
	}
	ctx, cancel := s.node.bounded(ctx)
	defer cancel()
	if mutant.AppendFirst {
		_, _ = s.node.data.Run(ctx, call.Script, call.Keys, call.Args...)
	}
	replies, err := s.node.data.Ordered(ctx, first, call)
	if isStranger(err) {
		s.node.expel()
	}
	if err != nil {
		return nil, Receipt{}, err
	}
	receipt, err := s.node.appended(replies[1].Value, nonce, s, keys)
	s.Bump(key)
	return replies[0].Value, receipt, err
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
