package simulation

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/tiered"
)

// Config describes a run.
type Config struct {
	Nodes int
	Keys  int
	Seed  uint64
	Times Times

	// Wrap puts something between the fleet and its caches, to break them; nil: nothing.
	Wrap func(Store) Store
}

// Fleet is a number of processes that share a Redis and a source.
type Fleet struct {
	Ledger *Ledger

	cfg    Config
	times  Times
	rig    Rig
	freeze *freeze
	keys   []string
	silent []string // keys that are written behind the fleet's back
	dice   *dice

	mu      sync.Mutex
	members []*member // by slot; nil while one is being replaced
	born    []int     // incarnations so far
	gone    bool      // no replacements any more

	running sync.WaitGroup // what clears away the dead
	herds   atomic.Int64
	pace    atomic.Int64 // mean pause of a worker, ns; 0: they rest
	busy    atomic.Int64 // operations of workers under way
	jitter  atomic.Int64 // the longest that a read from a connection is held back, ns
	deck    []fault      // of the director alone
	power   power
	frozen  bool   // guarded by power
	epoch   uint64 // the highest seen in Redis; guarded by power
	unmet   bool   // Redis came back on a snapshot and no node has said so; guarded by power
}

// New starts a fleet on a rig, which stays the caller's to close. The fleet is in step when it returns.
func New(ctx context.Context, rig Rig, cfg Config) (*Fleet, error) {
	f := &Fleet{
		cfg: cfg, times: cfg.Times, rig: rig, freeze: &freeze{}, power: make(power, 1), dice: newDice(cfg.Seed),
		members: make([]*member, cfg.Nodes), born: make([]int, cfg.Nodes),
	}
	for i := range cfg.Keys {
		f.keys = append(f.keys, fmt.Sprintf("k%02d", i))
	}
	f.silent = []string{"s0", "s1", "s2"}
	f.Ledger = newLedger(cfg.Times, f.keys, f.silent)
	for _, key := range f.keys[:cfg.Keys*3/4] {
		f.Ledger.seed(key)
	}
	for slot := range f.members {
		m, err := f.start(ctx, slot, 0)
		if err != nil {
			return nil, errors.Join(err, f.Close())
		}
		f.members[slot] = m
	}
	return f, nil
}

// Close ends all processes. Violations of an orderly shutdown are in the ledger.
func (f *Fleet) Close() error {
	f.mu.Lock()
	f.gone = true
	members := f.members
	f.members = make([]*member, len(members))
	f.mu.Unlock()
	for _, m := range members {
		if m != nil && !m.closing.Swap(true) {
			f.close(m)
		}
	}
	f.running.Wait()
	return nil
}

func (f *Fleet) wrap(s Store) Store {
	if f.cfg.Wrap == nil {
		return s
	}
	return f.cfg.Wrap(s)
}

// member returns the process in a slot, nil if there is none just now.
func (f *Fleet) member(slot int) *member {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.members[slot]
}

// alive returns the processes that are neither dead nor closing.
func (f *Fleet) alive() []*member {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []*member
	for _, m := range f.members {
		if m != nil && !m.closing.Load() {
			out = append(out, m)
		}
	}
	return out
}

// some returns a process at random, nil if there is none.
func (f *Fleet) some() *member {
	alive := f.alive()
	if len(alive) == 0 {
		return nil
	}
	return alive[f.dice.below(len(alive))]
}

// leave closes a process in order, under whatever load there is, and starts its successor (I18).
func (f *Fleet) leave(m *member) {
	if m.closing.Swap(true) {
		return
	}
	f.Ledger.count("fault: leave under load")
	f.running.Go(func() { f.close(m) })
	f.running.Go(func() { f.replace(m) })
}

