package tiercache_test

import (
	"cmp"
	"container/heap"
	"context"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/dgraph-io/ristretto/v2"
	"github.com/maypok86/otter/v2"
	"github.com/viccon/sturdyc"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// BenchmarkHitRatio: the share of accesses that the local tier answers, in the second
// half of a trace; the first half warms it up. All have room for the same number of
// entries. The floor, lib=fixed, holds the keys that are likeliest and never changes:
// on Zipf draws a policy can beat it by luck only. Of a trace from a file it holds those
// that come most often, in hindsight. lib=belady knows the future. An operation replays
// a trace; its time means nothing. -suite.trace adds one.
func BenchmarkHitRatio(b *testing.B) {
	redistest.Need(b, b.Name()) // a miss of ours is a round trip
	node := joinFleet(b, redistest.RunServer(b).Addr())
	sizes := make(map[int]int64) // of rooms
	for _, t := range traces(b) {
		if sizes[t.room] == 0 || t.hottest == nil { // keys in a file have lengths of their own
			sizes[t.room] = sizeOf(b, node, t)
		}
		for _, p := range policies(node, sizes[t.room]) {
			b.Run("lib="+p.name+"/"+t.name, func(b *testing.B) {
				ratio := 0.0
				for b.Loop() {
					ratio = p.replay(b, t)
				}
				b.ReportMetric(ratio, "hit-ratio")
			})
		}
	}
}

// A trace is a sequence of keys for a cache that has room for so many.
type trace struct {
	name     string
	accesses []string
	room     int
	hottest  []string // nil: to be found by counting
}

func traces(b *testing.B) []trace {
	n := *accessCount
	keys := traceKeys(n / 20) // so many accesses a key: a trace is to show what a policy has learnt, not how fast
	tenth, hundredth := max(len(keys)/10, 1), max(len(keys)/100, 1)
	shift, shifted := shiftTrace(keys, tenth, n)
	all := []trace{
		{"trace=zipf0.8/room=10%", zipfTrace(keys, 0.8, n), tenth, keys},
		{"trace=zipf0.99/room=10%", zipfTrace(keys, 0.99, n), tenth, keys},
		{"trace=zipf0.99/room=1%", zipfTrace(keys, 0.99, n), hundredth, keys},
		{"trace=zipf1.2/room=1%", zipfTrace(keys, 1.2, n), hundredth, keys},
		{"trace=scan/room=10%", scanTrace(keys, n), tenth, keys},
		{"trace=shift/room=10%", shift, tenth, shifted},
		{"trace=loop/room=10%", loopTrace(keys, tenth, n), tenth, keys},
	}
	if *traceFile != "" {
		accesses, err := readTrace(*traceFile)
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, trace{"trace=file/room=10%", accesses, max(len(distinct(accesses))/10, 1), nil})
	}
	return all
}

func distinct(accesses []string) []string {
	return slices.Compact(slices.Sorted(slices.Values(accesses)))
}

type policy struct {
	name   string
	replay func(b *testing.B, t trace) float64
}

func policies(node *coherence.Node, size int64) []policy {
	return []policy{
		{"fixed", func(_ *testing.B, t trace) float64 { return fixedRatio(t) }},
		{"belady", func(_ *testing.B, t trace) float64 { return beladyRatio(t) }},
		{"ristretto", func(b *testing.B, t trace) float64 {
			cache, err := ristretto.NewCache(&ristretto.Config[string, string]{
				NumCounters: 10 * int64(t.room), MaxCost: int64(t.room), BufferItems: 64, IgnoreInternalCost: true,
			})
			if err != nil {
				b.Fatal(err)
			}
			defer cache.Close()
			return replayAside(b, t, cache.Get, func(key, v string) { cache.SetWithTTL(key, v, 1, life) })
		}},
		{"otter", func(b *testing.B, t trace) float64 {
			cache := otter.Must(&otter.Options[string, string]{MaximumSize: t.room})
			defer cache.StopAllGoroutines()
			return replayAside(b, t, cache.GetIfPresent, func(key, v string) { cache.Set(key, v) })
		}},
		{"sturdyc", func(b *testing.B, t trace) float64 {
			cache := sturdyc.New[string](t.room, 10, life, 10, sturdyc.WithNoContinuousEvictions())
			return replayAside(b, t, cache.Get, func(key, v string) { cache.Set(key, v) })
		}},
		{"tiercache", func(b *testing.B, t trace) float64 {
			c := openTiered(b, node, tiered.Config[string]{MaxLocalBytes: size, Codec: codec.Raw()})
			defer c.Close()
			ctx := b.Context()
			return replay(b, t, func(key string) error {
				_, err := c.Get(ctx, key, itself)
				return err
			}, func() uint64 { return c.Stats().LocalHits })
		}},
	}
}

func itself(_ context.Context, key string) (string, error) { return key, nil }

func replayAside(b *testing.B, t trace, get func(key string) (string, bool), set func(key, value string)) float64 {
	var hits atomic.Uint64
	return replay(b, t, func(key string) error {
		if _, ok := get(key); ok {
			hits.Add(1)
		} else {
			set(key, key)
		}
		return nil
	}, hits.Load)
}

