package redistest

import (
	"errors"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

func TestServerKillAndRestart(t *testing.T) {
	noLeak(t)
	s := RunServer(t)
	rdb := dial(t, clientOptions(s.Addr()))
	set(t, rdb, "k", "old")
	if err := s.Save(); err != nil {
		t.Fatal(err)
	}
	set(t, rdb, "k", "new")
	runID := serverField(t, s, "run_id")

	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	if pid := s.Pid(); pid != 0 {
		t.Errorf("Pid after Kill = %d, want 0", pid)
	}
	if conn, err := net.Dial("tcp", s.Addr()); err == nil {
		t.Errorf("a killed server still listens: %v", conn.Close())
	}

	for range 2 { // the same dump twice
		if err := s.Restart(false); err != nil {
			t.Fatal(err)
		}
		reconnect(t, rdb)
		wantGet(t, rdb, "k", "old")
		set(t, rdb, "k", "newer")
	}
	if again := serverField(t, s, "run_id"); again == runID {
		t.Errorf("run_id %s outlived the process", again)
	}

	if err := s.Restart(true); err != nil {
		t.Fatal(err)
	}
	reconnect(t, rdb)
	wantMissing(t, rdb, "k")
}

func TestServerStopAndCont(t *testing.T) {
	noLeak(t)
	s := RunServer(t)
	rdb := dial(t, clientOptions(s.Addr()))
	wantPing(t, rdb)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := rdb.Ping(impatient(t)).Err(); err == nil {
		t.Error("a stopped server answered")
	}
	if err := s.Cont(); err != nil {
		t.Fatal(err)
	}
	reconnect(t, rdb)
	if err := s.Stop(); err != nil {
		t.Fatal(err)
	}
	if err := s.Kill(); err != nil { // a stopped process can be killed
		t.Fatal(err)
	}
	if err := s.Stop(); err == nil {
		t.Error("Stop without a process succeeded")
	}
}

func TestServerArguments(t *testing.T) {
	noLeak(t)
	s := RunServer(t, "--maxmemory", "64mb", "--maxmemory-policy", "volatile-lru")
	if got := serverField(t, s, "maxmemory_policy"); got != "volatile-lru" {
		t.Errorf("maxmemory_policy = %q", got)
	}
}

func TestServerThatCannotStartSaysWhy(t *testing.T) {
	noLeak(t)
	Need(t, t.Name())
	s, err := StartServer("--no-such-option", "1")
	if err == nil {
		t.Fatalf("started at %s: %v", s.Addr(), s.Close())
	}
	if !strings.Contains(err.Error(), "no-such-option") {
		t.Errorf("error does not quote the log: %v", err)
	}
}

func TestServerCloseLeavesNothing(t *testing.T) {
	noLeak(t)
	s := RunServer(t)
	pid := s.Pid()
	for range 2 {
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := os.Stat(s.dir); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("directory after Close: %v", err)
	}
	if err := syscall.Kill(pid, 0); !errors.Is(err, syscall.ESRCH) {
		t.Errorf("process %d after Close: %v", pid, err)
	}
	if err := s.Restart(true); !errors.Is(err, errClosed) {
		t.Errorf("Restart after Close: %v, want %v", err, errClosed)
	}
}

// verdict is a testing.TB that keeps how Need ends a test.
type verdict struct {
	testing.TB
	failed, skipped string
}

func (v *verdict) Helper()           {}
func (v *verdict) Fatal(args ...any) { v.failed = args[0].(string); runtime.Goexit() }
func (v *verdict) Skip(args ...any)  { v.skipped = args[0].(string); runtime.Goexit() }

func need(suite string) *verdict {
	v := &verdict{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		Need(v, suite)
	}()
	<-done
	return v
}

func TestNeedIsHeard(t *testing.T) {
	noLeak(t)
	t.Setenv("PATH", t.TempDir())
	t.Setenv("TIERCACHE_REDIS", "")
	if v := need("the suite of X"); v.failed != "" || !strings.Contains(v.skipped, "the suite of X was left out") {
		t.Errorf("without a redis-server: %+v", v)
	}
	t.Setenv("TIERCACHE_REDIS", "required")
	if v := need("the suite of X"); v.skipped != "" || !strings.Contains(v.failed, "the suite of X was left out") {
		t.Errorf("where it is required: %+v", v)
	}
}

func serverField(t *testing.T, s *Server, field string) string {
	t.Helper()
	rdb := s.client()
	defer rdb.Close()
	info, err := rdb.Info(t.Context()).Result()
	if err != nil {
		t.Fatal(err)
	}
	return lookup(info, field)
}
