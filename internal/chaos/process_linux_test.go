package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/tiercache/tiercache/internal/redistest"
)

// However the command ends, nothing of it is left: no server, no node, not even a frozen one.
func TestNothingIsLeft(t *testing.T) {
	redistest.Need(t, "the end of chaos")
	for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGKILL} {
		t.Run(sig.String(), func(t *testing.T) {
			cmd := exec.Command(os.Args[0], "-for", "60s", "-seed", "1", "-faults", "link reset")
			cmd.Env = append(os.Environ(), mainEnv+"=1")
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			defer cmd.Process.Kill()
			var children []int
			wait(t, "a server and three nodes run", func() bool {
				children = childrenOf(cmd.Process.Pid)
				return len(children) == 4
			})
			for _, pid := range children {
				if strings.Contains(commandOf(pid), filepath.Base(os.Args[0])) { // a node
					if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
						t.Fatal(err)
					}
					break
				}
			}
			if err := cmd.Process.Signal(sig); err != nil {
				t.Fatal(err)
			}
			if err := cmd.Wait(); err == nil {
				t.Error("the status is 0, though nothing was shown")
			}
			wait(t, "all children are gone", func() bool {
				for _, pid := range children {
					if commandOf(pid) != "" {
						return false
					}
				}
				return true
			})
		})
	}
}

func wait(t *testing.T, what string, done func() bool) {
	t.Helper()
	if err := await(t.Context(), what, time.Minute, func() error {
		if !done() {
			return fmt.Errorf("not yet")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// childrenOf reads /proc.
func childrenOf(parent int) (pids []int) {
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, name := range stats {
		text, _ := os.ReadFile(name) // it may be gone
		_, rest, _ := strings.Cut(string(text), ") ")
		if fields := strings.Fields(rest); len(fields) > 1 && fields[1] == strconv.Itoa(parent) {
			pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(name)))
			pids = append(pids, pid)
		}
	}
	return pids
}

// commandOf returns the command line, "" if the process is gone or a zombie.
func commandOf(pid int) string {
	text, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	return string(text)
}
