package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/redis/go-redis/v9"
)

const (
	masterName = "tiercache"
	sentinels  = 3
	quorum     = 2

	// downAfter is in milliseconds. A sentinel pings a server that it has just come to know as master
	// for the first time after a second: with a second here, some of the promoted were found down at
	// once, and replaced.
	downAfter = 2000
)

// Sentinel is a master, its replica and three sentinels with a quorum of two, all local processes. A
// master that is silent for two seconds counts as down.
type Sentinel struct {
	master, replica *Server
	sentinels       []*Server
}

// StartSentinel starts the group and returns when every sentinel knows the replica and the other
// sentinels, so that a failover can begin at once. That takes some seconds. End it with Close.
func StartSentinel() (*Sentinel, error) {
	s := &Sentinel{}
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// RunSentinel is StartSentinel for the length of a test. Without a redis-server it does what Need does.
func RunSentinel(t testing.TB) *Sentinel {
	t.Helper()
	Need(t, t.Name())
	s, err := StartSentinel()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close sentinel group: %v", err)
		}
	})
	return s
}

// Addrs returns the addresses of the sentinels, for redis.FailoverOptions.SentinelAddrs.
func (s *Sentinel) Addrs() []string { return addrs(s.sentinels) }

// MasterName returns the name the sentinels watch the master under.
func (s *Sentinel) MasterName() string { return masterName }

// Master returns the server that began as master; after a failover it is so no more, see Current.
func (s *Sentinel) Master() *Server { return s.master }

// Replica returns the server that began as replica.
func (s *Sentinel) Replica() *Server { return s.replica }

// Sentinels returns the sentinel processes.
func (s *Sentinel) Sentinels() []*Server { return append([]*Server(nil), s.sentinels...) }

// Current returns the server the first sentinel that answers calls master.
func (s *Sentinel) Current(ctx context.Context) (*Server, error) {
	var errs []error
	for _, node := range s.sentinels {
		addr, err := masterAddr(ctx, node)
		switch {
		case err != nil:
			errs = append(errs, err)
		case addr == s.master.Addr():
			return s.master, nil
		case addr == s.replica.Addr():
			return s.replica, nil
		default:
			errs = append(errs, fmt.Errorf("redistest: %s calls %s master", node.Addr(), addr))
		}
	}
	return nil, errors.Join(errs...)
}

// Close ends all processes. Further calls do nothing.
func (s *Sentinel) Close() error {
	return closeAll(append(s.Sentinels(), s.replica, s.master))
}

func (s *Sentinel) start() (err error) {
	if s.master, err = StartServer(); err != nil {
		return err
	}
	host, port, err := net.SplitHostPort(s.master.Addr())
	if err != nil {
		return err
	}
	if s.replica, err = StartServer("--replicaof", host, port); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := poll(ctx, func() error { return replicates(ctx, s.replica) }); err != nil {
		return err
	}
	for range sentinels {
		node, err := startServer(s.sentinelCommand)
		if err != nil {
			return err
		}
		s.sentinels = append(s.sentinels, node)
	}
	for _, node := range s.sentinels {
		if err := poll(ctx, func() error { return acquainted(ctx, node) }); err != nil {
			return err
		}
	}
	return nil
}

// sentinelCommand writes the configuration file, without which a sentinel does not run, once: the sentinel
// keeps its memory in it over a restart.
func (s *Sentinel) sentinelCommand(port int, dir string) ([]string, error) {
	file := filepath.Join(dir, "sentinel.conf")
	if _, err := os.Stat(file); err == nil {
		return []string{file, "--sentinel"}, nil
	}
	config := fmt.Sprintf(`port %d
bind 127.0.0.1
dir %q
sentinel monitor %[3]s 127.0.0.1 %[4]d %[5]d
sentinel down-after-milliseconds %[3]s %[6]d
sentinel failover-timeout %[3]s 5000
`, port, dir, masterName, s.master.Port(), quorum, downAfter)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, fmt.Errorf("redistest: %w", err)
	}
	return []string{file, "--sentinel"}, nil
}

// acquainted returns an error until the sentinel knows all it needs for a failover.
func acquainted(ctx context.Context, node *Server) error {
	rdb := node.sentinelClient()
	defer rdb.Close()
	master, err := rdb.Master(ctx, masterName).Result()
	if err != nil {
		return err
	}
	others, replicas := master["num-other-sentinels"], master["num-slaves"]
	if others != strconv.Itoa(sentinels-1) || replicas != "1" {
		return fmt.Errorf("redistest: sentinel %s knows %s sentinels and %s replicas", node.Addr(), others, replicas)
	}
	return nil
}

func masterAddr(ctx context.Context, node *Server) (string, error) {
	rdb := node.sentinelClient()
	defer rdb.Close()
	addr, err := rdb.GetMasterAddrByName(ctx, masterName).Result()
	if err != nil {
		return "", err
	}
	return net.JoinHostPort(addr[0], addr[1]), nil
}

func (s *Server) sentinelClient() *redis.SentinelClient {
	return redis.NewSentinelClient(clientOptions(s.Addr()))
}

// replicates returns an error until the replica holds its master's data.
func replicates(ctx context.Context, replica *Server) error {
	rdb := replica.client()
	defer rdb.Close()
	info, err := rdb.InfoMap(ctx, "replication").Result()
	if err != nil {
		return err
	}
	if link := info["Replication"]["master_link_status"]; link != "up" {
		return fmt.Errorf("redistest: replica %s: link to its master is %q", replica.Addr(), link)
	}
	return nil
}

func addrs(servers []*Server) []string {
	var out []string
	for _, s := range servers {
		out = append(out, s.Addr())
	}
	return out
}

func closeAll(servers []*Server) error {
	var errs []error
	for _, s := range servers {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}
