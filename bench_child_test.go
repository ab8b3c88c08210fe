package tiercache_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// childOrder names the environment variable that makes the test binary a process of
// group Herd: "<library> <address of Redis>". It then reads lines "<callers> <key>"
// and answers each with "<loads> <error>"; it ends with its standard input.
const childOrder = "TIERCACHE_BENCH_HERD"

func serveHerds(order string) int {
	name, addr, _ := strings.Cut(order, " ")
	h, done, err := openHerd(context.Background(), name, addr)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer done()
	fmt.Println("ready")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var n int
		var key string
		if _, err := fmt.Sscan(lines.Text(), &n, &key); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		loads, err := h.ask(key, n)
		fmt.Printf("%d %q\n", loads, fmt.Sprint(err))
	}
	return 0
}

// A child is another process of this test binary.
type child struct {
	in  io.WriteCloser
	out *bufio.Scanner
}

func startChildren(b *testing.B, name, addr string, n int) []*child {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	children := make([]*child, n)
	for i := range children {
		cmd := exec.Command(self)
		cmd.Env = append(os.Environ(), childOrder+"="+name+" "+addr)
		cmd.Stderr = os.Stderr
		in, e1 := cmd.StdinPipe()
		out, e2 := cmd.StdoutPipe()
		if err := errors.Join(e1, e2, cmd.Start()); err != nil {
			b.Fatal(err)
		}
		b.Cleanup(func() {
			_ = in.Close() // ends it
			if err := cmd.Wait(); err != nil {
				b.Errorf("child: %v", err)
			}
		})
		children[i] = &child{in, bufio.NewScanner(out)}
	}
	for _, c := range children {
		if !c.out.Scan() || c.out.Text() != "ready" {
			b.Fatalf("child: %q, %v", c.out.Text(), c.out.Err())
		}
	}
	return children
}

// askAll has every child send n callers after key and sums their loads.
func askAll(children []*child, key string, n int) (loads int64, err error) {
	for _, c := range children {
		if _, err := fmt.Fprintln(c.in, n, key); err != nil {
			return 0, err
		}
	}
	for _, c := range children {
		if !c.out.Scan() {
			return 0, errors.Join(errors.New("a child has ended"), c.out.Err())
		}
		var n int64
		var said string
		if _, err := fmt.Sscanf(c.out.Text(), "%d %q", &n, &said); err != nil {
			return 0, err
		}
		if said != "<nil>" {
			return 0, errors.New(said)
		}
		loads += n
	}
	return loads, nil
}
