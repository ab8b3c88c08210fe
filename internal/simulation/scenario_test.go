package simulation

import (
	"context"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

func TestScenarios(t *testing.T) {
	for _, s := range Scenarios {
		t.Run(s.Name, func(t *testing.T) {
			cfg := Config{Nodes: 3, Keys: 16, Seed: max(*seedFlag, 1), Times: Defaults()}
			inBubble(t, cfg, func(f *Fleet) { f.Play(s) }, func(l *Ledger) { happened(t, l, s.Want...) })
		})
	}
}

// A machine that is busy enough can keep a scenario from unfolding: then it is played again.
func TestScenariosOnRealRedis(t *testing.T) {
	redistest.Need(t, t.Name())
	for _, s := range Scenarios {
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			missing := s.Want
			for try := 0; try == 0 || try < 4 && len(missing) > 0; try++ {
				onRealRedis(t, func(f *Fleet) { f.Play(s) }, func(l *Ledger) { missing = absent(l, s.Want) })
			}
			if len(missing) > 0 {
				t.Errorf("no %q in any run", missing)
			}
		})
	}
}

func TestRandomOnRealRedis(t *testing.T) {
	onRealRedis(t, func(f *Fleet) { f.Run(10 * time.Second) }, func(l *Ledger) {
		t.Log(summary(l))
		happened(t, l, "reads", "updates", "invalidations", "agreements", "local hits", "remote hits")
	})
}

// A server with an append-only file comes back with all its data: after an orderly
// pause, and after a kill in the middle of everything, for which the scenario of an old
// snapshot stands, because such a server does not load one.
func TestAppendOnlyOnRealRedis(t *testing.T) {
	for _, s := range Scenarios {
		if s.Name != "redis killed and restarted on its data" && s.Name != "redis killed and restarted on an old snapshot" {
			continue
		}
		t.Run(s.Name, func(t *testing.T) {
			t.Parallel()
			onRealRedis(t, func(f *Fleet) { f.Play(s) }, func(l *Ledger) { happened(t, l, s.Want...) }, "--appendonly", "yes")
		})
	}
}

// onRealRedis runs a fleet on a redis-server of its own and fails the test for whatever the ledger has
// found.
func onRealRedis(t *testing.T, run func(*Fleet), then func(*Ledger), args ...string) {
	t.Helper()
	server := redistest.RunServer(t, args...)
	rig := NewReal(server)
	f, err := New(context.Background(), rig, Config{Nodes: 3, Keys: 16, Seed: max(*seedFlag, 1), Times: Hasty()})
	if err != nil {
		t.Fatal(err)
	}
	run(f)
	if err := f.Close(); err != nil {
		t.Error(err)
	}
	if err := rig.Close(); err != nil {
		t.Error(err)
	}
	then(f.Ledger)
	for _, v := range f.Ledger.Violations() {
		t.Error(v)
	}
}

// happened fails the test if something did not happen that the run is there for.
func happened(t *testing.T, l *Ledger, what ...string) {
	t.Helper()
	if missing := absent(l, what); len(missing) > 0 {
		t.Errorf("no %q in this run", missing)
	}
}

// absent returns what did not happen.
func absent(l *Ledger, what []string) (missing []string) {
	tally := l.Tally()
	for _, w := range what {
		if tally[w] == 0 {
			missing = append(missing, w)
		}
	}
	return missing
}
