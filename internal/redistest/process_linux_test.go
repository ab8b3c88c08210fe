package redistest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"regexp"
	"testing"
)

// TestServerDiesWithTheTest runs this test again in a process that panics with a server running.
func TestServerDiesWithTheTest(t *testing.T) {
	const child = "REDISTEST_PANIC"
	if os.Getenv(child) != "" {
		s, err := StartServer() // not RunServer, whose cleanup runs on a panic too
		if err != nil {
			t.Fatal(err)
		}
		panic("server at " + s.Addr() + ".")
	}
	noLeak(t)
	Need(t, t.Name())
	dir := t.TempDir() // the panic leaves files behind, too
	cmd := exec.Command(os.Args[0], "-test.run=^TestServerDiesWithTheTest$")
	cmd.Env = append(os.Environ(), child+"=1", "TMPDIR="+dir)
	out, err := cmd.CombinedOutput()
	addr := regexp.MustCompile(`server at ([0-9.:]+)\.`).FindSubmatch(out)
	if err == nil || addr == nil {
		t.Fatalf("the child did not panic: %v\n%s", err, out)
	}
	eventually(t, func(context.Context) error {
		if reachable(string(addr[1])) == nil {
			return errors.New("the server outlived the test process")
		}
		return nil
	})
}
