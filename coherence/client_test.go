package coherence

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
)

func TestJoinRefusesClients(t *testing.T) {
	cluster := func(o redis.ClusterOptions) redis.UniversalClient {
		o.Addrs = []string{"127.0.0.1:1"}
		return redis.NewClusterClient(&o)
	}
	plain := redis.NewClient(&redis.Options{Addr: "127.0.0.1:1"})
	for name, tt := range map[string]struct {
		client redis.UniversalClient
		says   string
	}{
		"nil":              {nil, "is nil"},
		"a nil client":     {(*redis.Client)(nil), "is nil"},
		"a nil cluster":    {(*redis.ClusterClient)(nil), "is nil"},
		"ring":             {redis.NewRing(&redis.RingOptions{Addrs: map[string]string{"a": "127.0.0.1:1"}}), "*redis.Ring"},
		"read only":        {cluster(redis.ClusterOptions{ReadOnly: true}), "ReadOnly"},
		"by latency":       {cluster(redis.ClusterOptions{RouteByLatency: true}), "RouteByLatency"},
		"randomly":         {cluster(redis.ClusterOptions{RouteRandomly: true}), "RouteRandomly"},
		"client-side":      {redis.NewClient(&redis.Options{Addr: "127.0.0.1:1", Protocol: 3, ClientSideCacheConfig: &redis.ClientSideCacheConfig{}}), "ClientSideCache"},
		"somebody's own":   {struct{ redis.UniversalClient }{plain}, "is not a *redis.Client"},
		"a wrapped client": {&struct{ *redis.Client }{plain}, "is not a *redis.Client"},
	} {
		t.Run(name, func(t *testing.T) {
			if tt.client != nil && !strings.Contains(name, "nil") {
				defer tt.client.Close()
			}
			m := Instrument(&redis.UniversalOptions{})
			n, err := Join(t.Context(), tt.client, Config{Fleet: "f", Monitor: m})
			if err == nil {
				t.Fatal("joined", n.Close())
			}
			if !strings.HasPrefix(err.Error(), "coherence.Join: ") || !strings.Contains(err.Error(), tt.says) {
				t.Errorf("Join() = %q, want it to say %q", err, tt.says)
			}
			if err := m.attach(&Node{}); err != nil {
				t.Errorf("the monitor is not free after the refusal: %v", err)
			}
		})
	}
}

func TestJoinRefusesConfig(t *testing.T) {
	_, err := Join(t.Context(), nil, Config{Probe: -1})
	if err == nil || !strings.Contains(err.Error(), "Fleet") || !strings.Contains(err.Error(), "Probe") {
		t.Errorf("Join() = %v, want both faults", err)
	}
}

// unhurried is for nodes on real servers that are to be in step: a busy machine
// keeps these times.
func unhurried() Config {
	return Config{MaxStale: 30 * time.Second, Probe: DefaultProbe, Timeout: 5 * time.Second}
}

// joinAt joins by TCP. The node does not outlive the test.
func joinAt(t *testing.T, addr string, with func(*redis.UniversalOptions), cfg Config) (*Node, *eventLog, error) {
	t.Helper()
	log := &eventLog{}
	opts := &redis.UniversalOptions{Addrs: []string{addr}, ReadTimeout: cfg.Timeout, WriteTimeout: cfg.Timeout}
	cfg.Fleet, cfg.OnEvent, cfg.Monitor = "f", log.add, Instrument(opts)
	if with != nil {
		with(opts)
	}
	rdb := redis.NewUniversalClient(opts)
	t.Cleanup(func() { _ = rdb.Close() })
	n, err := Join(t.Context(), rdb, cfg)
	if n != nil {
		t.Cleanup(func() { _ = n.Close() })
	}
	return n, log, err
}

func TestJoinRefusesAReplica(t *testing.T) {
	master := redistest.RunServer(t)
	replica := redistest.RunServer(t, "--replicaof", "127.0.0.1 "+fmt.Sprint(master.Port()))
	_, log, err := joinAt(t, replica.Addr(), nil, Config{Timeout: time.Second})
	wantIs(t, err, ErrReplica)
	log.want(t, EventInStep, 0)

	if _, _, err := joinAt(t, master.Addr(), nil, unhurried()); err != nil {
		t.Errorf("Join(master) = %v", err)
	}
}

