package topology

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// childEnv makes the test binary a process of the fleet; its value is the address of
// Redis and the file that is the source.
const childEnv = "TIERCACHE_TOPOLOGY_CHILD"

// TestStoppedNode: a process with a local copy is stopped (SIGSTOP). Its key is written
// elsewhere, its subscription is closed, so that no message waits for it, and its lease
// runs out. When it goes on its first reads are hits in its memory, if nothing but
// messages told it of the write.
func TestStoppedNode(t *testing.T) {
	t.Parallel()
	server := redistest.RunServer(t)
	file := t.TempDir() + "/source"
	store(t, file, "old")
	child := startChild(t, server.Addr(), file)
	child.want("old")
	child.want("old")

	child.signal(syscall.SIGSTOP)
	writer := open(t, redis.UniversalOptions{Addrs: []string{server.Addr()}}, coherence.Config{}, keep)
	_, err := writer.Update(t.Context(), "k", func(context.Context, string) (string, error) {
		store(t, file, "new")
		return "new", nil
	})
	if err != nil {
		t.Fatal(err)
	}
	admin := redis.NewClient(&redis.Options{Addr: server.Addr()})
	defer admin.Close()
	if err := admin.Do(t.Context(), "client", "kill", "type", "pubsub").Err(); err != nil {
		t.Fatal(err)
	}
	<-time.After(coherence.DefaultMaxStale + 10*time.Millisecond) // the bound
	for range 50 {
		child.ask() // all of them wait in its input when it goes on
	}
	child.signal(syscall.SIGCONT)
	for range 50 {
		if got := child.answer(); got != "new" {
			t.Fatalf("the resumed process read %q after the bound", got)
		}
	}
}

func store(t *testing.T, file, value string) {
	t.Helper()
	if err := os.WriteFile(file, []byte(value), 0o600); err != nil {
		t.Fatal(err)
	}
}

// child is a process that reads the key "k" once for each line of its input.
type child struct {
	*testing.T
	cmd *exec.Cmd
	in  io.Writer
	out *bufio.Scanner
}

func startChild(t *testing.T, addr, file string) *child {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childEnv+"="+addr+" "+file)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // a stopped one too
		_ = cmd.Wait()         // says only that we have killed it
	})
	return &child{t, cmd, in, bufio.NewScanner(out)}
}

func (c *child) signal(s os.Signal) {
	c.Helper()
	if err := c.cmd.Process.Signal(s); err != nil {
		c.Fatal(err)
	}
}

func (c *child) ask() {
	c.Helper()
	if _, err := fmt.Fprintln(c.in, "get"); err != nil {
		c.Fatal(err)
	}
}

func (c *child) answer() string {
	c.Helper()
	if !c.out.Scan() {
		c.Fatalf("the process has ended: %v", c.out.Err())
	}
	return c.out.Text()
}

func (c *child) want(value string) {
	c.Helper()
	c.ask()
	if got := c.answer(); got != value {
		c.Fatalf("the process read %q, want %q", got, value)
	}
}

// beChild is the life of the process; it ends with its input.
func beChild(task string) error {
	addr, file, _ := strings.Cut(task, " ")
	opts := &redis.UniversalOptions{Addrs: []string{addr}}
	monitor := coherence.Instrument(opts)
	rdb := redis.NewUniversalClient(opts)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	node, err := coherence.Join(ctx, rdb, coherence.Config{Fleet: "f", Monitor: monitor, OnEvent: func(coherence.Event) {}})
	if err != nil {
		return err
	}
	if err := node.Ready(ctx); err != nil {
		return err
	}
	cache, err := tiered.New(node, keep)
	if err != nil {
		return err
	}
	load := func(context.Context, string) (string, error) {
		text, err := os.ReadFile(file)
		return string(text), err
	}
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		v, err := cache.Get(context.Background(), "k", load)
		if err != nil {
			return err
		}
		fmt.Println(v)
	}
	return nil
}
