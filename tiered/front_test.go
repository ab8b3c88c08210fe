package tiered

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/coherence"
)

// What ristretto has let go of is not to be found in front, whichever comes first.
func TestFrontHoldsNothingThatIsGone(t *testing.T) {
	f := newFront[string](0)
	shown := func() *entry[string] { return f.slot(1).Load() }
	before, after := &entry[string]{key: "k"}, &entry[string]{key: "k"}
	f.drop(1, before)
	f.put(1, before)
	if shown() != nil {
		t.Error("an entry was shown after it had gone")
	}
	f.put(1, after)
	f.drop(1, before)
	if shown() != after {
		t.Error("an entry was dropped for another one")
	}
	f.drop(1, after)
	if shown() != nil {
		t.Error("an entry was shown still after it had gone")
	}
}

func TestFrontKeepsTheNewerOne(t *testing.T) {
	f := newFront[string](0)
	entries := []*entry[string]{
		{key: "k", gen: 1, loaded: 5}, {key: "k", gen: 1, loaded: 6}, {key: "k", gen: 2, loaded: 4}, {key: "other"},
	}
	for i, e := range entries {
		f.put(1, e)
		for _, late := range entries[:min(i, 2)] {
			if late.key == e.key {
				f.put(1, late)
			}
		}
		if got := f.slot(1).Load(); got != e {
			t.Errorf("after entry %d the slot shows %+v", i, got)
		}
	}
	f.renew(1, entries[0])
	if got := f.slot(1).Load(); got != entries[3] {
		t.Errorf("a new value displaced another key's: %+v", got)
	}
}

// The front is bounded by what ristretto holds: however much passes through, every
// entry in it is one that ristretto would return.
func TestFrontHoldsWhatRistrettoHolds(t *testing.T) {
	const room = 50
	l, err := newLocal[string](room * 400)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	key := func(hash uint64) string { return fmt.Sprint("k", hash) }
	evicted := 0
	for hash := range uint64(20 * room) {
		for range hash { // ever more popular: ristretto admits it
			l.get(hash, key(hash))
		}
		l.set(hash, &entry[string]{key: key(hash)}, 1)
		l.cache.Wait()
		if l.get(hash, key(hash)) != nil && l.peek(hash) == nil {
			t.Fatalf("%s is held, was asked for and is not in front", key(hash))
		}
		for older := range hash {
			if e := l.peek(older); e != nil && e.key == key(older) {
				if held, _ := l.cache.Get(older); held != e {
					t.Fatalf("%s is shown, and ristretto holds %v", e.key, held)
				}
			} else {
				evicted++
			}
		}
	}
	if evicted == 0 {
		t.Error("nothing was evicted")
	}
}

// The value that a refresh stores takes the place in front of the one that asked for
// it: hits on the old one would ask again and again.
func TestRefreshedValueIsInFront(t *testing.T) {
	l, err := newLocal[string](1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	old, fresh := &entry[string]{key: "k", loaded: 1}, &entry[string]{key: "k", loaded: 2}
	l.set(1, old, 1)
	l.cache.Wait()
	if l.get(1, "k") != old || l.peek(1) != old {
		t.Fatal("the first copy is not in front")
	}
	l.set(1, fresh, 1)
	if l.peek(1) != fresh {
		t.Error("the second copy is not in front")
	}
	l.close()
	if l.peek(1) != nil || l.get(1, "k") != nil {
		t.Error("a closed cache holds a copy")
	}
}

// A 32nd of the hits is shown to ristretto, however coarse the clock.
func TestShareOfHitsThatRistrettoSees(t *testing.T) {
	for _, tick := range []time.Duration{1, 41, 100, time.Microsecond, time.Millisecond, 15625 * time.Microsecond} {
		const hits = 100_000
		seen := 0
		for i := range hits {
			if samples(coherence.Instant(i) * coherence.Instant(tick)) {
				seen++
			}
		}
		if share := float64(seen) / hits; share < 1./40 || share > 1./25 {
			t.Errorf("with a tick of %v: %.4f", tick, share)
		}
	}
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
		"tiered.samples", "(*striped).add", "]).peek", "]).slot", "]).good",
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
