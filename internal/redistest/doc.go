// Package redistest starts the Redis servers that tests and examples need and breaks them on purpose.
//
//   - [Embedded] is miniredis inside this process, with TTLs that age, a process identity (run_id,
//     master_replid, role) and crashes. Over TCP it stands in where no redis-server is installed. Over memory
//     ([StartPipe], [RunPipe]) it lives in a testing/synctest bubble, where hours pass in milliseconds.
//   - [Link] is one client's way to an Embedded, with the faults of a network in the time of the bubble.
//   - [Server] is a redis-server process that can be killed, frozen and restarted, empty or on an old dump.
//   - [Proxy] stands in front of any server on TCP, with the same faults as Link.
//   - [Sentinel] and [Cluster] are groups of such processes.
//
// The Run functions take a testing.TB, clean up after it, and skip it aloud where no redis-server is
// installed (see [Need]). The Start functions and NewProxy return errors and leave Close to the caller. Everything
// listens on 127.0.0.1 only.
//
// # Which fault is which
//
//	Cut           connection refused, current ones reset         a host that is down, a closed port
//	Hole          silence, both ways                             a dropped route, a full firewall table
//	HoleReplies   requests pass, replies do not                  an asymmetric route
//	Delay         replies are late, in order                     a slow network, a slow reader
//	Reset         current connections reset, once                a restarted balancer
//	Crash, Kill   the server is gone, its port refuses           kill -9
//	Stop          connections open, nothing answers              a suspended machine
//	Restart       another process on the same address            a crash with a supervisor
//
// # In a synctest bubble
//
// Start and close everything inside the bubble and use [Link.Options]: a goroutine parked on a real
// socket stops the clock of the bubble. A memory connection owns no goroutine, buffers without bound (so that a
// PUBLISH never waits for a reader) and keeps deadlines in the time of the bubble.
//
// # Caveats
//
// miniredis is not Redis: it knows no SPUBLISH, no CLIENT TRACKING, no ACL, and runs scripts many times
// slower, so its timings mean nothing. What INFO shows of an Embedded is made up. INFO, ROLE and CLIENT SETINFO
// are answered at once even inside MULTI. An Embedded with the role "slave" still takes writes.
//
// Server needs a Unix. Only Linux ends its processes when the test process dies without a Close. A reset seen through
// go-redis may look like an end of file, because it peeks at idle sockets and consumes the error.
//
// # Goroutines
//
// Embedded: one that accepts (TCP only) and those of miniredis, joined by Crash and Close. Server: one per
// process, which keeps an OS thread, joined by Kill and Close. Proxy: one that accepts and three per connection,
// joined by Close. Link: none.
package redistest
