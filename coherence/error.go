package coherence

// Error is the type of this package's error constants: compare with errors.Is.
type Error string

func (e Error) Error() string { return string(e) }

const (
	// ErrClosed: the node (or the space) was closed. Open a new one.
	ErrClosed Error = "tiercache: closed"

	// ErrUnconfirmed: Redis did not confirm an invalidation. It is kept in the
	// node's journal and repeated until Redis confirms it; meanwhile this node
	// bypasses its caches for the key and the other nodes may serve the old
	// value. Nothing has to be repeated by the caller.
	ErrUnconfirmed Error = "tiercache: invalidation not confirmed, it is being retried"

	// ErrUnheard: an announcement was made, but the context ended before every node
	// had confirmed it. They will have within MaxStale, or will have lost the right to
	// serve what they hold. Nothing has to be repeated by the caller.
	ErrUnheard Error = "tiercache: not all nodes have confirmed so far"

	// ErrReplica: a connection led to a Redis replica, whose data lags behind.
	// Point the client at the master (or use a Sentinel or Cluster client).
	ErrReplica Error = "tiercache: connected to a Redis replica, a master is needed"

	// ErrAdrift: the node cannot prove that it is in step with the fleet. Reads
	// go to the source; try a write again when State is InStep.
	ErrAdrift Error = "tiercache: not in step with the fleet"
)
