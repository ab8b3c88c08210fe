package redistest

import "go.uber.org/goleak"

// LateDials excuses, in a search for leaked goroutines, those of go-redis' pool that
// dial: Client.Close does not wait for them, and a server that has just gone can hold
// them up for a second or more.
func LateDials() []goleak.Option {
	const pool = "github.com/redis/go-redis/v9/internal/pool.(*ConnPool)."
	return []goleak.Option{goleak.IgnoreAnyFunction(pool + "tryDial"), goleak.IgnoreAnyFunction(pool + "dialConn")}
}
