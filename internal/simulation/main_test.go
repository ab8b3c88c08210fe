package simulation

import (
	"context"
	"flag"
	"runtime/debug"
	"testing"

	"github.com/redis/go-redis/v9"
	"go.uber.org/goleak"
)

var (
	seedFlag  = flag.Uint64("sim.seed", 0, "run this seed alone; 0: a fixed list")
	hoursFlag = flag.Float64("sim.hours", 0, "virtual hours of each simulated run; 0: 2 with the default bound, 24 with a bound of 10 s")
	nodesFlag = flag.Int("sim.nodes", 3, "processes in the fleet")
)

// quiet keeps go-redis from logging every broken connection.
type quiet struct{}

func (quiet) Printf(context.Context, string, ...any) {}

func TestMain(m *testing.M) {
	redis.SetLogger(quiet{})
	_ = flag.Set("test.parallel", "6") // scenarios on real processes mostly wait
	debug.SetGCPercent(400)            // an interpreter for Lua makes much garbage
	goleak.VerifyTestMain(m)
}
