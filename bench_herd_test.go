package tiercache_test

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/maypok86/otter/v2"
	"github.com/redis/go-redis/v9"
	"golang.org/x/sync/singleflight"

	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

const (
	herdSize = 512
	herdLoad = 10 * time.Millisecond
)

// BenchmarkHerd: 512 callers ask for one cold key whose load takes 10 ms, in one
// process or in four. An operation is one herd, until its last caller has the value.
// The floor is singleflight over GET and SET, which loads once in each process;
// loads/herd shows what each library lets through, redis-cmds/herd what waiting costs.
func BenchmarkHerd(b *testing.B) {
	addr := redistest.RunServer(b).Addr()
	aside := goRedis(b, addr)
	for _, name := range []string{"singleflight", "textbook", "textbook-lock", "sturdyc", "otter", "tiercache"} {
		b.Run("lib="+name+"/procs=1", func(b *testing.B) {
			h, done, err := openHerd(b.Context(), name, addr)
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(done)
			stampede(b, aside, func(key string) (int64, error) { return h.ask(key, herdSize) })
		})
		if name == "sturdyc" || name == "otter" {
			continue // each process keeps to itself
		}
		b.Run("lib="+name+"/procs=4", func(b *testing.B) {
			children := startChildren(b, name, addr, 4)
			stampede(b, aside, func(key string) (int64, error) { return askAll(children, key, herdSize/4) })
		})
	}
}

// stampede measures herds, each for a key of its own.
func stampede(b *testing.B, aside *redis.Client, ask func(key string) (loads int64, err error)) {
	loads, herds, before := int64(0), 0, commands(b, aside)
	for b.Loop() {
		n, err := ask(fresh())
		if err != nil {
			b.Fatal(err)
		}
		loads += n
		herds++
	}
	b.ReportMetric(float64(loads)/float64(herds), "loads/herd")
	b.ReportMetric(float64(commands(b, aside)-before)/float64(herds), "redis-cmds/herd")
}

func commands(b *testing.B, rdb *redis.Client) int64 {
	info, err := rdb.InfoMap(context.Background(), "stats").Result()
	if err != nil {
		b.Fatal(err)
	}
	n, err := strconv.ParseInt(info["Stats"]["total_commands_processed"], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

// A herd is many callers of one library.
type herd struct {
	get   func(key string) (*Product, error)
	loads atomic.Int64
}

func (h *herd) load(ctx context.Context, key string) (*Product, error) {
	h.loads.Add(1)
	time.Sleep(herdLoad) // the work of the source
	return load(ctx, key)
}

// ask sends n callers after one key and returns how many loads they cost.
func (h *herd) ask(key string, n int) (int64, error) {
	before := h.loads.Load()
	errs := make([]error, n)
	var callers sync.WaitGroup
	for i := range n {
		callers.Go(func() {
			p, err := h.get(key)
			if err == nil {
				err = wrong(p, key)
			}
			errs[i] = err
		})
	}
	callers.Wait()
	return h.loads.Load() - before, errors.Join(errs...)
}

var errUnknownLib = errors.New("no such library")

func openHerd(ctx context.Context, name, addr string) (*herd, func(), error) {
	h := &herd{}
	rdb := redis.NewClient(&redis.Options{Addr: addr, PoolSize: pool, ReadTimeout: patience, PoolTimeout: patience})
	book := textbook{rdb}
	done := func() { _ = rdb.Close() }
	switch name {
	case "singleflight":
		h.get = h.flights(ctx, book)
	case "textbook":
		h.get = func(key string) (*Product, error) { return h.aside(ctx, book, key) }
	case "textbook-lock":
		h.get = func(key string) (*Product, error) { return h.locked(ctx, book, key) }
	case "sturdyc":
		cache := openSturdyc(10_000)
		h.get = func(key string) (*Product, error) {
			return cache.GetOrFetch(ctx, key, func(ctx context.Context) (*Product, error) { return h.load(ctx, key) })
		}
	case "otter":
		cache := otter.Must(&otter.Options[string, *Product]{MaximumSize: 10_000})
		h.get = func(key string) (*Product, error) {
			return cache.Get(ctx, key, otter.LoaderFunc[string, *Product](h.load))
		}
	case "tiercache":
		node, leave, err := join(ctx, addr)
		if err != nil {
			return nil, nil, errors.Join(err, rdb.Close())
		}
		c, err := tiered.New(node, tiered.Config[*Product]{Name: "herd", SourceLimit: -1})
		if err != nil {
			leave()
			return nil, nil, errors.Join(err, rdb.Close())
		}
		h.get = func(key string) (*Product, error) { return c.Get(ctx, key, h.load) }
		done = func() {
			_ = c.Close()
			leave()
			_ = rdb.Close()
		}
	default:
		return nil, nil, errors.Join(errUnknownLib, rdb.Close())
	}
	return h, done, nil
}

// flights shares loads within the process.
func (h *herd) flights(ctx context.Context, book textbook) func(key string) (*Product, error) {
	var group singleflight.Group
	return func(key string) (*Product, error) {
		v, err, _ := group.Do(key, func() (any, error) { return h.aside(ctx, book, key) })
		if err != nil {
			return nil, err
		}
		return v.(*Product), nil
	}
}

// aside is cache-aside without protection.
func (h *herd) aside(ctx context.Context, book textbook, key string) (*Product, error) {
	p, err := book.peek(ctx, key)
	if !errors.Is(err, redis.Nil) {
		return p, err
	}
	if p, err = h.load(ctx, key); err != nil {
		return nil, err
	}
	return p, book.set(ctx, p)
}

// locked is the textbook's protection: whoever sets the lock loads, the others look
// again every 50 ms.
func (h *herd) locked(ctx context.Context, book textbook, key string) (*Product, error) {
	for {
		p, err := book.peek(ctx, key)
		if !errors.Is(err, redis.Nil) {
			return p, err
		}
		won, err := book.rdb.SetNX(ctx, "lock:"+key, 1, 5*time.Second).Result()
		if err != nil {
			return nil, err
		}
		if won {
			p, err := h.aside(ctx, book, key)
			return p, errors.Join(err, book.rdb.Del(ctx, "lock:"+key).Err())
		}
		time.Sleep(50 * time.Millisecond) // the pattern's own wait
	}
}
