package tiered

import (
	"context"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/gather"
)

// lookLimits: four round trips under way keep client and server busy, and the
// answers to one take about two milliseconds on a network of 1 Gbit/s.
var lookLimits = gather.Limits{Slots: 4, Most: 256, Bytes: 256 << 10}

// looks are the round trips that reads of single keys share: see package gather. A
// Cluster has some for each node, so that one that does not answer holds up nobody
// who asks another.
type looks struct {
	cluster *redis.ClusterClient // nil: one server
	limits  gather.Limits
	send    func([]*gather.Request[query]) int

	mu    sync.RWMutex
	nodes map[string]*gather.Gatherer[query] // by address
	one   *gather.Gatherer[query]
	spare sync.Pool // requests for reuse
}

func newLooks(rdb redis.UniversalClient, timeout time.Duration, send func([]*gather.Request[query]) int) *looks {
	limits := lookLimits
	limits.Time = timeout
	l := &looks{limits: limits, send: send, one: gather.New(limits, send), nodes: map[string]*gather.Gatherer[query]{}}
	l.cluster, _ = rdb.(*redis.ClusterClient)
	return l
}

func (l *looks) request() *gather.Request[query] {
	if q, ok := l.spare.Get().(*gather.Request[query]); ok {
		return q
	}
	return gather.NewRequest[query]()
}

// of returns the gatherer for a key.
func (l *looks) of(ctx context.Context, key string) *gather.Gatherer[query] {
	if l.cluster == nil {
		return l.one
	}
	master, err := l.cluster.MasterForKey(ctx, key)
	if err != nil {
		return l.one // where the key lives is found out by who sends it
	}
	addr := master.Options().Addr
	l.mu.RLock()
	g := l.nodes[addr]
	l.mu.RUnlock()
	if g == nil {
		g = l.open(addr)
	}
	return g
}

func (l *looks) open(addr string) *gather.Gatherer[query] {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.nodes[addr] == nil {
		l.nodes[addr] = gather.New(l.limits, l.send)
	}
	return l.nodes[addr]
}

// close waits for what is under way. Nobody asks any more.
func (l *looks) close() {
	l.one.Close()
	for _, g := range l.nodes {
		g.Close()
	}
}
