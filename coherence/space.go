package coherence

import (
	"context"
	"fmt"
	"hash/maphash"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/internal/gather"
	"github.com/tiercache/tiercache/internal/script"
)

// SpaceConfig describes a space.
type SpaceConfig struct {
	// Name of the space, the same in all processes; matches [A-Za-z0-9_.-]+ and has
	// at most 128 bytes.
	Name string

	// Erase removes copies that processes share, such as an L2, before the keys
	// are announced; nil if there are none. It must be safe to repeat. Announcements
	// of a space that has it do not share entries: its error would be everybody's.
	Erase func(ctx context.Context, keys []string) error

	// Erasing returns the scripts that do so, to be run in the same round trip as the
	// announcement. It is of use to packages of this module only.
	Erasing func(keys []string) []script.Call

	// Acked makes announcements wait until every node has confirmed them, and
	// copies valid only while writers wait for this node: after Announce has returned
	// nil nobody serves an older copy, not for a moment. See "Acknowledged
	// announcements" in the package documentation for what it costs. All processes
	// must agree on it. It needs a Config.Monitor that can read INFO, and no
	// Config.Proxied: what another Redis process answers must be known for that.
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
	node    *Node
	name    string
	erase   func(context.Context, []string) error
	erasing func([]string) []script.Call
	seed    maphash.Seed
	mask    uint64 // all ones; tests narrow it to make hashes collide
	errands *gather.Gatherer[errand]

	acked  bool
	opened Instant
	life   atomic.Int64 // the longest life of a fence, ns
	fences fences
}

// maxName bounds what the name of a space takes of an entry.
const maxName = 128

// hashMask is what every new space hashes with.
var hashMask = ^uint64(0)

// Space opens a space. One process opens a name once at a time.
func (n *Node) Space(cfg SpaceConfig) (*Space, error) {
	if !named.MatchString(cfg.Name) {
		return nil, fmt.Errorf("coherence.SpaceConfig.Name: %q does not match %s", cfg.Name, named)
	}
	if len(cfg.Name) > maxName {
		return nil, fmt.Errorf("coherence.SpaceConfig.Name: %.32q... has %d bytes, more than %d", cfg.Name, len(cfg.Name), maxName)
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
	if cfg.Acked {
		if err := n.unseen(); err != nil {
			return nil, err
		}
	}
	s := &Space{node: n, name: cfg.Name, erase: cfg.Erase, erasing: cfg.Erasing, seed: maphash.MakeSeed(), mask: hashMask, acked: cfg.Acked, opened: n.Now()}
	s.life.Store(int64(cfg.Fence))
	s.gatherErrands()
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

// Close waits for the announcements that are under way and gives the name free. The space
// and its stamps must not be used any more.
func (s *Space) Close() {
	s.errands.Close()
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
	return st.ok && s.inStep() && st.gen == s.node.gens.of(st.hash)
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

// Pending reports whether an invalidation of the key has failed here and is
// being retried: shared copies are not to be used for it.
func (s *Space) Pending(key string) bool { return s.node.journal.holds(s, key) }

// Await registers for wake-ups of key; Cancel it.
func (s *Space) Await(key string) *Waiter { return s.node.inbox.await(s.WakePayload(key)) }

// WakePayload is what wakes those who await key, published to the inboxes of
// their nodes.
func (s *Space) WakePayload(key string) string { return s.name + ":" + key }

// InboxPrefix is the channel of a node's inbox without the node's name.
func (s *Space) InboxPrefix() string { return s.node.keys.inboxes }