// replay runs a trace by 16 callers and returns the share of hits in its second half.
func replay(b *testing.B, t trace, access func(key string) error, hits func() uint64) float64 {
	half := len(t.accesses) / 2
	run := func(accesses []string) {
		crowd(b, 16, len(accesses), func(i int) error { return access(accesses[i-1]) })
	}
	run(t.accesses[:half])
	before := hits()
	run(t.accesses[half:])
	return float64(hits()-before) / float64(len(t.accesses)-half)
}

// sizeOf finds the MaxLocalBytes in which there is room for as many entries of ours as
// a trace is to have.
func sizeOf(b *testing.B, node *coherence.Node, t trace) int64 {
	keys := distinct(t.accesses)
	keys = keys[:min(len(keys), 2*t.room)]
	size := 300 * int64(t.room)
	for range 3 {
		size = size * int64(t.room) / heldIn(b, node, size, keys)
	}
	return size
}

// heldIn returns how many of the keys stay in a cache of so many bytes.
func heldIn(b *testing.B, node *coherence.Node, size int64, keys []string) int64 {
	c := openTiered(b, node, tiered.Config[string]{MaxLocalBytes: size, Codec: codec.Raw()})
	defer c.Close()
	before := uint64(0)
	for range 3 {
		before = c.Stats().LocalHits // GetMany looks for all keys in memory before it reads the first
		if _, err := c.GetMany(b.Context(), keys, allThemselves); err != nil {
			b.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond) // ristretto drops in the background what is too much
	}
	return max(int64(c.Stats().LocalHits-before), 1)
}

func allThemselves(_ context.Context, keys []string) (map[string]string, error) {
	found := make(map[string]string, len(keys))
	for _, key := range keys {
		found[key] = key
	}
	return found, nil
}

// fixedRatio is the hit ratio of the hottest keys, held for good.
func fixedRatio(t trace) float64 {
	hottest := t.hottest
	if hottest == nil {
		hottest = byCount(t.accesses)
	}
	held := make(map[string]bool)
	for _, key := range hottest[:min(t.room, len(hottest))] {
		held[key] = true
	}
	hits, second := 0, t.accesses[len(t.accesses)/2:]
	for _, key := range second {
		if held[key] {
			hits++
		}
	}
	return float64(hits) / float64(len(second))
}

// byCount returns the keys of a trace, the most frequent first.
func byCount(accesses []string) []string {
	counts := make(map[string]int)
	for _, key := range accesses {
		counts[key]++
	}
	keys := distinct(accesses)
	slices.SortStableFunc(keys, func(a, b string) int { return cmp.Compare(counts[b], counts[a]) })
	return keys
}

// beladyRatio is the hit ratio of a cache that drops what is needed last (Belady,
// 1966), and takes nothing that is needed later than all it holds.
func beladyRatio(t trace) float64 {
	n, half, hits := len(t.accesses), len(t.accesses)/2, 0
	next := nextUses(t.accesses)
	held := make(map[string]bool)
	var uses latest // of what is held; those that have passed lie below all others
	for i, key := range t.accesses {
		if held[key] && i >= half {
			hits++
		}
		delete(held, key)
		if next[i] == n {
			continue
		}
		if len(held) == t.room {
			if uses[0] < next[i] {
				continue
			}
			delete(held, t.accesses[heap.Pop(&uses).(int)])
		}
		heap.Push(&uses, next[i])
		held[key] = true
	}
	return float64(hits) / float64(n-half)
}

// latest is a heap with the greatest number on top.
type latest []int

func (l latest) Len() int           { return len(l) }
func (l latest) Less(i, j int) bool { return l[i] > l[j] }
func (l latest) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *latest) Push(x any)        { *l = append(*l, x.(int)) }
func (l *latest) Pop() any {
	old := *l
	x := old[len(old)-1]
	*l = old[:len(old)-1]
	return x
}

// nextUses returns for each access when its key is accessed again; len(accesses) is never.
func nextUses(accesses []string) []int {
	next, seen := make([]int, len(accesses)), make(map[string]int)
	for i, key := range slices.Backward(accesses) {
		next[i] = len(accesses)
		if at, ok := seen[key]; ok {
			next[i] = at
		}
		seen[key] = i
	}
	return next
}

func TestBestRatios(t *testing.T) {
	for _, tc := range []struct {
		accesses      string
		room          int
		fixed, belady float64
	}{
		{"abcabcabcabc", 3, 1, 1},
		{"abababababab", 1, 0.5, 0.5},
		{"aaaaaabbbbbb", 1, 0, 5. / 6},
		{"abcdefghijkl", 4, 0, 0},
	} {
		tr := trace{room: tc.room}
		for _, key := range tc.accesses {
			tr.accesses = append(tr.accesses, string(key))
		}
		if got := beladyRatio(tr); got != tc.belady {
			t.Errorf("beladyRatio(%q, %d) = %v, want %v", tc.accesses, tc.room, got, tc.belady)
		}
		if got := fixedRatio(tr); got != tc.fixed {
			t.Errorf("fixedRatio(%q, %d) = %v, want %v", tc.accesses, tc.room, got, tc.fixed)
		}
	}
}
