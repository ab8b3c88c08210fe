package tiercache_test

import (
	"flag"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
)

var restTime = flag.Duration("suite.rest", time.Second, "how long group Scale watches nodes that do nothing")

// BenchmarkScale: what a fleet costs one Redis, by its size: at rest, and for one
// announcement after the other. All nodes live in this process, each with connections
// of its own.
func BenchmarkScale(b *testing.B) {
	heap := liveHeap() // once: the nodes of a run that has ended may be held by timers for a while
	for _, size := range []int{1, 10, 100} {
		b.Run("lib=tiercache/nodes="+strconv.Itoa(size), func(b *testing.B) {
			addr := redistest.RunServer(b).Addr()
			aside := goRedis(b, addr)
			routines := runtime.NumGoroutine()
			nodes := joinMany(b, addr, size)
			perNode := func(total, before int) float64 { return float64(total-before) / float64(size) }
			heapNode, routinesNode := perNode(int(liveHeap()), int(heap)), perNode(runtime.NumGoroutine(), routines)

			rest := newUsage(b, aside, nodes)
			time.Sleep(*restTime) // what is measured
			rest = rest.since(b)

			space, err := nodes[0].Space(coherence.SpaceConfig{Name: "s"})
			if err != nil {
				b.Fatal(err)
			}
			b.ResetTimer()
			work := newUsage(b, aside, nodes)
			for i := range b.N {
				if err := space.Announce(b.Context(), strconv.Itoa(i)); err != nil {
					b.Fatal(err)
				}
			}
			for end := time.Now().Add(patience); !heardAll(nodes, uint64(b.N)); time.Sleep(time.Millisecond) { // polls
				if time.Now().After(end) {
					b.Fatal("an announcement was not applied everywhere")
				}
			}
			b.StopTimer()
			work = work.since(b)

			idle := float64(rest.server) / float64(rest.wall)
			busy := float64(work.server) - idle*float64(work.wall) // without the probes
			b.ReportMetric(float64(rest.probes)/rest.wall.Seconds(), "probes/s")
			b.ReportMetric(100*idle, "redis-%-at-rest")
			b.ReportMetric(float64(rest.server)/float64(rest.probes), "redis-ns/probe")
			b.ReportMetric(float64(rest.client)/float64(rest.probes), "client-ns/probe")
			b.ReportMetric(busy/float64(b.N), "redis-ns/announcement")
			b.ReportMetric(float64(work.messages)/float64(b.N), "messages/announcement")
			b.ReportMetric(heapNode, "heap-B/node")
			b.ReportMetric(routinesNode, "goroutines/node")
		})
	}
}

// joinMany opens nodes, a few at a time.
func joinMany(b *testing.B, addr string, size int) []*coherence.Node {
	nodes := make([]*coherence.Node, size)
	var opening sync.WaitGroup
	few := make(chan struct{}, 8)
	for i := range nodes {
		few <- struct{}{}
		opening.Go(func() {
			defer func() { <-few }()
			node, done, err := join(b.Context(), addr)
			if err != nil {
				b.Error(err)
				return
			}
			b.Cleanup(done)
			nodes[i] = node
		})
	}
	opening.Wait()
	if b.Failed() {
		b.FailNow()
	}
	return nodes
}

// usage is what the nodes and Redis have done and taken since a moment.
type usage struct {
	begin            time.Time
	read             func(b *testing.B) usage
	wall             time.Duration
	server, client   time.Duration // processor time
	probes, messages uint64
}

func newUsage(b *testing.B, aside *redis.Client, nodes []*coherence.Node) usage {
	var read func(b *testing.B) usage
	read = func(b *testing.B) usage {
		u := usage{begin: time.Now(), read: read, server: serverTime(b, aside), client: processTime()}
		for _, n := range nodes {
			s := n.Stats()
			u.probes, u.messages = u.probes+s.Probes, u.messages+s.Messages
		}
		return u
	}
	return read(b)
}

func (u usage) since(b *testing.B) usage {
	now := u.read(b)
	return usage{
		wall: now.begin.Sub(u.begin), server: now.server - u.server, client: now.client - u.client,
		probes: now.probes - u.probes, messages: now.messages - u.messages,
	}
}

func heardAll(nodes []*coherence.Node, messages uint64) bool {
	for _, n := range nodes {
		if s := n.Stats(); s.Messages+s.Repaired < messages {
			return false
		}
	}
	return true
}
