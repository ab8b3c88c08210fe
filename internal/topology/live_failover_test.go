package topology

import (
	"context"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/tiered"
)

// TestSentinelFailoverOfALiveMaster: the old master lives on, unaware, for up to
// ten seconds. The probe's connections are not those that go-redis closes at a
// switch: a node whose probe stayed on the old master found itself in step with
// it and served an old value for 8.9 s at a bound of one.
func TestSentinelFailoverOfALiveMaster(t *testing.T) {
	group := redistest.RunSentinel(t)
	opts := redis.UniversalOptions{Addrs: group.Addrs(), MasterName: group.MasterName()}
	cfg := tiered.Config[string]{Name: "c"}
	writer, reader := open(t, opts, coherence.Config{}, cfg), open(t, opts, coherence.Config{}, cfg)
	bound := reader.node.Config().MaxStale
	s := newSource()
	var mu sync.Mutex
	returned := make(map[int]time.Time) // when the Update of a version returned
	write := func(ctx context.Context, version int) error {
		_, err := writer.Update(ctx, "k", s.write(strconv.Itoa(version)))
		if err == nil {
			mu.Lock()
			defer mu.Unlock()
			returned[version] = time.Now()
		}
		return err
	}
	if err := write(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	sentinel := redis.NewSentinelClient(&redis.Options{Addr: group.Addrs()[0]})
	defer sentinel.Close()
	if err := sentinel.Failover(t.Context(), group.MasterName()).Err(); err != nil {
		t.Fatal(err)
	}

	ctx, cancel := context.WithTimeout(t.Context(), 14*time.Second)
	defer cancel()
	var updates sync.WaitGroup
	last := 1
	updates.Go(func() {
		for tick := time.NewTicker(100 * time.Millisecond); ctx.Err() == nil; <-tick.C {
			_ = write(ctx, last+1) // refused while the fleet switches
			last++
		}
	})
	reads, worst := 0, time.Duration(0)
	for tick := time.NewTicker(5 * time.Millisecond); ctx.Err() == nil; <-tick.C {
		began := time.Now()
		v, err := reader.Get(ctx, "k", s.load)
		if err != nil {
			continue
		}
		reads++
		served, err := strconv.Atoi(v)
		if err != nil {
			t.Fatal(err)
		}
		mu.Lock()
		for version, at := range returned {
			if version > served {
				worst = max(worst, began.Sub(at))
			}
		}
		mu.Unlock()
	}
	updates.Wait()
	mu.Lock()
	defer mu.Unlock()
	t.Logf("%d reads, %d of %d updates done, oldest value served %v after its successor", reads, len(returned), last, worst)
	if worst > bound {
		t.Errorf("a value was served %v after a newer one was written, bound %v", worst, bound)
	}
	if reads == 0 || len(returned) < 10 {
		t.Errorf("%d reads and %d updates: nothing was shown", reads, len(returned))
	}
}
