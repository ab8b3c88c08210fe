package coherence

import (
	"context"
	"errors"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
)

// I14. An announcement has failed and is about to be retried. The journal holds the
// key before the generation moves: who loads with the new generation must know that
// Redis is not to be trusted.
func TestGatedI14JournalBeforeBump(t *testing.T) {
	inBubble(t, func(w *world) {
		var s *Space
		var copy Stamp
		told := false
		a := w.join(func(c *Config) {
			c.OnEvent = func(e Event) {
				if e.Kind == EventJournal && !told {
					told = true
					if !s.Pending("key") || s.Generation(copy.hash) != copy.gen {
						w.Errorf("pending %t, generation moved %t", s.Pending("key"), s.Generation(copy.hash) != copy.gen)
					}
				}
			}
		})
		var err error
		failed := false
		s, err = a.Space(SpaceConfig{Name: "s", Erase: func(context.Context, []string) error {
			if failed {
				return nil
			}
			failed = true
			return errors.New("no")
		}})
		if err != nil {
			w.Fatal(err)
		}
		copy = s.Stamp("key")
		wantIs(w, s.Announce(w.Context(), "key"), ErrUnconfirmed)
		wantValid(w, s, copy, false)
		if !told {
			w.Error("no event")
		}
	})
}

// B cannot announce more keys than its journal holds. When Redis answers again, the
// copies of all of them are void.
func TestGatedOverflowVoidsEverything(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.pair(func(c *Config) { c.JournalSize = 2 })
		keys := []string{"k1", "k2", "k3", "k4", "k5"}
		var stamps []Stamp
		for _, k := range keys {
			stamps = append(stamps, p.as.Stamp(k))
		}
		p.b.link.Cut()
		for _, k := range keys {
			wantIs(w, p.bs.Announce(w.Context(), k), ErrUnconfirmed)
		}
		p.b.link.Heal()
		pass(2 * p.b.cfg.MaxStale)
		for _, st := range stamps {
			wantValid(w, p.as, st, false)
		}
		if n := p.b.Stats().Journal; n != 0 {
			w.Errorf("the journal holds %d keys", n)
		}
	})
}

// Fault 17. All keys of a space have one hash, and so one stripe: an announcement
// voids too much, never too little.
func TestGatedHashesCollide(t *testing.T) {
	before := hashMask
	hashMask = 0
	defer func() { hashMask = before }()
	inBubble(t, func(w *world) {
		p := w.pair()
		w.announce(p.bs, "other")
		pass(0)
		wantValid(w, p.as, p.copy, false)
		st := p.as.Stamp("key")
		wantValid(w, p.as, st, true)
		w.announce(p.bs, "key")
		pass(0)
		wantValid(w, p.as, st, false)
	})
}

// I7. The fleet follows a new master, but B's pool still leads to the old one, which
// lives and answers with the epoch that the fleet has left. What is announced there
// reaches nobody: it does not count as made, and B's journal sees to it.
func TestGatedI7AnswerOfAnOlderEpoch(t *testing.T) {
	inBubble(t, func(w *world) {
		old := redistest.RunPipe(w.T)
		w.must(old.Restore(w.redis.Snapshot()))
		p := w.pair()
		w.must(old.Restore(w.redis.Snapshot()))
		epoch := p.b.history.epoch.Load()
		w.redis.HSet(busKey, "e", strconv.FormatUint(epoch+1, 10)) // as MEET does for the new master
		pass(2 * DefaultProbe)
		copy := p.as.Stamp("key")
		wantValid(w, p.as, copy, true)

		rdb := redis.NewClient(old.Link().Options().Simple())
		defer rdb.Close()
		var pool redistest.Detour
		p.b.rdb.AddHook(&pool)
		pool.To(rdb)
		wantIs(w, p.bs.Announce(w.Context(), "key"), ErrUnconfirmed)
		if !p.bs.Pending("key") {
			w.Error("the journal does not hold the key")
		}
		pool.To(nil) // the connections are made anew
		pass(DefaultMaxStale)
		wantValid(w, p.as, copy, false)
		if got := p.b.Stats(); got.Journal != 0 {
			w.Errorf("the journal holds %d keys", got.Journal)
		}
	})
}

// I7. The server loses its epoch just before it takes the announcement, which is made
// once more and counts then.
func TestGatedI7AnnouncedOnceMore(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.pair()
		epoch := p.b.history.epoch.Load()
		lower := func() { w.redis.HSet(busKey, "e", strconv.FormatUint(epoch-1, 10)) }
		w.rules.running.Store(&lower)
		if err := p.bs.Announce(w.Context(), "key"); err != nil && !errors.Is(err, ErrUnconfirmed) {
			w.Error(err)
		}
		pass(DefaultMaxStale)
		if got := p.b.Stats(); got.Announced == 0 || got.Journal != 0 {
			w.Errorf("%d announced in an epoch that holds, the journal holds %d keys", got.Announced, got.Journal)
		}
		wantValid(w, p.as, p.copy, false)
	})
}
