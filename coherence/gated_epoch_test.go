package coherence

import (
	"errors"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"
)

// I11. A new epoch is about to be adopted: until it has been, local copies are not
// voided, or a load could take the new generation and a value of the old epoch.
func TestGatedI11AdoptBeforeFlush(t *testing.T) {
	n, s := lone(t)
	gen := s.Generation(s.Hash("key"))
	n.history.mu.Lock()
	while(t, func() { n.void(report{at: position{1, "aa"}, epoch: 2}, Event{}) },
		func() bool { return s.Generation(s.Hash("key")) == gen }, n.history.mu.Unlock)
	if s.Generation(s.Hash("key")) == gen {
		t.Error("nothing was voided")
	}
}

// I11. Somebody has raised the epoch of L2: A voids its copies at the next probe.
func TestGatedI11NewEpochVoidsCopies(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.pair()
		epoch, _ := strconv.Atoi(w.redis.HGet(busKey, "e"))
		w.redis.HSet(busKey, "e", strconv.Itoa(epoch+1))
		pass(2 * p.a.cfg.Probe)
		wantValid(w, p.as, p.copy, false)
		wantState(w, p.a.Node, InStep)
	})
}

// I11. Redis has gone back to an epoch below the one A has seen: A raises it above.
func TestGatedI11EpochNeverFalls(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.pair()
		seen := p.a.history.epoch.Load()
		w.redis.HSet(busKey, "e", strconv.FormatUint(seen-1, 10))
		pass(2 * p.a.cfg.Probe)
		epoch, _ := strconv.ParseUint(w.redis.HGet(busKey, "e"), 10, 64)
		if known := p.a.history.epoch.Load(); epoch <= seen || known != epoch {
			w.Errorf("the epoch was %d, is %d in Redis and %d at A", seen, epoch, known)
		}
		wantValid(w, p.as, p.copy, false)
	})
}

// I11. A new connection of A meets a process that cannot tell who it is for now
// (BUSY): the connection is refused, and the process is met when it can.
func TestGatedI11BusyProcessIsNotBelieved(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.pair()
		var busy atomic.Bool
		w.redis.Intercept(func(c *server.Peer, cmd string, _ ...string) bool {
			if cmd == "INFO" && busy.Load() {
				c.WriteError("BUSY Redis is busy running a script")
				return true
			}
			return false
		})
		busy.Store(true)
		if err := w.redis.Restart(); err != nil {
			w.Fatal(err)
		}
		met := p.a.monitor.met.Load()
		if err := p.a.rdb.Get(w.Context(), "any").Err(); err == nil || errors.Is(err, redis.Nil) {
			w.Error("a connection to an unknown process was used")
		}
		busy.Store(false)
		pass(p.a.cfg.MaxStale)
		wantState(w, p.a.Node, InStep)
		if p.a.monitor.met.Load() == met {
			w.Error("the new process was not met")
		}
		wantValid(w, p.as, p.copy, false)
	})
}

// A connection that leads to a replica is refused: its data lag behind.
func TestGatedReplicaIsRefused(t *testing.T) {
	inBubble(t, func(w *world) {
		p := w.pair()
		runID, replID, _ := w.redis.Identity()
		w.redis.SetIdentity(runID, replID, "slave")
		p.a.link.Reset()
		pass(2 * p.a.cfg.MaxStale)
		wantState(w, p.a.Node, Adrift)
		wantIs(w, p.a.rdb.Ping(w.Context()).Err(), ErrReplica)
	})
}
