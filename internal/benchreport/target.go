package main

import (
	"fmt"
	"strings"
)

// A target is what tiercache is to reach in a group, as a ratio to another variant
// in the same round, or as an absolute value.
type target struct {
	group, kase, metric string
	against             string // a variant; empty: absolute
	inverse             bool   // speed instead of time: against over ours
	atLeast             bool   // the limit is a lower one
	limit               float64
}

func (t target) variant() string {
	if t.group == "RemoteHit" {
		return "tiercache decoded"
	}
	return "tiercache"
}

func targets() []target {
	var all []target
	add := func(t target) { all = append(all, t) }
	for _, kase := range []string{"keys=hot/par=1", "keys=hot/par=cores", "keys=zipf/par=1", "keys=zipf/par=cores"} {
		add(target{group: "LocalHit", kase: kase, metric: "ns/op", against: "ristretto-ttl", limit: 0.5})
		add(target{group: "LocalHit", kase: kase, metric: "allocs/op", limit: 0})
	}
	add(target{group: "RemoteHit", kase: "callers=1", metric: "ns/op", against: "goredis decoded", inverse: true, atLeast: true, limit: 0.95})
	add(target{group: "RemoteHit", kase: "callers=64", metric: "ns/op", against: "goredis bytes", inverse: true, atLeast: true, limit: 2.5})
	add(target{group: "RemoteHit", kase: "callers=512", metric: "ns/op", against: "goredis bytes", inverse: true, atLeast: true, limit: 5})
	add(target{group: "RemoteHit", kase: "callers=512", metric: "client-cpu-ns/op", against: "goredis decoded", limit: 0.5})
	add(target{group: "RemoteHit", kase: "callers=512", metric: "p99-ns", against: "rueidis decoded", limit: 1})
	for _, procs := range []struct {
		kase  string
		limit float64
	}{{"procs=1", 1.05}, {"procs=4", 1.10}} {
		add(target{group: "Herd", kase: procs.kase, metric: "loads/herd", limit: 1})
		add(target{group: "Herd", kase: procs.kase, metric: "ns/op", against: "singleflight", limit: procs.limit})
	}
	for _, kase := range []string{"rate=200", "rate=5000", "rate=200/load=reads", "rate=5000/load=reads"} {
		add(target{group: "Propagation", kase: kase, metric: "p50-ns", against: "goredis-pubsub", limit: 1.15})
		add(target{group: "Propagation", kase: kase, metric: "p99-ns", against: "goredis-pubsub", limit: 1.15})
	}
	add(target{group: "Propagation", kase: "apply=single", metric: "messages/s", atLeast: true, limit: 0.4e6})
	add(target{group: "Propagation", kase: "apply=batched", metric: "keys/s", atLeast: true, limit: 4e6})
	for _, kase := range []string{"callers=1", "callers=64"} {
		add(target{group: "Update", kase: kase, metric: "ns/op", against: "goredis-2x2-evalsha", limit: 1.25})
	}
	add(target{group: "GetMany", kase: "tier=local", metric: "ns/op", against: "sturdyc", limit: 1})
	add(target{group: "GetMany", kase: "tier=remote", metric: "ns/op", against: "goredis-mget", limit: 1.15})
	add(target{group: "Codec", kase: "op=encode", metric: "ns/op", against: "msgpack", limit: 0.51})
	add(target{group: "Codec", kase: "op=decode", metric: "ns/op", against: "msgpack", limit: 1.02})
	add(target{group: "Memory", kase: "", metric: "B/entry", limit: 276})
	for _, kase := range []string{"trace=zipf0.8/room=10%", "trace=zipf0.99/room=10%", "trace=zipf0.99/room=1%",
		"trace=zipf1.2/room=1%", "trace=scan/room=10%", "trace=loop/room=10%"} {
		add(target{group: "HitRatio", kase: kase, metric: "hit-ratio", against: "fixed", atLeast: true, limit: 0.96})
	}
	return all
}

// reached returns what a run has reached, if it has measured it.
func (t target) reached(r raw) (spread, bool) {
	own := r.series(t.variant(), t.kase, t.metric)
	values := valuesOf(own)
	switch peer := r.series(t.against, t.kase, t.metric); {
	case t.inverse:
		values = within(peer, own)
	case t.against != "":
		values = within(own, peer)
	}
	if len(values) == 0 {
		return spread{}, false
	}
	return spreadOf(values), true
}

// meets says whether the median is within the limit.
func (t target) meets(s spread) bool {
	if t.atLeast {
		return s.median >= t.limit
	}
	return s.median <= t.limit
}

func (t target) format(v float64) string {
	if t.against != "" {
		return times(v)
	}
	return amount(v, t.metric)
}

func (t target) String() string {
	sign := "at most "
	if t.atLeast {
		sign = "at least "
	}
	s := sign + t.format(t.limit)
	if t.against != "" {
		s += " of " + t.against
	}
	what := t.metric
	if t.inverse {
		what = "operations/s"
	}
	return what + " " + s
}

// targetTable is the part of docs/performance.md that tells where we stand.
func targetTable(results map[string]raw) string {
	var s strings.Builder
	s.WriteString("| group | case | target | here: median (min to max) | met |\n| --- | --- | --- | --- | --- |\n")
	for _, t := range targets() {
		got, met := "not measured", ""
		if reached, ok := t.reached(results[t.group]); ok {
			got = fmt.Sprintf("%s (%s to %s)", t.format(reached.median), t.format(reached.min), t.format(reached.max))
			met = map[bool]string{true: "yes", false: "no"}[t.meets(reached)]
		}
		fmt.Fprintf(&s, "| %s | %s | %v | %s | %s |\n", t.group, strings.ReplaceAll(t.kase, "/", ", "), t, got, met)
	}
	return s.String()
}
