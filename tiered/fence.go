package tiered

import (
	"context"
	"strconv"
	"time"
)

// A Fence lets the source refuse whoever comes too late: a writer or a loader that
// was suspended, or whose statement was on its way, for longer than anybody waited. A
// writer stores Token with the record and writes only if the one stored is smaller:
//
//	UPDATE product SET cents = ?, fence = ? WHERE id = ? AND fence < ?
//
// If no row was changed another write has overtaken it: return RolledBack.
type Fence struct {
	// Token grows from one Update of the fleet to the next, also over a loss of
	// history in Redis. That of a loader grows from one load of a key to the next.
	Token uint64

	// Deadline is when the writer's or loader's context ends. Until then nobody caches
	// what a writer is about to replace; a source that knows the time can refuse a
	// statement that arrives later.
	Deadline time.Time
}

type fenceKey struct{}

// FenceFrom returns the fence under which a Writer, or the Loader of a Get that loads
// for the whole fleet, runs.
func FenceFrom(ctx context.Context) (Fence, bool) {
	f, ok := ctx.Value(fenceKey{}).(Fence)
	return f, ok
}

func withFence(ctx context.Context, f Fence) context.Context {
	return context.WithValue(ctx, fenceKey{}, f)
}

// grantOf returns the number of a lease: the server's clock in us when it was granted.
func grantOf(lease string) uint64 {
	grant, _ := strconv.ParseUint(lease[min(stampLength, len(lease)):], 10, 63)
	return grant
}
