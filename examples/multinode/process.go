package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"os"
	"os/exec"
	"strings"
	"sync"
	"time"
)

const (
	callLimit = 20 * time.Second // longest call of a node
	stopLimit = 20 * time.Second // then a node that does not end is killed
)

// process is a node as the director holds it.
type process struct {
	name  string
	cmd   *exec.Cmd
	input io.Closer
	rpc   *rpc.Client
	said  tail // on standard error
	ended bool
}

// startProcess starts this program again, as a node.
func startProcess(cfg nodeConfig) (*process, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	p := &process{name: cfg.Name, cmd: exec.Command(path)}
	p.cmd.Env = append(os.Environ(), nodeEnv+"="+string(raw))
	p.cmd.Stderr = &p.said
	p.cmd.WaitDelay = time.Second
	input, err := p.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	output, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.input = input
	p.rpc = rpc.NewClient(pipes{output, input})
	return p, nil
}

// call asks the node and waits for the answer, the end of ctx, or callLimit.
func call[R any](ctx context.Context, p *process, method string, args any) (R, error) {
	ctx, cancel := context.WithTimeout(ctx, callLimit)
	defer cancel()
	var reply R
	answer := make(chan *rpc.Call, 1)
	p.rpc.Go("Node."+method, args, &reply, answer)
	select {
	case c := <-answer:
		if c.Error != nil {
			return reply, fmt.Errorf("node %s: %s: %w%s", p.name, method, c.Error, p.said.String())
		}
		return reply, nil
	case <-ctx.Done():
		var none R
		return none, fmt.Errorf("node %s: %s: %w", p.name, method, ctx.Err())
	}
}

// stop ends the node by closing its input, or by force if that takes too long.
func (p *process) stop() error {
	if p.ended {
		return nil
	}
	p.ended = true
	p.input.Close()
	force := time.AfterFunc(stopLimit, func() { p.cmd.Process.Kill() })
	defer force.Stop()
	defer p.rpc.Close()
	if err := p.cmd.Wait(); err != nil {
		return fmt.Errorf("node %s: %w%s", p.name, err, p.said.String())
	}
	return nil
}

// kill ends the node as a power failure does.
func (p *process) kill() error {
	p.ended = true
	err := p.cmd.Process.Kill()
	p.cmd.Wait() // reports the kill
	p.rpc.Close()
	return err
}

// pipes are both directions to a node as one connection.
type pipes struct {
	io.Reader
	io.WriteCloser
}

// tail keeps the last of what a node wrote to its standard error.
type tail struct {
	mu   sync.Mutex
	text []byte
}

const tailSize = 2000

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	if over := len(t.text) - tailSize; over > 0 {
		t.text = t.text[over:]
	}
	return len(p), nil
}

func (t *tail) String() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.text) == 0 {
		return ""
	}
	return "; it said: " + strings.TrimSpace(string(t.text))
}

// all calls the same method on many nodes at the same time. The answers are in
// the order of the nodes.
func all[R any](ctx context.Context, nodes []*process, method string, args any) ([]R, error) {
	replies := make([]R, len(nodes))
	errs := make([]error, len(nodes))
	var calls sync.WaitGroup
	for i, p := range nodes {
		calls.Go(func() { replies[i], errs[i] = call[R](ctx, p, method, args) })
	}
	calls.Wait()
	return replies, errors.Join(errs...)
}
