package tiered

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"
)

// What a server answers that is in trouble, or is not the one to ask. NOSCRIPT alone
// is no refusal: the source is sent instead.
var serverErrors = map[string]string{
	"OOM":        "OOM command not allowed when used memory > 'maxmemory'.",
	"NOREPLICAS": "NOREPLICAS Not enough good replicas to write.",
	"READONLY":   "READONLY You can't write against a read only replica.",
	"LOADING":    "LOADING Redis is loading the dataset in memory",
	"MOVED":      "MOVED 3999 127.0.0.1:6381",
	"ASK":        "ASK 3999 127.0.0.1:6381",
	"BUSY":       "BUSY Redis is busy running a script. You can only call SCRIPT KILL or SHUTDOWN NOSAVE.",
	"NOSCRIPT":   noScript,
}

const noScript = "NOSCRIPT No matching script. Please use EVAL."

// refuse makes the server answer scripts with an error until accept.
func (s *stage) refuse(text string, scripts ...string) {
	s.redis.Intercept(func(c *server.Peer, cmd string, args ...string) bool {
		if cmd != "EVALSHA" && cmd != "EVAL" {
			return false
		}
		known := slices.Contains(scripts, nameOf([]any{cmd, args[0]})) // and learns the names
		if !known || cmd == "EVAL" && text == noScript {
			return false
		}
		c.WriteError(text)
		return true
	})
}

func (s *stage) accept() { s.redis.Intercept(nil) }

// within checks that a call does not hang; time is virtual.
func (s *stage) within(limit time.Duration, what string, call func()) {
	s.Helper()
	began := time.Now()
	call()
	if took := time.Since(began); took > limit {
		s.Errorf("%s took %v, want at most %v", what, took, limit)
	}
}

// soon is what a call may take that Redis refuses.
const soon = 2 * time.Second

// An ordeal is what two nodes do while the server refuses some scripts. refused is
// false if the client gets around the error.
type ordeal struct {
	name    string
	scripts []string
	play    func(s *stage, a, b *actor, refused bool)
}

var ordeals = []ordeal{
	{"ACQUIRE", []string{"ACQUIRE"}, func(s *stage, a, b *actor, refused bool) {
		s.within(soon, "Get", func() { a.want(1, "from the source") })
		s.source.set(2)
		_ = b.cache.Invalidate(s.Context(), key)
		s.settle()
		s.within(soon, "Get", func() { a.want(2, "from the source") })
	}},
	{"WAIT", []string{"WAIT"}, func(s *stage, a, b *actor, refused bool) {
		release := make(chan struct{})
		holder := a.start(func() { <-release })
		waiter := b.start(func() {})
		if refused {
			s.within(soon, "Get", func() { waiter.want(1, "from the source, not waiting") })
		}
		close(release)
		holder.want(1, "its own load")
		if !refused {
			waiter.want(1, "the holder's load")
		}
	}},
	{"RENEW", []string{"RENEW"}, func(s *stage, a, b *actor, refused bool) {
		holder := a.start(func() { time.Sleep(2 * DefaultLeaseTTL) })
		time.Sleep(DefaultLeaseTTL * 3 / 2) // the lease has ended, if it was not renewed
		b.change(2)
		holder.want(1, "what it had read before the change")
	}},
	{"COMMIT", []string{"COMMIT"}, func(s *stage, a, b *actor, refused bool) {
		s.within(soon, "Get", func() { a.want(1, "its own load") })
		s.within(DefaultLeaseTTL+soon, "Get", func() { b.want(1, "its own load, when A's lease has ended") })
		b.change(2)
	}},
	{"REPLACE", []string{"REPLACE"}, func(s *stage, a, b *actor, refused bool) {
		a.want(1, "first load")
		time.Sleep(DefaultTTL + time.Millisecond)
		s.within(soon, "Get", func() { a.want(1, "stale while it is refreshed") })
		s.source.set(2)
		a.get() // refreshes, in vain
		b.change(3)
		s.settle()
		s.within(soon, "Get", func() { a.want(3, "an invalidated value is never served stale") })
	}},
	{"FENCE", []string{"FENCE"}, func(s *stage, a, b *actor, refused bool) { b.attempt(2, refused) }},
	{"APPEND of an Update", []string{"APPEND"}, func(s *stage, a, b *actor, refused bool) { b.attempt(2, refused) }},
	{"APPEND of an Invalidate", []string{"APPEND"}, func(s *stage, a, b *actor, refused bool) { b.invalidates(2, refused) }},
	{"UNFENCE", []string{"UNFENCE"}, func(s *stage, a, b *actor, refused bool) { b.update(2) }},
	{"CONFIRM", []string{"CONFIRM"}, func(s *stage, a, b *actor, refused bool) { b.update(2) }},
	{"INVAL", []string{"INVAL"}, func(s *stage, a, b *actor, refused bool) { b.invalidates(2, refused) }},
	{"UNFENCE and INVAL", []string{"UNFENCE", "INVAL"}, func(s *stage, a, b *actor, refused bool) {
		v, err := b.cache.Update(s.Context(), key, func(context.Context, string) (int, error) {
			s.source.set(2)
			return 2, nil
		})
		if v != 2 || errors.Is(err, ErrUnconfirmed) != refused || !refused && err != nil {
			s.Errorf("Update = %d, %v, want 2, ErrUnconfirmed if refused (%t)", v, err, refused)
		}
	}},
	{"MEET", []string{"MEET"}, func(s *stage, a, b *actor, refused bool) {
		s.redis.NewProcess()
		a.link.Reset()
		b.link.Reset()
		s.source.set(2) // past the fleet: who believes the unknown process serves 1
		if refused {
			s.outlast()
			s.within(soon, "Get", func() { a.want(2, "the process is not believed") })
			b.attempt(3, true)
		}
	}},
}

