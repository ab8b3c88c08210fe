package simulation

import (
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// TestBrokenCachesAreCaught breaks the caches in ways that the ledger is there to notice.
func TestBrokenCachesAreCaught(t *testing.T) {
	for _, broken := range []struct {
		name string
		want string // how one of the violations begins
		wrap func(Store) Store
	}{
		{"serves what it remembers", "I1:", func(s Store) Store { return &hoarder{Store: s, life: 2 * time.Second} }},
		{"serves its own old values", "I14:", func(s Store) Store { return &hoarder{Store: s, life: time.Second / 2} }},
		{"does not invalidate", "I1:", func(s Store) Store { return mute{s} }},
		{"leaves old values in Redis", "I5:", func(s Store) Store { return mute{s} }},
		{"writes without a fence", "I6:", func(s Store) Store { return fenceless{s} }},
		{"denies that it has written", "I8:", func(s Store) Store { return liar{s} }},
		{"loses values forever", "I9:", func(s Store) Store { return &hoarder{Store: s, life: time.Minute} }},
		{"shares no loads", "I12:", func(s Store) Store { return loner{s} }},
		{"hangs", "I12:", func(s Store) Store { return hanging{s} }},
		{"lets nothing expire", "I17:", func(s Store) Store { return immortal{s} }},
		{"fails to close", "I18:", func(s Store) Store { return unclosed{s} }},
		{"mixes keys up", "Get of", func(s Store) Store { return mixer{s} }},
		{"fails for no reason", "Peek of", func(s Store) Store { return failing{s} }},
	} {
		t.Run(broken.name, func(t *testing.T) {
			cfg := Config{Nodes: 3, Keys: 16, Seed: 1, Times: Defaults(), Wrap: broken.wrap}
			caught := func(l *Ledger) bool {
				return slices.ContainsFunc(l.Violations(), func(v string) bool { return strings.HasPrefix(v, broken.want) })
			}
			l := play(t, cfg, func(f *Fleet) {
				for round := 0; round < 200 && !caught(f.Ledger); round++ { // by chance: most take a few
					f.Run(time.Second)
				}
			})
			if !caught(l) {
				t.Errorf("no violation %q among %d", broken.want, len(l.Violations()))
			}
		})
	}
}

// hoarder serves a value again for as long as it likes.
type hoarder struct {
	Store
	life time.Duration

	mu    sync.Mutex
	kept  map[string]Value
	since map[string]time.Time
}

func (s *hoarder) Get(ctx context.Context, key string, load tiered.Loader[Value], opts ...tiered.Option) (Value, error) {
	s.mu.Lock()
	v, ok := s.kept[key]
	ok = ok && time.Since(s.since[key]) < s.life
	s.mu.Unlock()
	if ok {
		return v, nil
	}
	v, err := s.Store.Get(ctx, key, load, opts...)
	if err == nil {
		s.keep(v)
	}
	return v, err
}

func (s *hoarder) keep(v Value) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept == nil {
		s.kept, s.since = make(map[string]Value), make(map[string]time.Time)
	}
	s.kept[v.Key], s.since[v.Key] = v, time.Now()
}

// mute tells nobody of invalidations.
type mute struct{ Store }

func (mute) Invalidate(context.Context, ...string) error { return nil }

// fenceless invalidates after the write instead of fencing before it.
type fenceless struct{ Store }

func (s fenceless) Update(ctx context.Context, key string, write tiered.Writer[Value], _ ...tiered.Option) (v Value, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = &tiered.PanicError{Value: p}
		}
	}()
	if v, err = write(ctx, key); err != nil {
		return v, err
	}
	return v, s.Invalidate(context.WithoutCancel(ctx), key)
}

// liar takes a failed write for one that was never begun.
type liar struct{ Store }

func (s liar) Update(ctx context.Context, key string, write tiered.Writer[Value], opts ...tiered.Option) (Value, error) {
	v, err := s.Store.Update(ctx, key, write, opts...)
	if errors.Is(err, errInDoubt) {
		return v, tiered.ErrNotWritten
	}
	return v, err
}

// loner loads for itself.
type loner struct{ Store }

func (s loner) Get(ctx context.Context, key string, load tiered.Loader[Value], _ ...tiered.Option) (Value, error) {
	return s.Store.Get(ctx, key, load, tiered.Bypass())
}

// hanging does not heed the caller's context.
type hanging struct{ Store }

func (s hanging) Get(ctx context.Context, key string, load tiered.Loader[Value], opts ...tiered.Option) (Value, error) {
	return s.Store.Get(context.WithoutCancel(ctx), key, load, opts...)
}

// immortal stores values for an hour.
type immortal struct{ Store }

func (s immortal) Get(ctx context.Context, key string, load tiered.Loader[Value], opts ...tiered.Option) (Value, error) {
	return s.Store.Get(ctx, key, load, append(opts, tiered.WithTTL(time.Hour))...)
}

// unclosed says that Close has failed.
type unclosed struct{ Store }

func (s unclosed) Close() error { return errors.Join(s.Store.Close(), errSource) }

// mixer answers with the record of another key.
type mixer struct{ Store }

func (s mixer) Get(ctx context.Context, key string, load tiered.Loader[Value], opts ...tiered.Option) (Value, error) {
	v, err := s.Store.Get(ctx, key, load, opts...)
	if v.Key == "k03" {
		v.Key = "k04"
	}
	return v, err
}

// failing has errors of its own.
type failing struct{ Store }

func (s failing) Peek(ctx context.Context, key string, opts ...tiered.Option) (Value, error) {
	v, err := s.Store.Peek(ctx, key, opts...)
	if err == nil {
		err = errors.New("out of order")
	}
	return v, err
}
