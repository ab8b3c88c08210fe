package simulation

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/tiercache/tiercache/tiered"
)

// Value is a record of the source.
type Value struct {
	Key     string
	Version int
}

// What loaders and writers fail with.
var (
	errSource  = errors.New("simulation: the source failed")
	errInDoubt = errors.New("simulation: the write is in doubt")
	errTooLate = errors.New("simulation: the fence is over")
	errDead    = errors.New("simulation: this process is dead")
)

// loadPlan is how a load will go.
type loadPlan struct {
	began         func()        // called first; nil: nothing
	before, after time.Duration // the source is read in between
	fail, panics  bool
	stubborn      bool // does not heed its context
	crash         bool // the process dies in it
}

// load reads one record as a process does.
func (f *Fleet) load(ctx context.Context, m *member, key string, p loadPlan) (Value, error) {
	if err := p.prepare(ctx, f, m); err != nil {
		return Value{}, err
	}
	v, err := f.Ledger.read(m, key)
	if waited := p.wait(ctx, p.after); waited != nil {
		return Value{}, waited
	}
	return v, err
}

func (f *Fleet) loadMany(ctx context.Context, m *member, keys []string, p loadPlan) (map[string]Value, error) {
	if err := p.prepare(ctx, f, m); err != nil {
		return nil, err
	}
	found := make(map[string]Value)
	for _, key := range keys {
		v, err := f.Ledger.read(m, key)
		if err == nil {
			found[key] = v
		} else if !errors.Is(err, tiered.ErrNotFound) {
			return nil, err
		}
	}
	return found, p.wait(ctx, p.after)
}

func (p loadPlan) prepare(ctx context.Context, f *Fleet, m *member) error {
	if p.began != nil {
		p.began()
	}
	if err := p.wait(ctx, p.before); err != nil {
		return err
	}
	switch {
	case p.crash:
		f.crash(m)
		<-ctx.Done()
		return errDead
	case p.panics:
		panic(errSource)
	case p.fail:
		return errSource
	}
	return nil
}

func (p loadPlan) wait(ctx context.Context, d time.Duration) error {
	if p.stubborn {
		ctx = context.WithoutCancel(ctx)
	}
	return sleep(ctx, d)
}

// sleep returns the context's error if that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	if d <= 0 {
		return ctx.Err()
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// ending is what a writer returns.
type ending uint8

const (
	stores   ending = iota // the new record
	deletes                // ErrNotFound
	doubts                 // an error that leaves the commit open
	rollback               // an error without a commit
	panics
)

// writePlan is how a write will go.
type writePlan struct {
	began         func()        // called first; nil: nothing
	before, after time.Duration // the commit is in between
	end           ending
	idle          bool          // doubts and panics: nothing was committed
	late          time.Duration // doubts: the commit comes this much later than the error
	stubborn      bool          // does not heed its context
	crash         crashPoint
}

// crashPoint is where in an Update the process dies.
type crashPoint uint8

const (
	nowhere crashPoint = iota
	beforeCommit
	afterCommit
)

// writer returns the Writer of one Update; what it did is found in op.
func (f *Fleet) writer(m *member, op *writing, p writePlan) tiered.Writer[Value] {
	return func(ctx context.Context, key string) (Value, error) {
		f.Ledger.called(op)
		if p.began != nil {
			p.began()
		}
		heeded := ctx
		if p.stubborn {
			heeded = context.WithoutCancel(ctx)
		}
		if err := sleep(heeded, p.before); err != nil {
			return Value{}, op.returns(err)
		}
		if p.crash == beforeCommit {
			f.crash(m)
		}
		if p.end == rollback {
			return Value{}, op.returns(tiered.RolledBack(errSource))
		}
		if err := f.commitAs(ctx, p, m, op, key); err != nil {
			return Value{}, op.returns(err)
		}
		if p.crash == afterCommit {
			f.crash(m)
		}
		if err := sleep(heeded, p.after); err != nil {
			return Value{}, op.returns(fmt.Errorf("%w: %w", errInDoubt, err))
		}
		switch p.end {
		case doubts:
			return Value{}, op.returns(errInDoubt)
		case panics:
			panic(op.returns(errInDoubt))
		case deletes:
			return Value{}, op.returns(tiered.ErrNotFound)
		}
		return Value{key, op.version}, op.returns(nil)
	}
}

// commitAs commits as the plan says: now, later or not at all.
func (f *Fleet) commitAs(ctx context.Context, p writePlan, m *member, op *writing, key string) error {
	switch doubtful := p.end == doubts || p.end == panics; {
	case doubtful && p.idle:
		return nil
	case doubtful && p.late > 0:
		f.running.Go(func() {
			time.Sleep(p.late)
			_ = f.commit(ctx, m, op, key, false) // a dead process commits nothing
		})
		return nil
	}
	return f.commit(ctx, m, op, key, p.end == deletes)
}

// commit changes the source, under a fence that must stand (I6).
func (f *Fleet) commit(ctx context.Context, m *member, op *writing, key string, deleted bool) error {
	if fence, ok := tiered.FenceFrom(ctx); f.times.Strong && ok && time.Now().After(fence.Deadline) {
		return errTooLate // as a source does that knows the time
	}
	record, known := f.rig.Record(f.redisKey(key))
	if err := f.Ledger.commit(m, op, key, deleted); err != nil {
		return err
	}
	if known && op.guarded && (record == "" || record[0] != 'F') {
		f.Ledger.violate(key, "I6: %s committed version %d while Redis held %.40q", m.name, op.version, record)
	}
	return nil
}
