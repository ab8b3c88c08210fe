package simulation

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"sync"
	"testing"
	"time"
)

const (
	faninDelay  = time.Millisecond // of every reply and message on its way from Redis
	faninWrites = 20
)

// TestStrongFanIn counts what a write of a strong cache costs, on the connections, in
// fleets of up to 100 nodes: docs/strong.md says so. Only what comes from Redis takes
// time here: with the fence and with the new value it is a round trip each, and a
// third for the message to the nodes and their confirmations.
func TestStrongFanIn(t *testing.T) {
	sizes := []int{1, 3, 10, 30, 100}
	if shorter > 1 {
		sizes = sizes[:3]
	}
	for _, nodes := range sizes {
		t.Run(fmt.Sprintf("nodes=%d", nodes), func(t *testing.T) {
			tap := &tap{}
			cfg := Config{Nodes: nodes, Keys: 1, Seed: 1, Times: Strong()}
			playOn(t, cfg, func(r Rig) Rig { return tappedRig{r, tap} }, func(f *Fleet) {
				time.Sleep(3 * cfg.Times.Fence) // nobody has missed anything
				f.burst(t, tap, faninWrites)    // connections are open, scripts are known
				want := messages{entries: faninWrites * nodes, acks: faninWrites * (nodes - 1), lifts: faninWrites * nodes}
				took := 2 * faninDelay
				if nodes > 1 {
					took += faninDelay
				}
				got, longest, twice := f.burst(t, tap, 1)
				got.acks -= twice
				if got != want || longest != took {
					t.Errorf("%d writes, one after the other: %+v, want %+v; the slowest took %v, want %v", faninWrites, got, want, longest, took)
				}
				got, longest, _ = f.burst(t, tap, faninWrites)
				t.Logf("%d writes at once: %+v; the slowest took %v", faninWrites, got, longest)
				if want.acks = min(got.acks, want.acks/2); got != want {
					t.Errorf("%d writes at once: %+v, want %+v", faninWrites, got, want)
				}
			})
		})
	}
}

// burst makes writes on the first node, so many at a time. It returns the messages that
// were delivered for them, the time of the slowest, and how many confirmations were
// sent twice, because a probe had shown the announcement before its message came.
func (f *Fleet) burst(t *testing.T, tap *tap, atOnce int) (got messages, longest time.Duration, twice int) {
	t.Helper()
	m := f.member(0)
	confirmed, repaired := f.confirmations()
	tap.take()
	for range faninWrites / atOnce {
		var writers sync.WaitGroup
		began := time.Now()
		for i := range atOnce {
			writers.Go(func() {
				key := fmt.Sprintf("w%d", i)
				if _, err := m.store.Update(context.Background(), key, func(context.Context, string) (Value, error) { return Value{}, nil }); err != nil {
					t.Errorf("Update(%q): %v", key, err)
				}
			})
		}
		writers.Wait()
		longest = max(longest, time.Since(began))
	}
	time.Sleep(10 * faninDelay) // the ends of the fences are on their way
	sum, again := f.confirmations()
	if twice = again - repaired; sum-confirmed != faninWrites*(f.cfg.Nodes-1)+twice {
		t.Errorf("%d confirmations of %d writes, %d of them sent twice", sum-confirmed, faninWrites, twice)
	}
	return tap.take(), longest, twice
}

// confirmations are how many announcements the nodes have confirmed, and how many they
// have fetched from the ring.
func (f *Fleet) confirmations() (confirmed, repaired int) {
	for _, m := range f.alive()[1:] {
		s := m.node.Stats()
		confirmed, repaired = confirmed+int(s.Confirmed), repaired+int(s.Repaired)
	}
	return confirmed, repaired
}

// messages are what pub/sub has delivered: announcements, confirmations (one message
// may hold many) and ends of fences.
type messages struct{ entries, acks, lifts int }

// tap counts messages where they come in.
type tap struct {
	mu  sync.Mutex
	got messages
}

func (p *tap) take() messages {
	p.mu.Lock()
	defer p.mu.Unlock()
	got := p.got
	p.got = messages{}
	return got
}

func (p *tap) count(kind byte) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch kind {
	case 'a':
		p.got.acks++
	case 'u':
		p.got.lifts++
	default:
		p.got.entries++
	}
}

type tappedRig struct {
	Rig
	tap *tap
}

func (r tappedRig) Link() (Link, error) {
	l, err := r.Rig.Link()
	if err != nil {
		return nil, err
	}
	l.Delay(faninDelay)
	return tappedLink{l, r.tap}, nil
}

type tappedLink struct {
	Link
	tap *tap
}

func (l tappedLink) Dial(ctx context.Context) (net.Conn, error) {
	conn, err := l.Link.Dial(ctx)
	return &tapped{Conn: conn, tap: l.tap}, err
}

// tapped is a connection whose messages are counted.
type tapped struct {
	net.Conn
	tap  *tap
	tail []byte
}

// pushed is a message as far as the kind of its payload: an entry begins with its
// number, the others with a letter and a bar.
var pushed = regexp.MustCompile(`\$7\r\nmessage\r\n\$\d+\r\n[^\r]+\r\n\$\d+\r\n(\d|[au])\|?`)

func (c *tapped) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	c.tail = append(c.tail, b[:n]...)
	end := 0
	for _, m := range pushed.FindAllSubmatchIndex(c.tail, -1) {
		c.tap.count(c.tail[m[2]])
		end = m[1]
	}
	if c.tail = c.tail[end:]; len(c.tail) > 256 {
		c.tail = c.tail[len(c.tail)-256:]
	}
	return n, err
}
