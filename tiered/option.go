package tiered

import "time"

// An Option changes one call. Options are values: a hit with options allocates
// nothing.
type Option struct {
	kind optionKind
	d    time.Duration

	token Token  // of AtLeast
	issue *Token // of Issue
}

type optionKind uint8

const (
	optionTTL optionKind = iota + 1
	optionStaleTTL
	optionBypass
	optionAcked
	optionIssue
	optionAtLeast
)

// WithTTL overrides Config.TTL for what this call stores. Of calls that share a
// load, those of the one that began it count.
func WithTTL(d time.Duration) Option { return Option{kind: optionTTL, d: d} }

// WithStaleTTL overrides Config.StaleTTL for what this call stores.
func WithStaleTTL(d time.Duration) Option { return Option{kind: optionStaleTTL, d: d} }

// Bypass makes Get and GetMany read the source, past both tiers: nothing is
// looked up, stored or shared. It is for the moment when the exact value
// matters, such as the price in an order. SourceLimit holds.
func Bypass() Option { return Option{kind: optionBypass} }

// lifetime is what a call stores with, and what else its options say.
type lifetime struct {
	ttl, stale time.Duration
	bypass     bool
	acked      bool
	strict     bool // copies and loads without a lease will not do
	behind     bool // nor will what this node holds
	issue      *Token
}

func (c *Cache[V]) lifetime(opts []Option) lifetime {
	l := lifetime{ttl: c.cfg.TTL, stale: c.cfg.StaleTTL}
	for i := range opts {
		switch o := &opts[i]; o.kind {
		case optionTTL:
			l.ttl = max(o.d, time.Millisecond)
		case optionStaleTTL:
			l.stale = max(o.d, 0)
		case optionBypass:
			l.bypass = true
		case optionAcked:
			l.acked = true
		case optionIssue:
			l.issue = o.issue
		case optionAtLeast:
			l.strict = true
			l.behind = l.behind || !c.includes(o.token)
		}
	}
	return l
}