// replace starts a successor.
func (f *Fleet) replace(m *member) {
	f.mu.Lock()
	if f.gone || f.members[m.slot] != m {
		f.mu.Unlock()
		return
	}
	f.members[m.slot] = nil
	f.born[m.slot]++
	incarnation := f.born[m.slot]
	f.mu.Unlock()

	next, err := f.start(context.Background(), m.slot, incarnation)
	if err != nil {
		f.Ledger.violate("", "Join of n%d.%d: %v", m.slot, incarnation, err)
		return
	}
	f.mu.Lock()
	late := f.gone
	if !late {
		f.members[m.slot] = next
	}
	f.mu.Unlock()
	if late {
		next.closing.Store(true)
		f.close(next)
	}
}

// hold is what the network adds to every read from a connection.
func (f *Fleet) hold() {
	if longest := time.Duration(f.jitter.Load()); longest > 0 {
		time.Sleep(f.dice.upTo(longest))
	}
}

// longestHold is well below a timeout: a handshake is several reads.
func (f *Fleet) longestHold() time.Duration { return min(2*f.times.Latency, f.times.Timeout/10) }

func (f *Fleet) redisKey(key string) string { return fleetName + ":" + cacheName + ":" + key }

func (f *Fleet) event(m *member, e coherence.Event) {
	if e.Kind == coherence.EventOverflow {
		m.spilled.Store(true)
	}
	f.Ledger.count("event: " + e.Kind.String())
	f.Ledger.note("%s: %s", m.name, e)
}

// sum adds a process's counters to those of the fleet.
func (f *Fleet) sum(s tiered.Stats, n coherence.Stats) {
	for what, count := range map[string]uint64{
		"local hits": s.LocalHits, "remote hits": s.RemoteHits, "misses": s.Misses, "waits": s.Waits,
		"refreshes": s.Refreshes, "served stale": s.StaleServed, "weak loads": s.WeakLoads, "bypassed": s.Bypassed,
		"refused fills": s.RefusedFills, "written through": s.WrittenThrough, "not written": s.NotWritten,
		"unconfirmed": s.Unconfirmed, "corrupt": s.Corrupt,
		"probes": n.Probes, "messages": n.Messages, "repaired": n.Repaired, "forks": n.Forks, "kept": n.Kept, "repeated": n.Repeated,
	} {
		f.Ledger.add(what, int(count))
	}
}

// ready waits until every process is in step; it reports those that are not in time.
func (f *Fleet) ready(patience time.Duration) bool {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for slot := range f.members {
		if !f.slotReady(ctx, slot) {
			f.Ledger.violate("", "slot %d is not in step %v after everything was healed", slot, patience)
			return false
		}
	}
	return true
}

func (f *Fleet) slotReady(ctx context.Context, slot int) bool {
	for ctx.Err() == nil {
		m := f.member(slot)
		if m == nil || m.closing.Load() {
			_ = sleep(ctx, f.times.Probe)
			continue
		}
		if m.node.Ready(ctx) == nil {
			return true
		}
	}
	return false
}

// dice is a source of chance that goroutines share.
type dice struct {
	mu   sync.Mutex
	rand *rand.Rand
	zipf *rand.Zipf
}

func newDice(seed uint64) *dice {
	r := rand.New(rand.NewPCG(seed, 1))
	return &dice{rand: r, zipf: rand.NewZipf(r, 1.3, 2, 1<<20)}
}

func (d *dice) below(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rand.IntN(n)
}

func (d *dice) chance(p float64) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rand.Float64() < p
}

// skewed returns a number below n; small ones are more likely.
func (d *dice) skewed(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return int(d.zipf.Uint64() % uint64(n))
}

// about returns a duration with the given mean, exponentially distributed.
func (d *dice) about(mean time.Duration) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Duration(d.rand.ExpFloat64() * float64(mean))
}

// upTo returns a duration below the limit, evenly distributed.
func (d *dice) upTo(limit time.Duration) time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Duration(d.rand.Float64() * float64(limit))
}

func (d *dice) shuffled(deck []fault) []fault {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := slices.Clone(deck)
	d.rand.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}
