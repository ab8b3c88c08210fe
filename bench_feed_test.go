package tiercache_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
)

// A feed is one receiver of announcements and the messages that it understands. They
// are made beforehand and published as they are, so that neither announcers nor
// scripts take the processor from it: how fast can one process apply what all others
// announce?
type feed struct {
	channel  string
	message  func(keys []int) string // the next one
	received func() uint64
	applied  func(key int) uint64
	verify   func() error // that the messages alone have moved what is applied
}

const (
	burst  = 256           // messages of one pipeline
	ahead  = 8 * burst     // how far the receiver may lag, far below Redis' limit for subscribers
	answer = len(":1\r\n") // of a message that had one receiver
)

// fed publishes b.N messages of so many keys and waits until they are applied.
func fed(b *testing.B, addr string, open func(b *testing.B, addr string) feed, batch int) {
	f := open(b, addr)
	want := make([]uint64, busKeys)
	for key := range want {
		want[key] = f.applied(key)
	}
	var pipelines [][]byte
	for i := range b.N {
		keys := make([]int, batch)
		for j := range keys {
			keys[j] = (i*batch + j) % busKeys
			want[keys[j]]++
		}
		if i%burst == 0 {
			pipelines = append(pipelines, nil)
		}
		last := &pipelines[len(pipelines)-1]
		*last = appendPublish(*last, f.channel, f.message(keys))
	}
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	b.ResetTimer()
	for i, pipeline := range pipelines {
		for int(f.received())+ahead < i*burst {
			time.Sleep(50 * time.Microsecond) // the receiver's turn
		}
		publish(b, conn, pipeline, min(burst, b.N-i*burst))
	}
	for key := range want {
		if !await(bus{applied: f.applied}, key, want[key]) {
			b.Fatal("a message was not applied")
		}
	}
	b.StopTimer()
	for key := range want {
		if got := f.applied(key); got != want[key] {
			b.Fatalf("key %d was applied %d times, want %d", key, got, want[key])
		}
	}
	if err := f.verify(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "messages/s")
	b.ReportMetric(float64(b.N*batch)/b.Elapsed().Seconds(), "keys/s")
}

func appendPublish(dst []byte, channel, message string) []byte {
	return fmt.Appendf(dst, "*3\r\n$7\r\nPUBLISH\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(channel), channel, len(message), message)
}

// publish sends a pipeline and sees that each of its messages had one receiver.
func publish(b *testing.B, conn net.Conn, pipeline []byte, messages int) {
	if _, err := conn.Write(pipeline); err != nil {
		b.Fatal(err)
	}
	var replies [burst * answer]byte
	got := replies[:messages*answer]
	if _, err := io.ReadFull(conn, got); err != nil {
		b.Fatal(err)
	}
	if bytes.Count(got, []byte(":1\r\n")) != messages {
		b.Fatalf("PUBLISH answered %.40q", got)
	}
}

func feedPubSub(b *testing.B, addr string) feed {
	l := listen(b, addr, "fed")
	return feed{
		channel:  "fed",
		message:  func(keys []int) string { return strings.Join(names(keys), " ") },
		received: l.messages.Load,
		applied:  func(key int) uint64 { return l.counts[key].Load() },
		verify:   func() error { return nil },
	}
}

// feedNode joins a fleet of its own, whose bus stays empty, so that the first message
// is entry 1. Its node must not compare notes with Redis before the end: the probes
// that its subscription asks for are over when it is given out, and the next is due
// in an hour.
func feedNode(b *testing.B, addr string) feed {
	fleet := "fed" + strconv.FormatUint(freshKeys.Add(1), 10)
	node, done, err := joinAs(b.Context(), addr, coherence.Config{Fleet: fleet, MaxStale: 4 * time.Hour, Probe: time.Hour})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(done)
	for probes := uint64(0); probes != node.Stats().Probes; time.Sleep(50 * time.Millisecond) { // until none comes any more
		probes = node.Stats().Probes
	}
	space, err := node.Space(coherence.SpaceConfig{Name: "changes"})
	if err != nil {
		b.Fatal(err)
	}
	began := node.Stats()
	keys, hashes := apart(space)
	sent, last := 0, ""
	return feed{
		channel: fleet + ":bus",
		message: func(numbers []int) string {
			sent++
			previous := last
			last = fmt.Sprintf("%032x", sent)
			return strconv.Itoa(sent) + "|" + previous + "|" + last + "|" + payload(numbers, keys)
		},
		received: func() uint64 { return node.Stats().Messages },
		applied:  func(key int) uint64 { return space.Generation(hashes[key]) },
		verify: func() error {
			want := began
			want.Messages = uint64(sent)
			if got := node.Stats(); got != want {
				return fmt.Errorf("after %d messages the node says %+v, want %+v", sent, got, want)
			}
			return nil
		},
	}
}

// payload is that of an entry, in the wire format of package coherence.
func payload(numbers []int, keys []string) string {
	p := append([]byte{1, 'i'}, "\x07changes"...)
	p = binary.AppendUvarint(p, uint64(len(numbers)))
	for _, n := range numbers {
		p = append(binary.AppendUvarint(p, uint64(len(keys[n]))), keys[n]...)
	}
	return string(p)
}

// underReads runs do while eight callers read from Redis, 500 times a second each.
func underReads(b *testing.B, rdb *redis.Client, do func()) {
	const callers, every = 8, 2 * time.Millisecond
	ctx := b.Context()
	if err := rdb.Set(ctx, "read", strings.Repeat("x", 600), 0).Err(); err != nil {
		b.Fatal(err)
	}
	end, done := make(chan struct{}), make(chan error, callers)
	for range callers {
		go func() {
			pace := time.NewTicker(every)
			defer pace.Stop()
			for {
				select {
				case <-end:
					done <- nil
					return
				case <-pace.C:
				}
				if err := rdb.Get(ctx, "read").Err(); err != nil {
					done <- err
					return
				}
			}
		}()
	}
	do()
	close(end)
	for range callers {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
}
