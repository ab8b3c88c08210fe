package coherence

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/internal/token"
)

// fences is a space's memory of the writes under way that were announced to it.
// Redis holds the fence of each as well, but may lose it (FLUSHALL, a restart,
// eviction), and who then found nothing there would cache what is about to be
// replaced. One limit remains, see "What it rests on": a fence that is lost alone,
// and whose writer dies or hangs as well. The memory is bounded: beyond maxFences
// keys all of the space counts as fenced.
type fences struct {
	count atomic.Int64 // of keys, for a fast look
	all   atomic.Int64 // Instant up to which every key is fenced

	mu   sync.Mutex
	keys map[string][]fence
}

// fence is one write under way.
type fence struct {
	token token.Token
	until Instant
}

const maxFences = 1 << 14

// raise notes a fence of keys.
func (f *fences) raise(keys []string, x fence, now Instant) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.keys == nil {
		f.keys = make(map[string][]fence)
	}
	if len(f.keys)+len(keys) > maxFences {
		f.sweep(now)
	}
	for _, k := range keys {
		if len(f.keys) >= maxFences && f.keys[k] == nil {
			f.all.Store(max(f.all.Load(), int64(x.until)))
			break
		}
		f.keys[k] = append(f.drop(k, x.token, now), x)
	}
	f.count.Store(int64(len(f.keys)))
}

// lift ends the fence with the given token.
func (f *fences) lift(key string, t token.Token, now Instant) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.keys[key]) == 0 {
		return
	}
	if f.keys[key] = f.drop(key, t, now); len(f.keys[key]) == 0 {
		delete(f.keys, key)
	}
	f.count.Store(int64(len(f.keys)))
}

// drop returns the fences of a key that are neither over nor t's.
func (f *fences) drop(key string, t token.Token, now Instant) []fence {
	var kept []fence
	for _, x := range f.keys[key] {
		if x.token != t && x.until > now {
			kept = append(kept, x)
		}
	}
	return kept
}

func (f *fences) sweep(now Instant) {
	for k := range f.keys {
		if f.keys[k] = f.drop(k, token.Token{}, now); len(f.keys[k]) == 0 {
			delete(f.keys, k)
		}
	}
}

// stands reports whether a write of the key may be under way, other than the one with
// the given token.
func (f *fences) stands(key string, own token.Token, now Instant) bool {
	if int64(now) <= f.all.Load() {
		return true
	}
	if f.count.Load() == 0 {
		return false
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, x := range f.keys[key] {
		if x.token != own && now <= x.until {
			return true
		}
	}
	return false
}

// Barred reports whether nothing that is read now may be kept, or shared with
// reads that begin later, so that linearizable reads go to the source: a write of
// the key is under way, or one may be that this node has not heard of, because it
// has not followed the announcements for as long as a fence lives. Ask it after the
// generation was taken.
func (s *Space) Barred(key string) bool { return s.Overlapped(key, token.Token{}) }

// Overlapped is Barred for who has just written the key under the fence with the
// given token: what was written may be kept unless another write is under way.
func (s *Space) Overlapped(key string, own token.Token) bool {
	now := s.node.Now()
	return s.fences.stands(key, own, now) || now <= s.deafUntil()
}

// deafUntil is when the last fence that this space has not been told of is over.
func (s *Space) deafUntil() Instant {
	since := max(s.opened, Instant(s.node.attest.since.Load()))
	return since.Add(s.fenceLife())
}

// fenceLife is the longest life of a fence of this space, with a margin for clocks
// that differ in rate.
func (s *Space) fenceLife() time.Duration { return withMargin(time.Duration(s.life.Load())) }

// withMargin allows for the rate of another machine's clock.
func withMargin(d time.Duration) time.Duration { return d + d/50 + time.Millisecond }

// heed notes what a notice says of the space's fences.
func (s *Space) heed(c notice) {
	if c.life <= 0 || !s.acked {
		return
	}
	if int64(c.life) > s.life.Load() { // another node fences for longer
		s.life.Store(int64(c.life))
	}
	now := s.node.Now()
	s.fences.raise(c.keys, fence{c.fence, now.Add(withMargin(c.life))}, now)
}
