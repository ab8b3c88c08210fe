package tiered

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tiercache/tiercache/coherence"
)

// Error is the type of the error constants: compare with errors.Is.
type Error = coherence.Error

const (
	// ErrNotFound: the source has no such record. Loaders and writers return it;
	// it is cached for NotFoundTTL.
	ErrNotFound Error = "tiercache: not found"

	// ErrMiss: from Peek, neither tier holds the key. Use Get to load it.
	ErrMiss Error = "tiercache: miss"

	// ErrClosed: the cache or its node was closed.
	ErrClosed = coherence.ErrClosed

	// ErrNotWritten: Update did not call the writer, because it could not make
	// sure first that every cache would notice. Nothing changed; try again.
	ErrNotWritten Error = "tiercache: not written"

	// ErrUnconfirmed: the source was written (or the caller said so), but Redis
	// did not confirm that all caches know. The invalidation is retried until
	// it does; do not write again for its sake.
	ErrUnconfirmed = coherence.ErrUnconfirmed

	// ErrUnheard: the keys were invalidated, but the context ended before every node had
	// confirmed it. Within MaxStale they will have, or will serve nothing.
	ErrUnheard = coherence.ErrUnheard

	// ErrLoadTimeout: the loader ran for longer than LoadTimeout and did not
	// heed its context. One that does returns an error of its own.
	ErrLoadTimeout Error = "tiercache: the load took longer than LoadTimeout"

	// ErrSourceBusy: SourceLimit loads were running for as long as the caller
	// would wait. Shed load, or raise the limit.
	ErrSourceBusy Error = "tiercache: the source is busy"
)

// A PanicError is a panic of a loader, writer or codec, given to everybody who
// waited for it.
type PanicError struct {
	Value any    // what was passed to panic
	Stack []byte // of the goroutine that panicked
}

func (e *PanicError) Error() string { return fmt.Sprintf("tiercache: panic: %v\n%s", e.Value, e.Stack) }

// Unwrap returns the panic's value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// A KeysError names the keys that GetMany could not read, and why.
type KeysError struct {
	Failed map[string]error
}

func (e *KeysError) Error() string {
	keys := slices.Sorted(maps.Keys(e.Failed))
	const shown = 3
	var b strings.Builder
	fmt.Fprintf(&b, "tiercache: %d keys failed:", len(keys))
	for i, k := range keys {
		if i == shown {
			fmt.Fprintf(&b, " and %d more", len(keys)-shown)
			break
		}
		fmt.Fprintf(&b, " %q (%v)", k, e.Failed[k])
	}
	return b.String()
}

// Unwrap returns the errors in the order of their keys, so that errors.Is finds each.
func (e *KeysError) Unwrap() []error {
	errs := make([]error, 0, len(e.Failed))
	for _, k := range slices.Sorted(maps.Keys(e.Failed)) {
		errs = append(errs, e.Failed[k])
	}
	return errs
}

// RolledBack wraps a writer's error to say that the source surely did not
// change, so that the key can be cached again at once. An error that is not
// wrapped leaves the write in doubt, and nobody caches the key until FenceTTL
// is over.
func RolledBack(err error) error {
	if err == nil {
		return nil
	}
	return &rolledBack{err}
}

type rolledBack struct{ err error }

func (e *rolledBack) Error() string { return e.err.Error() }
func (e *rolledBack) Unwrap() error { return e.err }

// saysNotFound reports whether err is the source's answer that there is no such
// record. A panic is no answer, whatever it panicked with.
func saysNotFound(err error) bool {
	var p *PanicError
	return errors.Is(err, ErrNotFound) && !errors.As(err, &p)
}

func isRolledBack(err error) bool {
	var r *rolledBack
	return errors.As(err, &r)
}
