//go:build unix

package main

import (
	"bufio"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

// player is the program as a process, in a process group and a temporary
// directory of its own: what it leaves behind is found there.
type player struct {
	t   *testing.T
	cmd *exec.Cmd
	out *bufio.Reader
	tmp string
}

func startPlayer(t *testing.T, args ...string) *player {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := &player{t: t, cmd: exec.Command(path, args...), tmp: t.TempDir()}
	p.cmd.Env = append(os.Environ(), playerEnv+"=1", "TMPDIR="+p.tmp)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	p.cmd.Stderr = os.Stderr
	stdout, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out = bufio.NewReader(stdout)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL) })
	return p
}

// until reads the output up to a line that contains the text.
func (p *player) until(text string) {
	p.t.Helper()
	for {
		line, err := p.out.ReadString('\n')
		if err != nil {
			p.t.Fatalf("the program ended before it said %q: %v", text, err)
		}
		if strings.Contains(line, text) {
			return
		}
	}
}

// end waits for the program and returns the rest of its output and its status.
func (p *player) end() (string, int) {
	p.t.Helper()
	rest, err := io.ReadAll(p.out)
	if err != nil {
		p.t.Fatal(err)
	}
	p.cmd.Wait()
	return string(rest), p.cmd.ProcessState.ExitCode()
}

// gone waits until no process of the group is left.
func (p *player) gone() {
	p.t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !errors.Is(syscall.Kill(-p.cmd.Process.Pid, 0), syscall.ESRCH) {
		if time.Now().After(deadline) {
			p.t.Fatal("processes are left behind")
		}
		<-time.After(10 * time.Millisecond)
	}
}

func (p *player) noFiles() {
	p.t.Helper()
	left, err := os.ReadDir(p.tmp)
	if err != nil || len(left) != 0 {
		p.t.Errorf("files are left behind: %v, %v", left, err)
	}
}

func TestStory(t *testing.T) {
	acts, want := "2,7,8", 3
	if testing.Short() {
		t.Log("-short: acts 7 and 8 are left out")
		acts, want = "2", 1
	}
	p := startPlayer(t, "-acts", acts, "-json")
	out, code := p.end()
	if code != 0 {
		t.Errorf("exit %d\n%s", code, out)
	}
	p.gone()
	p.noFiles()
	story := lastLine(t, out)
	if !story.OK || len(story.Acts) != want || story.Redis != "embedded" || story.Nodes != 3 {
		t.Errorf("story = %+v, want %d acts, all ok", story, want)
	}
	for _, r := range story.Acts {
		if !r.OK || len(r.Checks) == 0 || len(r.Figures) == 0 {
			t.Errorf("act %d = %+v, want ok, with checks and figures", r.Act, r)
		}
	}
}

func TestInterrupt(t *testing.T) {
	for _, args := range [][]string{{"-acts", "3"}, {"-acts", "6", "-real"}} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			if len(args) > 2 {
				redistest.Need(t, "an interrupted demo on a real server")
			}
			p := startPlayer(t, args...)
			p.until("ACT")
			syscall.Kill(-p.cmd.Process.Pid, syscall.SIGINT) // as the terminal does: to the whole group
			if out, code := p.end(); code != 130 {
				t.Errorf("exit %d, want 130\n%s", code, out)
			}
			p.gone()
			p.noFiles()
		})
	}
}

// Even a director that cannot clean up leaves no node behind.
func TestKilledDirector(t *testing.T) {
	p := startPlayer(t, "-acts", "3")
	p.until("ACT")
	p.cmd.Process.Kill()
	p.end()
	p.gone()
}
