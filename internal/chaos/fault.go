package main

import (
	"context"
	"errors"
	"slices"
	"time"
)

// fault breaks something. heal, if any, mends it after it has lasted.
type fault struct {
	kind  string
	lasts [2]time.Duration // at least and at most; zero: it is over when it has begun
	begin func(context.Context, *thread) (heal func() error, err error)
}

// errNoChance is returned by a fault that cannot begin just now. It does not count, and has its turn later.
var errNoChance = errors.New("chaos: the fault found no occasion")

// once is a fault that needs no healing.
func once(kind string, do func(context.Context, *thread) error) fault {
	return fault{kind: kind, begin: func(ctx context.Context, d *thread) (func() error, error) { return nil, do(ctx, d) }}
}

// deck deals faults in random order: each has its turn before any comes again.
type deck struct {
	all, left []fault
	dice      *dice
}

func (d *deck) draw() fault {
	if len(d.left) == 0 {
		d.left = slices.Clone(d.all)
		d.dice.shuffle(len(d.left), func(i, j int) { d.left[i], d.left[j] = d.left[j], d.left[i] })
	}
	x := d.left[0]
	d.left = d.left[1:]
	return x
}

// later puts a fault back, as the last of this round.
func (d *deck) later(x fault) { d.left = append(d.left, x) }

// only keeps the faults of the given kinds; none given: all.
func only(faults []fault, kinds []string) []fault {
	if len(kinds) == 0 {
		return faults
	}
	return slices.DeleteFunc(slices.Clone(faults), func(x fault) bool { return !slices.Contains(kinds, x.kind) })
}

func kindsOf(faults []fault) []string {
	var out []string
	for _, x := range faults {
		out = append(out, x.kind)
	}
	return out
}
