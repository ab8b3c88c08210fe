package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"slices"
	"strings"
	"time"
)

// options are the flags.
type options struct {
	nodes       int
	length      time.Duration
	seed        uint64
	json        bool
	topology    string
	redis       string
	destructive bool
	failovers   int
	warm        time.Duration
	kinds       []string // of faults; none: all
	strong      bool
	least       int
	html        string
}

var topologies = []string{"standalone", "sentinel", "cluster"}

func parseOptions(args []string, stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("chaos", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.IntVar(&o.nodes, "nodes", 3, "number of node processes, 2 to 16")
	fs.DurationVar(&o.length, "for", time.Minute, "length of the run")
	fs.Uint64Var(&o.seed, "seed", 0, "`seed` of what is done and broken (default random, and printed)")
	fs.BoolVar(&o.json, "json", false, "print the result as one JSON object on the last line")
	fs.StringVar(&o.topology, "topology", "standalone", "Redis to start: "+strings.Join(topologies, ", "))
	fs.StringVar(&o.redis, "redis", "", "`host:port` of a running Redis to use; nothing in it is touched but the keys of this run")
	fs.BoolVar(&o.destructive, "destructive", false, "with -redis: FLUSHALL it, flush its scripts and disconnect its subscribers")
	fs.IntVar(&o.failovers, "failovers", 0, "instead of a random run, kill -9 this `many` masters one after the other")
	fs.DurationVar(&o.warm, "warm", 0, "coherence.Config.Warm of the nodes: values in Redis are kept over failovers no longer than that")
	fs.BoolVar(&o.strong, "strong", false, "caches are tiered.Strong, and their histories must be linearizable")
	fs.IntVar(&o.least, "least", 0, "with -strong: go on until this `many` operations were checked")
	fs.StringVar(&o.html, "html", "", "with -strong: `directory` for drawings of what is not linearizable (default a temporary one)")
	kinds := fs.String("faults", "", "only these `kinds` of faults, separated by semicolons, as a run prints them")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if *kinds != "" {
		for kind := range strings.SplitSeq(*kinds, ";") {
			o.kinds = append(o.kinds, strings.TrimSpace(kind))
		}
	}
	if o.seed == 0 {
		o.seed = rand.Uint64()>>32 + 1
	}
	return o, o.validate(fs.NArg())
}

// validate names every fault at once.
func (o options) validate(rest int) error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if o.nodes < 2 || o.nodes > 16 {
		fault("-nodes %d: need 2 to 16", o.nodes)
	}
	if o.length < time.Second {
		fault("-for %v: need a second at least", o.length)
	}
	if !slices.Contains(topologies, o.topology) {
		fault("-topology %q: need one of %s", o.topology, strings.Join(topologies, ", "))
	}
	if o.redis != "" {
		if _, _, err := net.SplitHostPort(o.redis); err != nil {
			fault("-redis: need host:port: %w", err)
		}
		if o.topology != "standalone" {
			fault("-redis and -topology %s exclude each other", o.topology)
		}
	}
	if o.destructive && o.redis == "" {
		fault("-destructive is for -redis: a private Redis is not spared anyway")
	}
	if o.failovers < 0 {
		fault("-failovers %d is negative", o.failovers)
	}
	if o.failovers > 0 && o.topology == "standalone" {
		fault("-failovers needs -topology sentinel or cluster")
	}
	if o.warm < 0 || o.warm > 0 && o.warm < 2*bound {
		fault("-warm %v: need %v at least", o.warm, 2*bound)
	}
	if o.warm > 0 && o.topology == "cluster" {
		fault("-warm and -topology cluster exclude each other")
	}
	if o.failovers > 0 && len(o.kinds) > 0 {
		fault("-failovers and -faults exclude each other")
	}
	if (o.html != "" || o.least != 0) && !o.strong {
		fault("-html and -least are for -strong")
	}
	if o.least != 0 && o.failovers > 0 {
		fault("-failovers and -least exclude each other")
	}
	if rest > 0 {
		fault("arguments are not expected, only flags")
	}
	return errors.Join(faults...)
}