// attempt is an Update that calls its writer only if it is not refused.
func (a *actor) attempt(v int, refused bool) {
	a.Helper()
	a.within(soon, "Update", func() {
		called := false
		_, err := a.cache.Update(context.Background(), key, func(context.Context, string) (int, error) {
			called = true
			a.source.set(v)
			return v, nil
		})
		if errors.Is(err, ErrNotWritten) != refused || called == refused {
			a.Errorf("Update: %v, writer called: %t, want ErrNotWritten and not called: %t", err, called, refused)
		}
	})
}

// invalidates is an Invalidate that is confirmed only if it is not refused; the node
// itself does without Redis meanwhile.
func (a *actor) invalidates(v int, refused bool) {
	a.Helper()
	a.want(1, "before the change")
	a.source.set(v)
	a.within(soon, "Invalidate", func() {
		if err := a.cache.Invalidate(context.Background(), key); errors.Is(err, ErrUnconfirmed) != refused {
			a.Errorf("Invalidate: %v, want ErrUnconfirmed: %t", err, refused)
		}
	})
	a.within(soon, "Get", func() { a.want(v, "own invalidation") })
}

// Fault 20. Every script of both packages is refused with every error. A read returns
// what the source has; a write is not made, or made and announced; no call hangs; a
// write's own node sees it at once. When the server accepts the script again, and what
// was left behind has expired, everybody agrees with the source and caches again.
func TestGatedScriptErrors(t *testing.T) {
	for _, o := range ordeals {
		t.Run(o.name, func(t *testing.T) {
			for name, text := range serverErrors {
				t.Run(name, func(t *testing.T) { gated(t, func(s *stage) { s.endure(o, text) }) })
			}
		})
	}
}

func (s *stage) endure(o ordeal, text string) {
	s.refuse(text) // nothing yet
	a, b := s.join(stale), s.join(stale)
	if o.name != "ACQUIRE" && o.name != "WAIT" && o.name != "RENEW" && o.name != "COMMIT" {
		a.want(1, "first load")
	}
	s.refuse(text, o.scripts...)
	o.play(s, a, b, text != noScript)
	if wrote := s.source.get(key); wrote == 2 && o.name != "MEET" {
		b.want(2, "own write")
	}
	s.accept()
	time.Sleep(DefaultFenceTTL)
	s.outlast()
	for _, node := range []*actor{a, b, s.join(stale)} {
		node.want(s.source.get(key), "all is well again")
		if !node.holds() {
			s.Error("the key is not cached any more")
		}
	}
}

func stale(cfg *Config[int]) { cfg.StaleTTL = time.Hour }
