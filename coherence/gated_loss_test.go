package coherence

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"
)

// The bus is lost, and an announcement makes it anew before anybody probes: its epoch
// is a higher one, which every node takes over. Somebody tells that all of L2 is void.
func TestGatedBusLostAndMadeAnew(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.pair()
		w.announce(p.bs, "other")
		pass(p.a.cfg.Probe)
		w.redis.Del(busKey)
		w.announce(p.bs, "other")
		pass(2 * p.a.cfg.Probe)
		wantValid(w, p.as, p.copy, false)
		p.wantFork(w)
		wantState(w, p.a.Node, InStep)
	})
}

// One key of an announcement cannot be erased for now, because its shard is dead. The
// other ones are announced all the same.
func TestGatedDeadShardHoldsUpNobodyElse(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.pair()
		p.bs.Close()
		dead := atomic.Bool{}
		dead.Store(true)
		s, err := p.b.Space(SpaceConfig{Name: "s", Erase: func(_ context.Context, keys []string) error {
			if dead.Load() && slices.Contains(keys, "of the dead shard") {
				return errors.New("connection refused")
			}
			return nil
		}})
		if err != nil {
			w.Fatal(err)
		}
		wantIs(w, s.Announce(w.Context(), "of the dead shard", "key", "third"), ErrUnconfirmed)
		pass(time.Minute)
		wantValid(w, p.as, p.copy, false)
		if held := p.b.Stats().Journal; held != 1 {
			w.Errorf("the journal holds %d keys, want the one of the dead shard", held)
		}
		dead.Store(false)
		pass(time.Second)
		p.b.log.want(w, EventSettled, 1)
	})
}
