package coherence

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
)

// twoServers is a node whose connections are dialled to one of two servers, in turn as its
// pool keeps them: the first holds "old", the second "new".
type twoServers struct {
	*member
	*world
	second *redistest.Embedded
	moved  atomic.Bool // the name leads to the second
}

func (w *world) twoServers(with ...func(*Config)) *twoServers {
	s := &twoServers{world: w, second: redistest.RunPipe(w.T)}
	w.must(w.redis.Set("k", "old"))
	w.must(s.second.Set("k", "new"))
	first, second := w.redis.Link().Dialer(), s.second.Link().Dialer()
	opts := w.redis.Link().Options()
	opts.MaxRetries, opts.PoolFIFO, opts.MinIdleConns = 1, true, 4
	opts.Dialer = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if s.moved.Load() {
			return second(ctx, network, addr)
		}
		return first(ctx, network, addr)
	}
	s.member = &member{log: &eventLog{}}
	cfg := Config{Fleet: "f", OnEvent: s.log.add, Monitor: Instrument(opts)}
	for _, f := range with {
		f(&cfg)
	}
	s.rdb = redis.NewUniversalClient(opts)
	w.Cleanup(func() { _ = s.rdb.Close() })
	var err error
	s.Node, err = Join(w.Context(), s.rdb, cfg)
	w.must(err)
	w.Cleanup(func() { _ = s.Close() })
	w.must(s.Ready(w.Context()))
	s.reads("old")
	return s
}

// reads wants every connection of the pool to lead to the server with this value.
func (s *twoServers) reads(want string) {
	s.Helper()
	for range 8 {
		if got, err := s.rdb.Get(s.world.Context(), "k").Result(); err != nil || got != want {
			s.Fatalf("GET = %q, %v, want %q: the connection leads to the other server", got, err, want)
		}
	}
}

// I11. The master was demoted without an end of its connections, and the name has moved. One
// new connection meets its successor: those from before are closed before it is entered.
func TestGatedI11ConnectionsFromBeforeAreClosed(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.twoServers()
		s.moved.Store(true)
		conn := s.rdb.(*redis.Client).Options()
		other, err := conn.Dialer(w.Context(), conn.Network, conn.Addr) // leads to the successor, as any new one does
		w.must(err)
		defer other.Close()
		fresh := redis.NewClient(&redis.Options{Addr: conn.Addr, OnConnect: conn.OnConnect, MaxRetries: -1,
			Dialer: func(context.Context, string, string) (net.Conn, error) { return other, nil }})
		defer fresh.Close()
		w.must(fresh.Ping(w.Context()).Err())
		if _, ok := s.View(); ok && s.monitor.met.Load() < 2 {
			w.Fatal("the successor was not met")
		}
		s.reads("new")
		pass(2 * DefaultProbe)
		wantState(w, s.Node, InStep)
	})
}

// I11. The same, noticed by the probe: it is answered by a server that is no master any more.
func TestGatedI11DemotedServerIsLeft(t *testing.T) {
	for name, with := range map[string]func(*Config){
		"by ROLE": func(*Config) {}, "by INFO": func(c *Config) { c.Proxied = true },
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				s := w.twoServers(with)
				runID, replID, _ := w.redis.Identity()
				w.redis.SetIdentity(runID, replID, "slave")
				s.moved.Store(true)
				pass(3 * DefaultProbe)
				s.reads("new")
				pass(2 * DefaultProbe)
				wantState(w, s.Node, InStep)
			})
		})
	}
}

// I11. A connection was begun before the successor of the server that it leads to was met.
func TestGatedI11LateConnectionToThePredecessor(t *testing.T) {
	inBubble(t, func(w *world) {
		s := w.twoServers()
		conn := s.rdb.(*redis.Client).Options()
		late, err := conn.Dialer(w.Context(), conn.Network, conn.Addr)
		w.must(err)
		defer late.Close()
		s.moved.Store(true)
		s.monitor.conns.mu.Lock()
		delete(s.monitor.conns.open, late.(*connection)) // as if it were dialled still
		s.monitor.conns.mu.Unlock()
		s.monitor.conns.end(nil)
		s.reads("new")
		s.monitor.conns.mu.Lock()
		s.monitor.conns.open[late.(*connection)] = true
		s.monitor.conns.mu.Unlock()
		fresh := redis.NewClient(&redis.Options{Addr: conn.Addr, OnConnect: conn.OnConnect, MaxRetries: -1,
			Dialer: func(context.Context, string, string) (net.Conn, error) { return late, nil }})
		defer fresh.Close()
		wantIs(w, fresh.Ping(w.Context()).Err(), errOld)
	})
}

