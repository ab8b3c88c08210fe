package simulation

import (
	"context"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// work is a worker: it calls the process in its slot until the context ends.
func (f *Fleet) work(ctx context.Context, slot int, do func(context.Context, *member)) {
	for ctx.Err() == nil {
		pace := time.Duration(f.pace.Load())
		if pace == 0 {
			_ = sleep(ctx, f.times.Probe)
			continue
		}
		if sleep(ctx, f.dice.about(pace)) != nil {
			return
		}
		f.busy.Add(1)
		if m := f.member(slot); m != nil && f.pace.Load() != 0 {
			do(ctx, m)
		}
		f.busy.Add(-1)
	}
}

// rest stops the workers and waits until what they have begun is over.
func (f *Fleet) rest() {
	f.pace.Store(0)
	for f.busy.Load() > 0 {
		time.Sleep(f.times.Probe)
	}
}

// patience is a caller's context: most wait long, some do not.
func (f *Fleet) patience() (context.Context, context.CancelFunc) {
	d := 2 * f.times.Load
	if f.dice.chance(0.08) {
		d = time.Millisecond + f.dice.upTo(f.times.Bound)
	}
	return context.WithTimeout(context.Background(), d)
}

// anything is one operation of any kind.
func (f *Fleet) anything(_ context.Context, m *member) {
	ctx, cancel := f.patience()
	defer cancel()
	key := f.key()
	switch n := f.dice.below(1000); {
	case n < 600:
		f.get(ctx, m, key, f.loadPlan())
	case n < 700:
		f.getMany(ctx, m, f.someKeys(), f.loadPlan())
	case n < 770:
		f.peek(ctx, m, key)
	case n < 790:
		f.get(ctx, m, key, f.loadPlan(), tiered.Bypass())
	case n < 795:
		f.getMany(ctx, m, f.someKeys(), f.loadPlan(), tiered.Bypass())
	case n < 920:
		_ = f.update(ctx, m, key, f.writePlan()) // judged
	case n < 960:
		f.writeOutside(ctx, m)
	case n < 992:
		f.get(ctx, m, f.silentKey(), loadPlan{})
	default:
		f.Ledger.commitOutside(f.silentKey(), f.dice.chance(0.3)) // and nobody is told
		f.Ledger.count("silent writes")
	}
}

// plain is an operation without ill will: for scenarios that bring their own.
func (f *Fleet) plain(_ context.Context, m *member) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*f.times.Load)
	defer cancel()
	key := f.key()
	swift := loadPlan{before: f.dice.upTo(f.times.Latency), after: f.dice.upTo(f.times.Latency)}
	switch n := f.dice.below(100); {
	case n < 70:
		f.get(ctx, m, key, swift)
	case n < 78:
		f.getMany(ctx, m, f.someKeys(), swift)
	case n < 82:
		f.peek(ctx, m, key)
	case n < 94:
		_ = f.update(ctx, m, key, writePlan{before: f.dice.upTo(f.times.Latency), after: f.dice.upTo(f.times.Latency)})
	default:
		f.writeOutside(ctx, m)
	}
}

// writeOutside changes the source past the fleet and then tells it.
func (f *Fleet) writeOutside(ctx context.Context, m *member) {
	if f.times.Strong {
		_ = f.update(ctx, m, f.key(), writePlan{}) // judged
		return
	}
	keys := f.someKeys()
	for _, key := range keys {
		f.Ledger.commitOutside(key, f.dice.chance(0.1))
	}
	_ = f.invalidate(ctx, m, keys...) // judged
}

func (f *Fleet) key() string { return f.keys[f.dice.skewed(len(f.keys))] }

func (f *Fleet) silentKey() string { return f.silent[f.dice.below(len(f.silent))] }

func (f *Fleet) someKeys() []string {
	var keys []string
	for range 1 + f.dice.below(4) {
		keys = append(keys, f.key()) // the same one twice is fine
	}
	return keys
}

// loadPlan draws how a load will go: most are swift; the slow ones outlast leases and the bound.
func (f *Fleet) loadPlan() loadPlan {
	p := loadPlan{before: f.dice.about(f.times.Latency), after: f.dice.about(f.times.Latency)}
	switch n := f.dice.below(1000); {
	case n < 40:
		p.after = f.dice.upTo(3 * f.times.Bound)
	case n < 60:
		p.before = f.dice.upTo(3 * f.times.Bound)
	case n < 80:
		p.fail = true
	case n < 85:
		p.panics = true
	case n < 88:
		p.before = 2 * f.times.Load // hangs
	case n < 93:
		p.after, p.stubborn = f.dice.upTo(f.times.Load), true
	}
	return p
}

// writePlan draws how a write will go.
func (f *Fleet) writePlan() writePlan {
	p := writePlan{before: f.dice.about(f.times.Latency), after: f.dice.about(f.times.Latency)}
	switch n := f.dice.below(1000); {
	case n < 100:
		p.end = deletes
	case n < 150:
		p.end = rollback
	case n < 170:
		p.end, p.idle = doubts, f.dice.chance(0.5)
	case n < 180:
		p.end, p.late = doubts, f.dice.upTo(f.times.Fence/2)
	case n < 190:
		p.end, p.idle = panics, f.dice.chance(0.5)
	case n < 230:
		p.before = f.dice.upTo(2 * f.times.Bound)
	case n < 270:
		p.after = f.dice.upTo(2 * f.times.Bound)
	case n < 280:
		p.after = f.dice.upTo(2 * f.times.Fence) // past the deadline
	case n < 285:
		p.before, p.stubborn = f.dice.upTo(2*f.times.Fence), true
	}
	return p
}
