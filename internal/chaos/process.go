package main

import (
	"encoding/json"
	"errors"
	"net/rpc"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// process is a node as the director holds it. One goroutine owns it from its start to its end, and serves what
// it asks for meanwhile.
type process struct {
	cfg  Config
	cmd  *exec.Cmd
	said tail          // on standard error
	done chan struct{} // it has ended, and all that it had sent was taken in
	err  error         // of its end; read after done

	stopping atomic.Bool // it is told so with the answer to its next report
	killed   atomic.Bool // by us
	trap     trap
	hold     hold
}

// startProcess starts this program again, as a node that is served by the given service.
func startProcess(cfg Config, serve func(*process) any) (*process, error) {
	path, err := os.Executable()
	if err != nil {
		return nil, err
	}
	raw, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	p := &process{cfg: cfg, cmd: exec.Command(path), done: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), nodeEnv+"="+string(raw))
	p.cmd.Stderr = &p.said
	p.cmd.SysProcAttr = dieWithUs()
	server := rpc.NewServer()
	if err := server.RegisterName("Source", serve(p)); err != nil {
		return nil, err
	}
	started := make(chan error)
	go p.own(server, started)
	return p, <-started
}

// own keeps its thread to itself until the end, because Linux kills the child with the thread that started it,
// not with the process (https://go.dev/issue/27505).
func (p *process) own(server *rpc.Server, started chan<- error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	input, err := p.cmd.StdinPipe()
	output, err2 := p.cmd.StdoutPipe()
	if err = errors.Join(err, err2); err == nil {
		err = p.cmd.Start()
	}
	started <- err
	if err != nil {
		return
	}
	server.ServeConn(pipes{output, input}) // until its output ends and every call is answered
	p.err = p.cmd.Wait()
	close(p.done)
}

func (p *process) signal(sig syscall.Signal) error { return p.cmd.Process.Signal(sig) }

// kill ends the node as a power failure does, a stopped one too. What it had sent is still taken in.
func (p *process) kill() {
	p.killed.Store(true)
	_ = p.cmd.Process.Kill() // fails only if it has ended
}

// stop tells the node to end in order, and kills it if it has not in time.
func (p *process) stop(patience time.Duration) (inTime bool) {
	p.stopping.Store(true)
	select {
	case <-p.done:
		return true
	case <-time.After(patience):
		p.kill()
		<-p.done
		return false
	}
}

// tail keeps the last of what a node wrote to its standard error.
type tail struct {
	mu   sync.Mutex
	text []byte
}

func (t *tail) Write(p []byte) (int, error) {
	const size = 4000
	t.mu.Lock()
	defer t.mu.Unlock()
	t.text = append(t.text, p...)
	t.text = t.text[max(0, len(t.text)-size):]
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