// INFO is refused for a while, as by an ACL that is being edited. That is told, ends by
// itself though no connection is made anew, is told again, and counts as a possible loss.
func TestGatedI16BlindnessEnds(t *testing.T) {
	inBubble(t, func(w *world) {
		var refuse atomic.Bool
		w.redis.Intercept(func(c *server.Peer, cmd string, _ ...string) bool {
			if cmd == "INFO" && refuse.Load() {
				c.WriteError("NOPERM this user has no permissions to run the 'info' command")
				return true
			}
			return false
		})
		m := w.join()
		s := m.openAcked(w)
		pass(fenceLife + DefaultMaxStale)
		w.acked(s, "key")
		refuse.Store(true)
		m.link.Reset()
		pass(DefaultMaxStale + DefaultProbe)
		if m.Assured(m.Now()) || m.monitor.blindness() == nil {
			w.Error("a node that cannot see who answers is assured")
		}
		if told := m.log.want(w, EventConfig, 1); len(told) == 1 && !strings.Contains(told[0].Note, "+info") {
			w.Errorf("%v does not name the permission", told[0])
		}
		refuse.Store(false)
		pass(DefaultMaxStale + 4*DefaultProbe)
		if err := m.monitor.blindness(); err != nil {
			w.Errorf("blind for good: %v", err)
		}
		m.log.want(w, EventConfig, 2)
		if s.graceLeft() <= 0 {
			w.Error("the time without sight does not count as a possible loss")
		}
		if took := w.acked(s, "key"); took > fenceLife+DefaultMaxStale {
			w.Errorf("the announcement took %v", took)
		}
	})
}

// A Sentinel that refuses INFO says nothing of the master; Valkey's names its mode otherwise.
func TestSentinelIsNoBlindness(t *testing.T) {
	for _, mode := range []string{"redis_mode", "server_mode"} {
		if process, role := identify("run_id:x\r\n" + mode + ":sentinel\r\n"); process != "" || role != "sentinel" {
			t.Errorf("%s: process %q, role %q", mode, process, role)
		}
	}
	inBubble(t, func(w *world) {
		mode := "sentinel"
		w.redis.Intercept(func(c *server.Peer, cmd string, args ...string) bool {
			switch {
			case cmd == "INFO":
				c.WriteError("NOPERM this user has no permissions to run the 'info' command")
			case cmd == "HELLO" && len(args) == 0:
				c.WriteStrings([]string{"server", "redis", "mode", mode})
			default:
				return false
			}
			return true
		})
		for _, mode = range []string{"sentinel", "standalone"} {
			opts := w.redis.Link().Options()
			opts.MasterName = "m"
			m := Instrument(opts)
			rdb := redis.NewClient(opts.Simple())
			w.must(rdb.Ping(w.Context()).Err())
			w.must(rdb.Close())
			if blind := m.blindness() != nil; blind != (mode == "standalone") {
				w.Errorf("%s: blind %t", mode, blind)
			}
		}
	})
}

// On a Cluster each server has an ACL of its own. While one of them refuses INFO, another that
// does not ends nothing: no connection is closed for it, and nothing is told again and again.
func TestOneShardDoesNotSpeakForTheOthers(t *testing.T) {
	m := &Monitor{}
	m.cluster.Store(true)
	kept := &connection{owner: &m.conns}
	m.conns.open = map[*connection]bool{kept: true}
	m.unreadable(errOld)
	for _, process := range []string{"a", "b", "a"} {
		if err := m.meet(process, nil); err != nil || m.blindness() == nil {
			t.Errorf("meet(%s) = %v; blind %v", process, err, m.blindness())
		}
	}
	if !m.conns.open[kept] || m.regained.Load() {
		t.Error("connections were closed, or a loss was noted")
	}
	conn, other := net.Pipe()
	defer other.Close()
	kept.Conn = conn
	if m.sight("a"); m.blindness() != nil || len(m.conns.open) != 0 || !m.regained.Load() {
		t.Error("all have told, and the monitor is blind still")
	}
}
