package simulation

import (
	"context"
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

var htmlFlag = flag.String("sim.html", "", "directory for drawings of histories that are not linearizable")

// Every scenario, with reads that have to be linearizable.
func TestStrongScenarios(t *testing.T) {
	for _, s := range Scenarios {
		t.Run(s.Name, func(t *testing.T) {
			cfg := Config{Nodes: 3, Keys: 16, Seed: max(*seedFlag, 1), Times: Strong()}
			inBubble(t, cfg, func(f *Fleet) { f.Play(s); f.Ledger.Linearizable(*htmlFlag) }, func(l *Ledger) {
				happened(t, l, "operations", "local hits", "written through")
			})
		})
	}
}

// A fleet that is broken at random.
func TestStrongSimulation(t *testing.T) {
	for _, seed := range seeds(11, 12, 13) {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			length := 10 * time.Minute / shorter
			if *hoursFlag > 0 {
				length = time.Duration(*hoursFlag * float64(time.Hour))
			}
			cfg := Config{Nodes: *nodesFlag, Keys: 6, Seed: seed, Times: Strong()}
			inBubble(t, cfg, func(f *Fleet) { f.RunStrong(length, *htmlFlag) }, func(l *Ledger) { t.Log(summary(l)) })
		})
	}
}

// TestBrokenStrongCacheIsCaught by the histories alone.
func TestBrokenStrongCacheIsCaught(t *testing.T) {
	for name, wrap := range map[string]func(Store) Store{
		"keeps values for a moment":     func(s Store) Store { return &hoarder{Store: s, life: 50 * time.Millisecond} },
		"returns before it has written": func(s Store) Store { return hasty{s} },
	} {
		t.Run(name, func(t *testing.T) {
			cfg := Config{Nodes: 3, Keys: 4, Seed: 1, Times: Strong(), Wrap: wrap}
			dir := t.TempDir()
			l := play(t, cfg, func(f *Fleet) {
				for range 10 {
					f.RunStrong(time.Second, dir)
				}
			})
			caught := func(v string) bool {
				return strings.HasPrefix(v, "I15:") && strings.Contains(v, ".html") && !strings.Contains(v, "cannot be drawn")
			}
			if !slices.ContainsFunc(l.Violations(), caught) {
				t.Errorf("not caught among %d violations", len(l.Violations()))
			}
		})
	}
}

// hasty writes past the cache, and invalidates afterwards.
type hasty struct{ Store }

func (s hasty) Update(ctx context.Context, key string, write tiered.Writer[Value], opts ...tiered.Option) (Value, error) {
	return fenceless(s).Update(ctx, key, write, opts...)
}
