package coherence

import (
	"errors"
	"fmt"
	"regexp"
	"time"
)

// Defaults of Config, and limits that are part of the wire format.
const (
	DefaultMaxStale    = time.Second
	DefaultProbe       = 100 * time.Millisecond
	DefaultTimeout     = 250 * time.Millisecond
	DefaultJournalSize = 65536

	// MaxKey is the longest key in bytes that can be announced. Build longer
	// ones with tiered.Key, which bounds them.
	MaxKey = 1024
)

// Config says how a process takes part in a fleet. A zero field has the
// documented default. Nodes of one fleet may differ in every field but Fleet.
type Config struct {
	// Fleet names the processes that keep each other coherent. It is the prefix
	// of every key and channel in Redis and matches [A-Za-z0-9_.-]+. Required.
	Fleet string

	// MaxStale is the bound D: the longest time that this node serves a value
	// after a write of a newer one returned anywhere. Default 1 s.
	MaxStale time.Duration

	// Probe is the interval H at which the node proves itself in step with
	// Redis. Default 100 ms; at most MaxStale/3, so that one lost probe does
	// not cost the lease.
	Probe time.Duration

	// Timeout is the longest wait for one round trip to Redis. Default 250 ms.
	Timeout time.Duration

	// Monitor watches the client's connections for restarts and failovers of
	// Redis; it comes from Instrument. Without one a restart on old data is
	// noticed by the next probe instead of by the first reply, and on a Cluster
	// only if it is the shard of the bus.
	Monitor *Monitor

	// Proxied says that connections stay open over a failover of Redis, because they
	// lead through a proxy, or because masters are demoted by hand (REPLICAOF without
	// CLIENT KILL, which Sentinel sends) and ROLE is refused: every probe reads INFO as
	// well.
	Proxied bool

	// Warm is the longest failover or restart of Redis over which the fleet keeps its
	// shared values; a longer one voids them, as does one that a node does not survive.
	// The nodes keep a list of each other for it, and a node announces nothing before
	// all others know of it: they do within two Probes, but while one that died is
	// still on the list, for up to Warm, a newcomer gets ErrAdrift (ErrNotWritten from
	// an Update). All nodes of a fleet must have it or none: a node without is refused
	// (STRANGER) while others are there. It needs a Monitor, and a client that is no
	// Cluster's. At least twice MaxStale; 30 s suits Sentinels. Default 0: the values
	// are void after every restart and failover.
	Warm time.Duration

	// JournalSize is the number of keys of failed invalidations that are kept
	// for retries: those of one large announcement as well. When more fail, all of the
	// fleet's caches are voided, of all spaces, as soon as Redis answers. A key takes
	// some hundred bytes beside its own. Default 65,536.
	JournalSize int

	// OnEvent is called for rare happenings, one at a time per goroutine of the
	// node; it must not block. If it panics the event is logged. Default: they are
	// logged with slog.Default.
	OnEvent func(Event)
}

// named is the form of fleet and space names: ids may hold anything because
// names cannot hold the separator.
var named = regexp.MustCompile(`^[A-Za-z0-9_.-]+$`)

// resolve returns a copy with the defaults filled in, or every fault at once.
func (c Config) resolve() (Config, error) {
	var faults []error
	fault := func(format string, args ...any) {
		faults = append(faults, fmt.Errorf("coherence.Config."+format, args...))
	}
	if !named.MatchString(c.Fleet) {
		fault("Fleet: %q does not match %s", c.Fleet, named)
	}
	for _, d := range []struct {
		name  string
		value *time.Duration
		def   time.Duration
	}{
		{"MaxStale", &c.MaxStale, DefaultMaxStale},
		{"Probe", &c.Probe, min(DefaultProbe, max(c.MaxStale, 0)/3)},
		{"Timeout", &c.Timeout, DefaultTimeout},
	} {
		if *d.value < 0 {
			fault("%s: %v is negative", d.name, *d.value)
		}
		if *d.value == 0 {
			*d.value = d.def
		}
	}
	if c.Probe == 0 {
		c.Probe = DefaultProbe
	}
	if c.MaxStale >= 0 && c.Probe > c.MaxStale/3 {
		fault("Probe: %v is more than a third of MaxStale (%v)", c.Probe, c.MaxStale)
	}
	switch {
	case c.Warm < 0:
		fault("Warm: %v is negative", c.Warm)
	case c.Warm > 0 && c.Warm < 2*c.MaxStale:
		fault("Warm: %v is less than twice MaxStale (%v)", c.Warm, c.MaxStale)
	case c.Warm > 0 && (c.Monitor == nil || c.Proxied):
		fault("Warm: needs a Monitor that sees each connection: set Monitor, and Proxied to false")
	}
	if c.JournalSize < 0 {
		fault("JournalSize: %d is negative", c.JournalSize)
	}
	if c.JournalSize == 0 {
		c.JournalSize = DefaultJournalSize
	}
	return c, errors.Join(faults...)
}
