// Multinode runs a small shop on several operating system processes that share
// one Redis and one SQLite file, breaks things on purpose, and shows what the
// customers were served:
//
//	go run ./examples/multinode
//
// The program is director and node at once: the director starts itself again,
// once for every node, and speaks to the nodes over their standard input and
// output. A node whose input ends exits, so nothing is left behind even if the
// director is killed.
//
// Exit status: 0 every promise was kept, 1 a promise broke or the run failed,
// 2 wrong flags, 130 interrupted.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// runLimit ends a run that hangs. A run of all acts takes about 50 s.
const runLimit = 3 * time.Minute

func main() {
	if raw, ok := os.LookupEnv(nodeEnv); ok {
		os.Exit(nodeMain(raw))
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// run is main without the process: it returns the exit status.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	opts, err := parseOptions(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		fmt.Fprintln(stderr, "multinode:", err)
		return 2
	}
	limited, cancel := context.WithTimeout(ctx, runLimit)
	defer cancel()

	screen := newScreen(stdout)
	programme, err := perform(limited, opts, screen)
	if ctx.Err() != nil {
		fmt.Fprintln(stderr, "multinode: interrupted")
		return 130
	}
	if err != nil {
		programme.OK, programme.Error = false, err.Error()
	}
	programme.Seconds = screen.elapsed().Seconds()
	screen.table(programme)
	if err != nil {
		fmt.Fprintln(stderr, "multinode:", err)
	}
	if opts.json {
		if err := programme.writeJSON(stdout); err != nil {
			fmt.Fprintln(stderr, "multinode:", err)
			return 1
		}
	}
	if !programme.OK {
		return 1
	}
	return 0
}

// perform sets the stage, plays the chosen acts and clears the stage again,
// whatever happened in between.
func perform(ctx context.Context, opts options, screen *screen) (p Programme, err error) {
	p = Programme{Acts: []Result{}, Seed: opts.seed, Nodes: opts.nodes, Redis: opts.backendKind()}
	d := &director{opts: opts, screen: screen}
	defer func() { err = errors.Join(err, d.close()) }()
	if err := d.open(ctx); err != nil {
		return p, fmt.Errorf("setting the stage: %w", err)
	}
	p.OK = true
	for _, act := range opts.acts {
		result, err := d.play(ctx, act)
		p.add(result)
		if err != nil {
			return p, fmt.Errorf("act %d: %w", act, err)
		}
	}
	return p, nil
}
