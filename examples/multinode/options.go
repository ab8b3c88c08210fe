package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"strconv"
	"strings"
)

// options are the flags of the director.
type options struct {
	nodes int
	redis string // address of a Redis that is not ours; empty: our own
	real  bool   // our own is a redis-server from PATH, not the embedded one
	acts  []int
	json  bool
	seed  uint64
}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var opts options
	var list string
	fs := flag.NewFlagSet("multinode", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.IntVar(&opts.nodes, "nodes", 3, "number of node processes, 2 to 16")
	fs.StringVar(&opts.redis, "redis", "", "`address` of a running Redis; only keys of this run are touched, and removed at the end")
	fs.BoolVar(&opts.real, "real", false, "start a redis-server found in PATH instead of the embedded Redis")
	fs.StringVar(&list, "acts", "", "`acts` to play, such as 1,3,6 (default all)")
	fs.BoolVar(&opts.json, "json", false, "print every measured figure as one JSON object on the last line")
	fs.Uint64Var(&opts.seed, "seed", 0, "`seed` of prices, keys and nodes chosen (default random, and printed)")
	if err := fs.Parse(args); err != nil {
		return options{}, err
	}
	acts, err := parseActs(list)
	opts.acts = acts
	return opts.complete(), errors.Join(err, opts.validate(fs.NArg()))
}

func (o options) complete() options {
	if o.seed == 0 {
		o.seed = rand.Uint64()>>32 + 1
	}
	return o
}

func (o options) validate(rest int) error {
	var errs []error
	if o.nodes < 2 || o.nodes > 16 {
		errs = append(errs, fmt.Errorf("-nodes %d: need 2 to 16", o.nodes))
	}
	if o.real && o.redis != "" {
		errs = append(errs, errors.New("-real and -redis exclude each other"))
	}
	if rest > 0 {
		errs = append(errs, errors.New("arguments are not expected, only flags"))
	}
	return errors.Join(errs...)
}

// backendKind says which Redis the flags ask for.
func (o options) backendKind() string {
	switch {
	case o.redis != "":
		return "external"
	case o.real:
		return "redis-server"
	}
	return "embedded"
}

// backendName is backendKind in words.
func (o options) backendName() string {
	switch o.backendKind() {
	case "external":
		return "the Redis at " + o.redis
	case "redis-server":
		return "a redis-server"
	}
	return "an embedded Redis"
}

// parseActs reads "1,3,6"; an empty list means all acts.
func parseActs(list string) ([]int, error) {
	var acts []int
	if list == "" {
		for i := range script {
			acts = append(acts, i+1)
		}
		return acts, nil
	}
	for field := range strings.SplitSeq(list, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(field))
		if err != nil || n < 1 || n > len(script) {
			return nil, fmt.Errorf("-acts %q: %q is not an act from 1 to %d", list, field, len(script))
		}
		acts = append(acts, n)
	}
	return acts, nil
}
