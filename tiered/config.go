package tiered

import (
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/tiercache/tiercache/codec"
)

// Defaults of Config.
const (
	DefaultTTL           = 5 * time.Minute
	DefaultNotFoundTTL   = 10 * time.Second
	DefaultJitter        = 0.1
	DefaultMaxLocalBytes = 64 << 20
	DefaultMaxValueBytes = 8 << 20
	DefaultLoadTimeout   = 10 * time.Second
	DefaultLeaseTTL      = 2 * time.Second
	DefaultFenceTTL      = 10 * time.Second
	DefaultWaitMax       = 5 * time.Second
	DefaultSourceLimit   = 128
)

// maxLocalLife is the longest life of a local copy: it keeps the generation
// counters from wrapping under it.
const maxLocalLife = time.Hour

// Config describes a cache of V. A zero field has the documented default. All
// processes should agree on it; where they differ during a deployment, only
// Name, Codec and Version matter, and a record that one cannot read is a miss.
type Config[V any] struct {
	// Name of the cache, the same in all processes; a key in Redis is
	// <fleet>:<Name>:<id>. Matches [A-Za-z0-9_.-]+. Required.
	Name string

	// Consistency is what reads promise. Default Bounded.
	Consistency Consistency

	// TTL is how long a value counts as fresh. Default 5 min. It is a backstop
	// for writes that bypass Update and Invalidate, not the means of coherence.
	TTL time.Duration

	// StaleTTL is how much longer an expired value may be served while one node
	// of the fleet refreshes it, or while the loader fails. An invalidated
	// value is never served. Default 0: none.
	StaleTTL time.Duration

	// NotFoundTTL is how long ErrNotFound is remembered. Default 10 s, at most
	// TTL; negative: not at all. Creating a record through Update ends it.
	NotFoundTTL time.Duration

	// LocalTTL is the longest life of a copy in this process's memory.
	// Default and upper bound: what Redis has left, at most 1 h.
	LocalTTL time.Duration

	// Jitter is the share of TTL by which expiries are spread, 0 to 1, so that
	// values loaded together do not expire together. Default 0.1; negative: none.
	Jitter float64

	// Version of the shape of V: raise it when the shape changes. A record of a
	// lower version is replaced, one of a higher version is left alone.
	Version uint32

	// Codec turns V into bytes. Default codec.Msgpack.
	Codec codec.Codec

	// MaxLocalBytes bounds the local tier, its tables included. Default 64 MiB.
	MaxLocalBytes int64

	// MaxValueBytes is the largest encoded value. A larger one is returned and not
	// stored; for 10 s no read of its key waits for another process. Default 8 MiB.
	MaxValueBytes int

	// LoadTimeout is the longest run of one load. Default 10 s.
	LoadTimeout time.Duration

	// LeaseTTL is how long a crashed process keeps the others from loading a
	// key. It is renewed while a load runs. Default 2 s.
	LeaseTTL time.Duration

	// FenceTTL bounds an Update: the writer gets 0.8 of it. A process that
	// crashes inside an Update keeps the key uncached for as long. Default 10 s;
	// if Consistency is not Bounded, DefaultStrongFenceTTL, and all processes must agree
	// on it.
	FenceTTL time.Duration

	// WaitMax is the longest wait for another process's load; after it the
	// caller loads for itself, uncached. Default 5 s.
	WaitMax time.Duration

	// SourceLimit is the number of loads that this process runs at once,
	// whatever the state of Redis. More wait within their context and get
	// ErrSourceBusy. Default 128; negative: no limit.
	SourceLimit int

	// Clone, if set, copies a value each time it is handed out, and what a loader or
	// writer returns before it is kept. Without it a value that is a pointer, map or
	// slice is shared with the cache, all its readers, and the loader, and must not be
	// modified. A panic of Clone is the error of the call that met it.
	Clone func(V) V

	// Audit checks a share of the local hits in production. Default: none.
	Audit Audit[V]
}

var named = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// resolve returns a copy with the defaults filled in, or every fault at once.
func (c Config[V]) resolve() (Config[V], error) {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("tiered.Config."+format, args...))
	}
	if !named.MatchString(c.Name) {
		fault("Name: %q does not match %s", c.Name, named)
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		def   time.Duration
		least time.Duration
	}{
		{"TTL", &c.TTL, DefaultTTL, time.Millisecond},
		{"StaleTTL", &c.StaleTTL, 0, 0},
		{"LocalTTL", &c.LocalTTL, maxLocalLife, time.Millisecond},
		{"LoadTimeout", &c.LoadTimeout, DefaultLoadTimeout, time.Millisecond},
		{"LeaseTTL", &c.LeaseTTL, DefaultLeaseTTL, 10 * time.Millisecond},
		{"FenceTTL", &c.FenceTTL, DefaultFenceTTL, 10 * time.Millisecond},
		{"WaitMax", &c.WaitMax, DefaultWaitMax, time.Millisecond},
	} {
		if *d.value == 0 {
			*d.value = d.def
		}
		if *d.value < d.least {
			fault("%s: %v is less than %v", d.name, *d.value, d.least)
		}
	}
	c.LocalTTL = min(c.LocalTTL, maxLocalLife)
	if c.NotFoundTTL == 0 {
		c.NotFoundTTL = min(DefaultNotFoundTTL, c.TTL)
	}
	if c.NotFoundTTL > 0 && c.NotFoundTTL < time.Millisecond {
		fault("NotFoundTTL: %v is less than %v", c.NotFoundTTL, time.Millisecond)
	}
	if c.Jitter == 0 {
		c.Jitter = DefaultJitter
	}
	if !(c.Jitter <= 1) {
		fault("Jitter: %v is not a share of TTL (0 to 1)", c.Jitter)
	}
	c.Jitter = max(c.Jitter, 0)
	if c.Codec == nil {
		c.Codec = codec.Msgpack()
	}
	positive(fault, "MaxLocalBytes", &c.MaxLocalBytes, DefaultMaxLocalBytes)
	positive(fault, "MaxValueBytes", &c.MaxValueBytes, DefaultMaxValueBytes)
	if c.SourceLimit == 0 {
		c.SourceLimit = DefaultSourceLimit
	}
	c.Audit.resolve(fault, c.FenceTTL)
	return c, errors.Join(faults...)
}

func positive[N int | int64](fault func(string, ...any), name string, v *N, def N) {
	if *v == 0 {
		*v = def
	}
	if *v < 0 {
		fault("%s: %d is negative", name, *v)
	}
}