// A replica also counts as one where the user gave no monitor.
func TestJoinRefusesAReplicaWithoutMonitor(t *testing.T) {
	inBubble(t, func(w *world) {
		run, repl, _ := w.redis.Identity()
		w.redis.SetIdentity(run, repl, "slave")
		_, err := w.tryJoin(w.Context(), func(c *Config) { c.Monitor = nil })
		wantIs(w, err, ErrReplica)
	})
}

func TestSecretsAreNeverTold(t *testing.T) {
	const secret = "s3cr3t-of-the-caller"
	server := redistest.RunServer(t)
	admin := redis.NewClient(&redis.Options{Addr: server.Addr()})
	t.Cleanup(func() { _ = admin.Close() })
	if err := admin.ConfigSet(t.Context(), "requirepass", "another").Err(); err != nil {
		t.Fatal(err)
	}
	for name, with := range map[string]func(*redis.UniversalOptions){
		"wrong password": func(o *redis.UniversalOptions) { o.Password = secret },
		"wrong user":     func(o *redis.UniversalOptions) { o.Username, o.Password = "somebody", secret },
		"no password":    nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, log, err := joinAt(t, server.Addr(), with, Config{Timeout: time.Second})
			if err == nil {
				t.Fatal("joined")
			}
			if text := err.Error(); !strings.Contains(text, "WRONGPASS") && !strings.Contains(text, "NOAUTH") {
				t.Errorf("Join() = %q, want the server's reason", text)
			}
			for _, said := range append(log.all(), Event{Err: err}) {
				if text := said.String(); strings.Contains(text, secret) {
					t.Errorf("the secret is told: %q", text)
				}
			}
		})
	}
}

// The least a user of Redis must be allowed for this package.
func TestLeastPrivilege(t *testing.T) {
	server := redistest.RunServer(t)
	admin := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer admin.Close()
	allow := func(user, commands string) func(*redis.UniversalOptions) {
		rules := "on >pw ~{f}:* resetchannels &f:* -@all " + commands
		args := []any{"acl", "setuser", user}
		for _, rule := range strings.Fields(rules) {
			args = append(args, rule)
		}
		if err := admin.Do(t.Context(), args...).Err(); err != nil {
			t.Fatal(err)
		}
		return func(o *redis.UniversalOptions) { o.Username, o.Password = user, "pw" }
	}
	const least = "+hello +ping +subscribe +unsubscribe +publish +eval +evalsha +hget +hmget +hset +hexists +time +role "

	n, log, err := joinAt(t, server.Addr(), allow("full", least+"+info"), unhurried())
	if err != nil {
		t.Fatal(err)
	}
	s, err := n.Space(SpaceConfig{Name: "s"})
	if err != nil {
		t.Fatal(err)
	}
	st := s.Stamp("k")
	if err := s.Announce(t.Context(), "k"); err != nil {
		t.Error(err)
	}
	wantValid(t, s, st, false)
	eventually(t, "the subscription delivers", func() bool { return n.Stats().Messages == 1 })
	log.want(t, EventConfig, 0)

	blind, log, err := joinAt(t, server.Addr(), allow("blind", least), unhurried())
	if err != nil {
		t.Fatal(err)
	}
	wantState(t, blind, InStep)
	if told := log.want(t, EventConfig, 1); len(told) == 1 && !strings.Contains(told[0].Note, "+info") {
		t.Errorf("%v does not name the permission", told[0])
	}

	if _, _, err := joinAt(t, server.Addr(), allow("mute", "+hello +ping +info"), Config{Timeout: time.Second}); err == nil || !strings.Contains(err.Error(), "NOPERM") {
		t.Errorf("Join() without permissions = %v", err)
	}
}

