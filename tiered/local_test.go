package tiered

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/tiercache/tiercache/coherence"
)

func openLocal(t *testing.T, maxBytes int64) *local[string] {
	t.Helper()
	l, err := newLocal[string](maxBytes, numberOf)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.close)
	return l
}

// stores stores a copy and waits for ristretto's decision.
func (l *local[V]) stores(hash uint64) {
	l.set(hash, &entry[V]{key: strconv.FormatUint(hash, 10)}, 1)
	l.policy.Wait()
}

func (l *local[V]) holds(hash uint64) bool { return l.get(hash, strconv.FormatUint(hash, 10)) != nil }

// MaxLocalBytes bounds the index: however much passes through, it holds what ristretto
// does.
func TestIndexHoldsWhatRistrettoHolds(t *testing.T) {
	const room = 50
	l := openLocal(t, room*400)
	for hash := range uint64(20 * room) {
		l.stores(hash % 300) // some twice
		l.stores(hash)
		l.stores(hash)
	}
	held := 0
	for hash := range uint64(20 * room) {
		_, kept := l.policy.Get(hash)
		if kept != l.holds(hash) {
			t.Errorf("%d: ristretto holds it: %v, the index: %v", hash, kept, !kept)
		}
		if kept {
			held++
		}
	}
	if n := entries(&l.index); n != held || held < room || held*int(entryOverhead+unsafe.Sizeof(entry[string]{})) > room*400 {
		t.Errorf("%d entries, %d of them found, in %d bytes", n, held, room*400)
	}
}

// A copy is served as soon as it is stored, and no more once ristretto has refused it.
func TestCopyIsThereAtOnce(t *testing.T) {
	l := openLocal(t, 1<<20)
	l.set(1, &entry[string]{key: "1"}, 1)
	if !l.holds(1) {
		t.Error("it is not there")
	}
	l.set(2, &entry[string]{key: "2"}, 2<<20)
	l.policy.Wait()
	if l.holds(2) {
		t.Error("a copy that is larger than the cache is there")
	}
	l.close()
	if l.set(3, &entry[string]{key: "3"}, 1); l.holds(1) || l.holds(3) {
		t.Error("a closed cache holds a copy")
	}
}

// What ristretto has no time for is not there either.
func TestCopyThatRistrettoDropsIsNotThere(t *testing.T) {
	l := openLocal(t, 1<<30)
	l.index.locks[7].Lock()
	l.policy.Set(7, struct{}{}, 2<<30) // ristretto is held up: it cannot say that it refuses this
	const many = 40_000                // its queue takes 32,768
	for n := range uint64(many) {
		hash := n * 64
		l.set(hash, &entry[string]{key: strconv.FormatUint(hash, 10)}, 1)
	}
	if n := entries(&l.index); n < 32_000 || n > 33_000 || l.holds(64*(many-1)) {
		t.Errorf("%d of %d copies are there", n, many)
	}
	l.index.locks[7].Unlock()
}

// What is missed once does not push out what comes often, nor what comes at all.
func TestFullCacheTakesWhatComesAgain(t *testing.T) {
	const room, strangers = 200, 10_000
	l := openLocal(t, room*300)
	for range 3 {
		for hash := range uint64(room) {
			l.stores(hash)
		}
	}
	before := entries(&l.index)
	for hash := range uint64(strangers) {
		l.stores(room + hash*0x9E3779B97F4A7C15)
	}
	stayed := 0
	for hash := range uint64(room) {
		if l.holds(hash) {
			stayed++
		}
	}
	if stayed < before*2/3 {
		t.Errorf("%d of %d entries outlived %d that came once", stayed, before, strangers)
	}
	fresh := uint64(1) << 60
	if l.stores(fresh); l.holds(fresh) {
		t.Error("a full cache took what was missed once")
	}
	for range 3 {
		l.stores(fresh)
	}
	if !l.holds(fresh) {
		t.Error("a full cache did not take what was missed again and again")
	}
}

// What is held is replaced, though the cache is full.
func TestFullCacheReplaces(t *testing.T) {
	l := openLocal(t, 100*300)
	for n := range uint64(1000) {
		l.stores(mix(n))
	}
	replaced := 0
	for n := range uint64(1000) {
		hash := mix(n)
		if !l.holds(hash) {
			continue
		}
		key := strconv.FormatUint(hash, 10)
		e := &entry[string]{key: key, gen: 1}
		if l.set(hash, e, 1); l.get(hash, key) != e {
			t.Fatalf("%s was not replaced", key)
		}
		replaced++
	}
	if replaced == 0 {
		t.Error("nothing was held")
	}
}

// A 64th of the hits is shown to ristretto, however coarse the clock, and of many keys
// at one instant as well.
func TestShareOfHitsThatRistrettoSees(t *testing.T) {
	share := func(what string, hit func(i int) (hash uint64, now coherence.Instant)) {
		const hits = 100_000
		seen := 0
		for i := range hits {
			if samples(hit(i)) {
				seen++
			}
		}
		if share := float64(seen) / hits; share < 1./80 || share > 1./50 {
			t.Errorf("%s: %.4f", what, share)
		}
	}
	for _, tick := range []time.Duration{1, 41, 100, time.Microsecond, time.Millisecond, 15625 * time.Microsecond} {
		share(tick.String(), func(i int) (uint64, coherence.Instant) {
			return 0xdbc4cab12f6a8e51, coherence.Instant(i) * coherence.Instant(tick)
		})
	}
	share("many keys", func(i int) (uint64, coherence.Instant) { return mix(uint64(i)) ^ uint64(i), 12345 })
}

// What a hit calls is inlined: each call would cost it a nanosecond or two. The
// compiler tells so where a cache of some type is made.
func TestHitIsInlined(t *testing.T) {
	cmd := exec.Command("go", "build", "-o", os.DevNull, "-gcflags=-m", "../examples/cacheaside")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for _, call := range []string{
		"(*Node).Now", "(*Node).Leased", "(*Node).Assured", "(*Space).Hash", "(*Space).Generation",
		"tiered.samples", "(*striped).add", "]).get", "]).find", "]).slot", "]).good", "]).hard", "]).early",
	} {
		if !inlined(string(out), call) {
			t.Errorf("a call of %s is not inlined into Get or hit", call)
		}
	}
}

func inlined(report, call string) bool {
	for line := range strings.Lines(report) {
		if strings.Contains(line, "get.go:") && strings.Contains(line, "inlining call to") && strings.HasSuffix(strings.TrimSpace(line), call) {
			return true
		}
	}
	return false
}
