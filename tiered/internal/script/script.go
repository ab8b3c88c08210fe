// Package script holds the Lua scripts that change the record of one cache key.
//
// A key holds one string whose first byte says what it is:
//
//	'V' stamp(16) envelope               a value; the stamp is the token of whoever wrote it
//	'L' token(16) grant(16) inbox(8)*    somebody is loading; nodes that want a wake-up
//	'F' ( flag(1) token(16) expiry(13) )*   writers in progress; flag 'c' clean, 'd' overlapped
//
// grant is the server's clock in microseconds, expiry is in milliseconds of it, both
// are decimal. Every record has a TTL. A string of another form, and any other type,
// counts as absent.
//
// Tokens are [token.Token.String], unique per load and per write. All durations are
// whole milliseconds and at least 1; the caller checks that. Replies of 0, 1, ... are
// int64, records are string.
//
// # Retries
//
// A client that lost a reply sends its call again, and the copy may arrive before or
// after the answered one, even after whole updates of others. So ACQUIRE and FENCE
// hand out a proof, the server's time of the grant, and COMMIT and UNFENCE write only
// under the very lease or fence that the proof names. With the token alone a late copy
// of ACQUIRE would bring a lease back from the dead, and its COMMIT would store a value
// older than the invalidation that had ended it.
package script

import (
	_ "embed"
	"fmt"

	"github.com/tiercache/tiercache/internal/script"
	"github.com/tiercache/tiercache/internal/token"
)

//go:embed acquire.lua
var acquire string

//go:embed wait.lua
var wait string

//go:embed renew.lua
var renew string

//go:embed commit.lua
var commit string

//go:embed replace.lua
var replace string

//go:embed fence.lua
var fence string

//go:embed unfence.lua
var unfence string

//go:embed inval.lua
var inval string

var (
	// Acquire takes the lease of a key that holds no value.
	//
	//	args   token, lease in ms, stamp of a value that may be replaced ("" none)
	//	reply  int64: the lease is mine, this is its grant for [LeaseID]
	//	       string: the value, lease or live fences that stand there; nothing changed
	Acquire = script.New(acquire, false)

	// Wait asks for a wake-up when the lease on a key ends.
	//
	//	args   inbox of this node (8 bytes)
	//	reply  int64: ms the lease has left (it may be 0)
	//	       string: what stands there instead
	//	       nil: nothing, or a lease that is malformed; acquire it
	Wait = script.New(wait, false)

	// Renew makes a lease last longer, that of a key or the lock of a refresh.
	//
	//	args   [LeaseID] or token, new lease in ms
	//	reply  1 it lasts that long from now, 0 it is no longer mine
	Renew = script.New(renew, false)

	// Commit ends a lease with the value that was loaded under it and wakes who waits.
	// It is refused if a fence or an invalidation came since Acquire. A server over its
	// maxmemory refuses to store (error OOM) but not to give up.
	//
	//	args   [LeaseID], record ("V" token envelope; "" gives up, for which a token will do),
	//	       px, inbox prefix, wake payload
	//	reply  1 stored or given up, 0 the lease is no longer mine
	Commit = script.New(commit, false)

	// Replace swaps a value for a fresher one.
	//
	//	args   stamp of the value that was refreshed, record ("V" token envelope), px
	//	reply  1 stored, 0 another value or none stands there
	Replace = script.New(replace, false)

	// Fence announces a write: it drops value or lease, wakes who waits, and lets
	// nobody cache until Unfence or the end of ttl.
	//
	//	args   token, ttl in ms, inbox prefix, wake payload
	//	reply  []any{number of other live fences, expiry of mine for [FenceID]}, both int64
	//	error  FENCES...: 64 others write this key; nothing changed
	Fence = script.New(fence, false)

	// Unfence ends a write, and stores the new value if no other write overlapped it.
	//
	//	args   [FenceID], record ("V" token envelope; "" none), px
	//	       A token will do to clear a fence whose reply was lost; then the record is ignored.
	//	reply  -1 my fence is gone: invalidate and announce again
	//	       0 cleared, nothing stored; 1 stored; n+1 cleared, n fences of others remain
	Unfence = script.New(unfence, true)

	// Inval drops value or lease and wakes who waits. Fences stay, but may no longer store.
	//
	//	args   inbox prefix, wake payload
	//	reply  0 nothing was there, 1 removed, 2 live fences remain
	Inval = script.New(inval, true)
)

// LeaseID is what Commit wants to see of the lease that Acquire granted.
func LeaseID(t token.Token, grant int64) string { return fmt.Sprintf("%s%016d", t[:], grant) }

// FenceID is what Unfence wants to see of the fence that Fence made.
func FenceID(t token.Token, expiry int64) string { return fmt.Sprintf("%s%013d", t[:], expiry) }
