// Package tiercache_test compares tiercache with the raw floor, with its peers and
// with the textbook pattern, in one run and on the same values, keys and warm-up:
//
//	go test -run '^$' -bench . .
//	go run ./internal/benchreport -quick   # in interleaved rounds, with ratios and plots
//
// Compare ratios within a run: absolute times move with the machine. Every variant
// is asked for known keys before and after it is measured, and a wrong value fails
// the benchmark. Groups that measure Redis start a redis-server of their own and are
// skipped aloud without one. See docs/performance.md.
//
// A benchmark is named Benchmark<Group>/lib=<name>/<case>, where the case is made of
// key=value parts: benchstat -col /lib compares the libraries.
package tiercache_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Sizes. The defaults keep a single pass short; benchreport asks for more.
var (
	keyCount    = flag.Int("suite.keys", 20_000, "keys of the groups that draw by Zipf or read Redis")
	entryCount  = flag.Int("suite.entries", 20_000, "entries of group Memory")
	accessCount = flag.Int("suite.accesses", 100_000, "accesses of each trace of group HitRatio")
	traceFile   = flag.String("suite.trace", "", "a file of one key a line, replayed by group HitRatio as well")
)

func TestMain(m *testing.M) {
	if order := os.Getenv(childOrder); order != "" {
		os.Exit(serveHerds(order)) // one of the processes of group Herd
	}
	os.Exit(m.Run())
}

// Product is a typical record: about 630 bytes of msgpack.
type Product struct {
	ID         string
	Name       string
	Text       string
	Cents      int64
	Stock      int
	Updated    time.Time
	Tags       []string
	Attributes map[string]string
}

func newProduct(id string) *Product {
	p := Product{
		ID: id, Name: "Lamp " + id, Cents: 1999, Stock: 12, Updated: time.Unix(1_790_000_000, 0).UTC(),
		Text:       "A lamp for the desk, with a heavy foot, a long arm and a switch that can be found in the dark.",
		Tags:       []string{"lighting", "office", "desk", "black", "new"},
		Attributes: map[string]string{},
	}
	for i := range 8 {
		p.Attributes["attribute-"+strconv.Itoa(i)] = "value of the attribute, number " + strconv.Itoa(i)
	}
	return &p
}

func load(_ context.Context, id string) (*Product, error) { return newProduct(id), nil }

func loadMany(_ context.Context, ids []string) (map[string]*Product, error) {
	found := make(map[string]*Product, len(ids))
	for _, id := range ids {
		found[id] = newProduct(id)
	}
	return found, nil
}

func ids(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = "product:" + strconv.Itoa(i)
	}
	return keys
}

// A peer is one library's way to do what a group measures.
type peer struct {
	name string // what tells it from others in the benchmark's name, lib=... first
	open func(b *testing.B) reader
}

// A reader is an open peer.
type reader struct {
	get  func(key string) error
	read func(key string) (*Product, error) // get with its value, to check it
}

// typed is a reader that hands out values.
func typed(read func(key string) (*Product, error)) reader {
	return reader{func(key string) error { _, err := read(key); return err }, read}
}

var errMissing = errors.New("not in the cache")

// each opens and warms one peer after the other, so that none pays for another's
// goroutines and memory, and checks its values before and after measure.
func each(b *testing.B, peers []peer, keys []string, measure func(b *testing.B, r reader)) {
	for _, p := range peers {
		b.Run(p.name, func(b *testing.B) {
			r := p.open(b)
			r.check(b, keys)
			measure(b, r)
			r.check(b, keys)
		})
	}
}

// check fails the benchmark unless the reader returns what the source holds.
func (r reader) check(b *testing.B, keys []string) {
	b.Helper()
	for _, key := range []string{keys[0], keys[len(keys)/2], keys[len(keys)-1]} {
		p, err := r.read(key)
		if err == nil {
			err = wrong(p, key)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}

func wrong(p *Product, key string) error {
	if p == nil || p.ID != key || len(p.Tags) != 5 || len(p.Attributes) != 8 {
		return fmt.Errorf("read %+v for %q", p, key)
	}
	return nil
}

// fresh returns a key that nobody has asked for.
func fresh() string { return "fresh:" + strconv.FormatUint(freshKeys.Add(1), 36) }

var freshKeys atomic.Uint64

// crowd runs do so many times by n callers that wait for nobody.
func crowd(b *testing.B, n, times int, do func(i int) error) {
	var next atomic.Int64
	var callers sync.WaitGroup
	for range n {
		callers.Go(func() {
			for i := int(next.Add(1)); i <= times; i = int(next.Add(1)) {
				if err := do(i); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	callers.Wait()
}

// warm reads until done: caches take new entries in the background and may drop some.
func warm(b *testing.B, read func() error, done func() bool) {
	b.Helper()
	for range 100 {
		if err := read(); err != nil {
			b.Fatal(err)
		}
		if done() {
			return
		}
	}
	b.Fatal("the keys do not stay in memory")
}

// chunks calls do with up to 1000 keys at a time.
func chunks(keys []string, do func(keys []string) error) error {
	for len(keys) > 0 {
		n := min(len(keys), 1000)
		if err := do(keys[:n]); err != nil {
			return err
		}
		keys = keys[n:]
	}
	return nil
}