// A full Redis costs nobody the lease, whatever it has to write for it.
func TestFullRedis(t *testing.T) {
	server := redistest.RunServer(t, "--maxmemory", "2mb", "--maxmemory-policy", "noeviction")
	admin := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer admin.Close()
	for admin.Append(t.Context(), "fill", strings.Repeat("x", 1<<16)).Err() == nil {
	}
	n, _, err := joinAt(t, server.Addr(), nil, unhurried())
	if err != nil {
		t.Fatal(err)
	}
	wantState(t, n, InStep)
	s, _ := n.Space(SpaceConfig{Name: "s"})
	if err := s.Announce(t.Context(), "k"); err != nil {
		t.Error(err)
	}
	if err := admin.Del(t.Context(), "{f}:bus").Err(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the bus is made anew", func() bool { return n.Stats().Forks == 1 && n.State() == InStep })
}

func TestClientThatIgnoresDeadlines(t *testing.T) {
	inBubble(t, func(w *world) {
		log, link := &eventLog{}, w.redis.Link()
		opts := link.Options()
		m := Instrument(opts)
		opts.ContextTimeoutEnabled = false
		opts.ReadTimeout, opts.MaxRetries = time.Minute, 3
		rdb := redis.NewUniversalClient(opts)
		defer rdb.Close()
		n, err := Join(w.Context(), rdb, Config{Fleet: "f", Monitor: m, OnEvent: log.add})
		if err != nil {
			w.Fatal(err)
		}
		defer n.Close()
		if n.Redis() == rdb {
			w.Error("the node uses a client that ignores deadlines")
		}
		s, err := n.Space(SpaceConfig{Name: "s"})
		if err != nil {
			w.Fatal(err)
		}
		if err := s.Announce(w.Context(), "k"); err != nil {
			w.Fatal(err)
		}
		link.Hole()
		began := time.Now()
		wantIs(w, s.Announce(w.Context(), "k"), ErrUnconfirmed)
		ctx, cancel := context.WithTimeout(w.Context(), DefaultTimeout)
		defer cancel()
		if err := n.Redis().Get(ctx, "k").Err(); err == nil {
			w.Error("GET through a hole succeeded")
		}
		if took := time.Since(began); took > 4*DefaultTimeout {
			w.Errorf("two calls through a hole took %v", took)
		}
		link.Heal()
		if err := n.Ready(w.Context()); err != nil {
			w.Fatal(err)
		}
		if told := log.want(w, EventConfig, 1); len(told) == 1 && !strings.Contains(told[0].Note, "ContextTimeoutEnabled") {
			w.Errorf("%v does not name the setting", told[0])
		}
		if err := n.Close(); err != nil {
			w.Error(err)
		}
		if err := rdb.Ping(w.Context()).Err(); err != nil {
			w.Errorf("the caller's client after Close: %v", err)
		}
		if err := n.Redis().Ping(w.Context()).Err(); err == nil {
			w.Error("the node's own copy of the client is still open")
		}
	})
}

// The same over sockets: a hole swallows, nobody sends a FIN.
func TestDeadlineThroughAHole(t *testing.T) {
	server := redistest.RunEmbedded(t)
	proxy, err := redistest.NewProxy(server.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	n, _, err := joinAt(t, proxy.Addr(), func(o *redis.UniversalOptions) {
		o.ContextTimeoutEnabled, o.ReadTimeout, o.MaxRetries = false, 5*time.Minute, 3
	}, Config{})
	if err != nil {
		t.Fatal(err)
	}
	s, err := n.Space(SpaceConfig{Name: "s"})
	if err != nil {
		t.Fatal(err)
	}
	proxy.Hole()
	began := time.Now()
	wantIs(t, s.Announce(t.Context(), "k"), ErrUnconfirmed)
	if err := n.Close(); err == nil {
		t.Error("Close() counts nothing")
	}
	if took := time.Since(began); took > time.Minute { // else it took 5 min or more
		t.Errorf("Announce and Close took %v", took)
	}
}

func TestMonitorNotUsedByTheClient(t *testing.T) {
	inBubble(t, func(w *world) {
		other := w.redis.Link().Options()
		m, err := w.tryJoin(w.Context(), func(c *Config) { c.Monitor = Instrument(other) })
		if err != nil {
			w.Fatal(err)
		}
		if told := m.log.want(w, EventConfig, 1); len(told) == 1 && !strings.Contains(told[0].Note, "Monitor") {
			w.Errorf("%v does not name the field", told[0])
		}
	})
}

// A monitor that sees no connection cannot vouch that a long gap is no fork.
func TestGapWithoutSight(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.join()
		b := w.join(func(c *Config) { c.Monitor = Instrument(w.redis.Link().Options()) })
		sa := a.openSpace(w, "s")
		b.link.Cut()
		for range ring + 1 {
			if err := sa.Announce(w.Context(), "x"); err != nil {
				w.Fatal(err)
			}
		}
		b.link.Heal()
		pass(time.Second)
		b.log.want(w, EventMissed, 0)
		b.log.want(w, EventFork, 1)
	})
}

