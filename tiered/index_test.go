package tiered

import (
	"math/rand/v2"
	"strconv"
	"testing"
)

// numberOf hashes keys that are numbers. "7" and "07" collide.
func numberOf(key string) uint64 {
	n, _ := strconv.ParseUint(key, 10, 64)
	return n
}

func numbered(n uint64) *entry[string] { return &entry[string]{key: strconv.FormatUint(n, 10)} }

// The index finds what was put and not dropped, and one key of each hash.
func TestIndexAgreesWithMap(t *testing.T) {
	x := newIndex[string](0, numberOf)
	if len(x.slots) >= 100 {
		t.Fatal("there are no chains")
	}
	held := map[uint64]*entry[string]{}
	for range 20_000 {
		hash := rand.Uint64N(500)
		switch e := numbered(hash); rand.IntN(3) {
		case 0:
			x.drop(hash)
			delete(held, hash)
		case 1:
			e.key = "0" + e.key // another key
			fallthrough
		default:
			if !x.put(hash, e) {
				t.Fatalf("%s was not put", e.key)
			}
			held[hash] = e
		}
		want := held[hash]
		for _, key := range []string{strconv.FormatUint(hash, 10), "0" + strconv.FormatUint(hash, 10)} {
			if got := x.find(hash, key); got != want && (got != nil || want.key == key) {
				t.Fatalf("find(%s) = %v, want %v", key, got, want)
			}
		}
	}
	found := 0
	for hash, e := range held {
		if x.find(hash, e.key) == e {
			found++
		}
	}
	if n := entries(&x); n != found || n != len(held) {
		t.Errorf("%d entries, %d of them found, want %d", n, found, len(held))
	}
	x.clear()
	if n := entries(&x); n != 0 {
		t.Errorf("%d entries after clear", n)
	}
}

// entries counts what hangs in the slots.
func entries[V any](x *index[V]) (n int) {
	for i := range x.slots {
		for e := x.slots[i].Load(); e != nil; e = e.next.Load() {
			n++
		}
	}
	return n
}

func TestIndexKeepsTheNewerOne(t *testing.T) {
	x := newIndex[string](0, numberOf)
	copies := []*entry[string]{
		{key: "1", gen: 1, loaded: 5}, {key: "1", gen: 1, loaded: 6}, {key: "1", gen: 2, loaded: 4},
	}
	for i, e := range copies {
		if !x.put(1, e) {
			t.Errorf("copy %d was refused", i)
		}
		for _, late := range copies[:i] {
			if x.put(1, late) {
				t.Errorf("an older copy replaced copy %d", i)
			}
		}
		if got := x.find(1, "1"); got != e {
			t.Errorf("after copy %d the index has %+v", i, got)
		}
	}
}

// A key that stays is found at any time, while its neighbours in the chain come and go.
func TestIndexLosesNothingMeanwhile(t *testing.T) {
	x := newIndex[string](0, numberOf)
	n := uint64(len(x.slots))
	stays := numbered(3 * n)
	for hash := range uint64(6) { // of one slot
		x.put(hash*n, numbered(hash*n))
	}
	x.put(3*n, stays)
	done := make(chan bool)
	go func() {
		defer close(done)
		for i := range 20_000 {
			if hash := uint64(i%6) * n; hash == 3*n {
				continue
			} else if i/6%2 == 0 {
				x.drop(hash)
			} else {
				x.put(hash, numbered(hash))
			}
		}
	}()
	for running := true; running; {
		if x.find(3*n, stays.key) != stays {
			t.Fatal("it was not found")
		}
		select {
		case <-done:
			running = false
		default:
		}
	}
}
