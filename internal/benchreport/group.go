package main

import (
	"fmt"
	"slices"
	"strings"
)

// A group is a benchmark of the root package.
type group struct {
	name   string
	about  string   // what the plot's axis shows
	floors []string // variants that others are compared with: the first that a case has
	rules  []rule
	higher bool // more is better
	steady bool // hardly varies: two rounds are enough

	quick, full string // -test.benchtime
}

// A rule names the metrics of the cases that begin with a prefix; the first is the
// group's figure.
type rule struct {
	prefix  string
	metrics []string
}

var (
	processor = []string{"client-cpu-ns/op", "redis-cpu-ns/op"}
	timing    = append([]string{"ns/op", "p50-ns", "p99-ns"}, processor...)
)

var groups = []group{
	{name: "LocalHit", about: "time of a hit in memory, over a plain map's", floors: []string{"map"},
		rules: []rule{{"", []string{"ns/op", "allocs/op"}}}, quick: "20ms", full: "500ms"},
	{name: "RemoteHit", about: "time per read from Redis, over go-redis GET of bytes", floors: []string{"goredis bytes"},
		rules: []rule{{"", timing}}, quick: "30ms", full: "500ms"},
	{name: "Miss", about: "time per miss, over GET and SET by go-redis", floors: []string{"goredis"},
		rules: []rule{{"", timing}}, quick: "30ms", full: "500ms"},
	{name: "Herd", about: "time until 512 callers have a cold key, over singleflight", floors: []string{"singleflight"},
		rules: []rule{{"", []string{"ns/op", "loads/herd", "redis-cmds/herd"}}}, quick: "100ms", full: "1s"},
	{name: "Propagation", about: "median delay of a change (rate) and time per message (flow, apply), over PUBLISH",
		floors: []string{"goredis-pubsub"},
		rules: []rule{
			{"rate=", []string{"p50-ns", "p99-ns"}},
			{"flow=batched", append([]string{"ns/op", "keys/s"}, processor...)},
			{"flow=", append([]string{"ns/op"}, processor...)},
			{"apply=", []string{"ns/op", "messages/s", "keys/s"}},
		}, quick: "200ms", full: "2s"},
	{name: "Update", about: "time of a write, over two round trips of two scripts", floors: []string{"goredis-2x2-evalsha"},
		rules: []rule{{"", timing}}, quick: "30ms", full: "500ms"},
	{name: "FanIn", about: "time of a write that all nodes confirm first, over one that they do not", floors: []string{"bounded"},
		rules: []rule{{"", slices.Concat(timing, []string{"publishes/op", "rest-redis-ns/probe"})}}, quick: "200ms", full: "2s"},
	{name: "GetMany", about: "time of 100 keys, over a map, MGET, or both", floors: []string{"map", "goredis-mget", "map-mget"},
		rules: []rule{{"", []string{"ns/op", "allocs/op"}}}, quick: "30ms", full: "500ms"},
	{name: "Codec", about: "time per value, over msgpack.Marshal and Unmarshal", floors: []string{"msgpack"},
		rules: []rule{{"", []string{"ns/op", "allocs/op"}}}, quick: "20ms", full: "500ms"},
	{name: "Memory", about: "heap per entry beyond key and value, over a map's", floors: []string{"map"},
		rules: []rule{{"", []string{"B/entry"}}}, steady: true, quick: "1x", full: "1x"},
	{name: "HitRatio", about: "hit ratio, over that of the hottest keys, held for good", floors: []string{"fixed"},
		rules: []rule{{"", []string{"hit-ratio"}}}, higher: true, steady: true, quick: "1x", full: "1x"},
}

func groupOf(name string) (group, error) {
	var known []string
	for _, g := range groups {
		if g.name == name {
			return g, nil
		}
		known = append(known, g.name)
	}
	return group{}, fmt.Errorf("no group %q: there are %s", name, strings.Join(known, ", "))
}

// metrics returns what is compared in a case.
func (g group) metrics(kase string) []string {
	for _, r := range g.rules {
		if strings.HasPrefix(kase, r.prefix) {
			return r.metrics
		}
	}
	return nil
}

// floor returns the variant that the others of a case are compared with.
func (g group) floor(variants []string) (string, bool) {
	for _, f := range g.floors {
		for _, v := range variants {
			if v == f {
				return f, true
			}
		}
	}
	return "", false
}