func TestNoMonitor(t *testing.T) {
	inBubble(t, func(w *world) {
		m := w.join(func(c *Config) { c.Monitor = nil })
		if told := m.log.want(w, EventConfig, 1); len(told) == 1 && !strings.Contains(told[0].Note, "coherence.Instrument") {
			w.Errorf("%v does not name the remedy", told[0])
		}
		s := m.openSpace(w, "s")
		st := s.Stamp("k")
		if err := w.redis.Restart(); err != nil {
			w.Fatal(err)
		}
		pass(DefaultMaxStale)
		wantValid(w, s, st, false)
		m.log.want(w, EventHistory, 1)
	})
}

func TestMonitorServesOneNode(t *testing.T) {
	inBubble(t, func(w *world) {
		a := w.join()
		_, err := Join(w.Context(), a.rdb, Config{Fleet: "f", Monitor: a.cfg.Monitor, OnEvent: a.log.add})
		if err == nil || !strings.Contains(err.Error(), "Monitor") {
			w.Errorf("Join() with a used monitor = %v", err)
		}
		wantState(w, a.Node, InStep)
	})
}

func TestInstrumentKeepsWhatIsSet(t *testing.T) {
	var connected int
	opts := &redis.UniversalOptions{
		DialTimeout: time.Second, ReadTimeout: 2 * time.Second, WriteTimeout: 3 * time.Second, DialerRetries: 4, MaxRetries: -1,
		OnConnect: func(context.Context, *redis.Conn) error { connected++; return nil },
	}
	server := redistest.RunEmbedded(t)
	opts.Addrs = []string{server.Addr()}
	m := Instrument(opts)
	if opts.DialTimeout != time.Second || opts.ReadTimeout != 2*time.Second || opts.WriteTimeout != 3*time.Second ||
		opts.DialerRetries != 4 || opts.MaxRetries != -1 || !opts.ContextTimeoutEnabled {
		t.Errorf("Instrument made %+v of it", opts)
	}
	rdb := redis.NewUniversalClient(opts)
	defer rdb.Close()
	if err := rdb.Ping(t.Context()).Err(); err != nil {
		t.Fatal(err)
	}
	if connected != 1 || m.met.Load() != 1 {
		t.Errorf("the caller's OnConnect ran %d times, the monitor met %d processes, want 1 and 1", connected, m.met.Load())
	}
}

func TestIdentify(t *testing.T) {
	for _, tt := range []struct{ info, process, role string }{
		{"", "", ""},
		{"# Server\r\nrun_id:abc\r\n\r\n# Replication\r\nrole:master\r\nmaster_replid:def\r\n", "abc:def", "master"},
		{"run_id:abc\nrole:slave\n", "abc:", "slave"},
		{"# Server\r\nredis_mode:sentinel\r\nrun_id:abc\r\n", "", "sentinel"},
		{"# Server\r\nexecutable:/run_id:x\r\nrole:master", "", "master"},
	} {
		if process, role := identify(tt.info); process != tt.process || role != tt.role {
			t.Errorf("identify(%q) = %q, %q", tt.info, process, role)
		}
	}
}
