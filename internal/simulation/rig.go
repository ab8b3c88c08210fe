package simulation

import (
	"context"
	"net"
	"time"

	"github.com/redis/go-redis/v9"
)

// Rig is one Redis with a network in front of it, both of which can be broken.
type Rig interface {
	// Link returns a new, healthy way to Redis: one for each process.
	Link() (Link, error)

	// Restart kills the server, so that its port refuses, and starts another process on the port after
	// the time given.
	Restart(on data, down time.Duration) error
	Save() error             // makes the snapshot for Restart
	Stop() error             // the process is frozen: connections stay open, nothing answers
	Cont() error             // what was sent meanwhile is executed now
	Refuse(on bool) error    // commands are answered with errors
	Lose(share float64) bool // announcements vanish on their way to subscribers; false: this rig cannot do that

	// Record returns what Redis holds under a key at this instant, if that can be told.
	Record(key string) (record string, known bool)
	// Admin is a client whose way to Redis is always healthy.
	Admin() *redis.Client
	Close() error
}

// data is what a Redis process starts on.
type data uint8

const (
	empty    data = iota
	same          // everything, as with a perfect append-only file
	snapshot      // what Save saved
)

func (d data) String() string { return [...]string{"empty", "same", "snapshot"}[d] }

// Link is a way to Redis that can be broken; see package redistest for the faults.
type Link interface {
	Cut()
	Hole()
	HoleReplies()
	Delay(d time.Duration)
	Reset()
	Heal()
	Dial(ctx context.Context) (net.Conn, error)
	Close() error
}
