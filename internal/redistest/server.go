package redistest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
)

const (
	binary = "redis-server"

	// patience bounds every wait for a process: long enough for a busy machine, short enough for a test.
	patience = 60 * time.Second
)

// Available reports whether a redis-server is in PATH.
func Available() bool {
	_, err := exec.LookPath(binary)
	return err == nil
}

// Need skips the test, naming the suite that is left out, on a machine without a redis-server. With
// TIERCACHE_REDIS=required in the environment, as in CI, it fails the test instead.
func Need(t testing.TB, suite string) {
	t.Helper()
	if Available() {
		return
	}
	msg := binary + " not found: " + suite + " was left out"
	if os.Getenv("TIERCACHE_REDIS") == "required" {
		t.Fatal(msg + ", but TIERCACHE_REDIS=required")
	}
	t.Skip(msg + " (TIERCACHE_REDIS=required makes this a failure)")
}

// Server is a redis-server process on a port of 127.0.0.1, with a temporary directory of its own. It
// keeps its port and directory over restarts, and dies with this process where the system can do that.
// All methods are safe for concurrent use.
type Server struct {
	command command
	port    int
	dir     string

	mu   sync.Mutex
	proc *process // nil: not running
	gone bool     // closed
}

// command returns the arguments for a server on the port with files in the directory.
type command func(port int, dir string) ([]string, error)

// StartServer starts a Redis without persistence (Save writes a dump file when told to), which gives a replica its
// data at once, and returns when it answers. args are further arguments of redis-server, such as "--maxmemory",
// "1mb". End it with Close.
func StartServer(args ...string) (*Server, error) {
	return startServer(func(port int, dir string) ([]string, error) {
		return append([]string{
			"--port", strconv.Itoa(port), "--bind", "127.0.0.1", "--dir", dir,
			"--save", "", "--appendonly", "no", "--repl-diskless-sync-delay", "0",
		}, args...), nil
	})
}

// RunServer is StartServer for the length of a test. Without a redis-server it does what Need does.
func RunServer(t testing.TB, args ...string) *Server {
	t.Helper()
	Need(t, t.Name())
	s, err := StartServer(args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeServer(t, s) })
	return s
}

func closeServer(t testing.TB, s *Server) {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Errorf("close redis-server: %v", err)
	}
}

// startServer tries several ports, since another process may take a free one first.
func startServer(c command) (*Server, error) {
	var errs []error
	for range 5 {
		s, err := startOn(c)
		if err == nil {
			return s, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

func startOn(c command) (*Server, error) {
	port, err := freePort()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "redistest-")
	if err != nil {
		return nil, fmt.Errorf("redistest: %w", err)
	}
	s := &Server{command: c, port: port, dir: dir}
	if err := s.start(); err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// Addr returns host:port, the same for life.
func (s *Server) Addr() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(s.port)) }

// Port returns the port of Addr.
func (s *Server) Port() int { return s.port }

// Pid returns the id of the running process, 0 if there is none.
func (s *Server) Pid() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return 0
	}
	return s.proc.pid()
}

// Save writes the dump file that Restart(false) will load.
func (s *Server) Save() error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	rdb := s.client()
	defer rdb.Close()
	if err := rdb.Save(ctx).Err(); err != nil {
		return fmt.Errorf("redistest: save: %w", err)
	}
	return nil
}

// Kill ends the process with SIGKILL and waits for its end. Without a process it does nothing.
func (s *Server) Kill() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.kill()
}

// Restart kills the process if it runs and starts another on the same port: on the dump file of the
// last Save, or without data if empty or if Save was never called. It returns when the new one answers.
func (s *Server) Restart(empty bool) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.gone {
		return errClosed
	}
	if err := s.kill(); err != nil {
		return err
	}
	if empty {
		if err := os.RemoveAll(filepath.Join(s.dir, "dump.rdb")); err != nil {
			return fmt.Errorf("redistest: %w", err)
		}
	}
	return s.start()
}

// Stop freezes the process with SIGSTOP: connections stay open and nothing answers.
func (s *Server) Stop() error { return s.signal(syscall.SIGSTOP) }

// Cont ends Stop.
func (s *Server) Cont() error { return s.signal(syscall.SIGCONT) }

// Close kills the process and removes its directory. Further calls do nothing.
func (s *Server) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gone = true
	return errors.Join(s.kill(), os.RemoveAll(s.dir))
}

func (s *Server) signal(sig os.Signal) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.proc == nil {
		return fmt.Errorf("redistest: %v: no process", sig)
	}
	return s.proc.signal(sig)
}

func (s *Server) kill() error {
	if s.proc == nil {
		return nil
	}
	err := s.proc.kill()
	s.proc = nil
	return err
}

// start runs the process and waits until it, and no other process on the port, answers.
func (s *Server) start() error {
	args, err := s.command(s.port, s.dir)
	if err != nil {
		return err
	}
	p, err := startProcess(filepath.Join(s.dir, "log"), args)
	if err != nil {
		return err
	}
	if err := s.await(p); err != nil {
		return errors.Join(fmt.Errorf("%w; its log ends with:\n%s", err, p.logTail()), p.kill())
	}
	s.proc = p
	return nil
}

func (s *Server) await(p *process) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	rdb := s.client()
	defer rdb.Close()
	return poll(ctx, func() error {
		if p.ended() {
			return giveUp{errors.New("redistest: redis-server ended at once")}
		}
		if err := reachable(s.Addr()); err != nil { // without a line in the log for each try, as go-redis has
			return err
		}
		if err := rdb.Ping(ctx).Err(); err != nil { // LOADING is an error too
			return err
		}
		info, err := rdb.InfoMap(ctx, "server").Result()
		if err != nil {
			return err
		}
		if pid := info["Server"]["process_id"]; pid != strconv.Itoa(p.pid()) {
			return fmt.Errorf("redistest: %s is served by process %s", s.Addr(), pid)
		}
		return nil
	})
}

// client returns a client that neither retries nor waits long, for this package's own commands.
func (s *Server) client() *redis.Client {
	return redis.NewClient(clientOptions(s.Addr()))
}
