package tiered

import (
	"testing"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/coherence"
	"github.com/tiercache/tiercache/internal/redistest"
	"github.com/tiercache/tiercache/internal/token"
	"github.com/tiercache/tiercache/tiered/internal/envelope"
)

// A record that was sent, or is still to be, is not touched by the next one.
func TestRecordsShareNoBuffer(t *testing.T) {
	c := encoding(t)
	for range 20 { // a buffer may be dropped between two
		first, second := encodes(t, c, "first"), encodes(t, c, "other")
		for want, rec := range map[string]*encoded{"first": first, "other": second} {
			env, err := envelope.Parse(rec.bytes)
			var got string
			if err == nil {
				err = c.cfg.Codec.Decode(env.Payload, &got)
			}
			if err != nil || got != want {
				t.Fatalf("the record of %q holds %q, %v", want, got, err)
			}
		}
	}
}

func encoding(t *testing.T) *Cache[string] {
	t.Helper()
	e := redistest.RunEmbedded(t)
	rdb := redis.NewClient(&redis.Options{Addr: e.Addr()})
	t.Cleanup(func() { _ = rdb.Close() })
	node, err := coherence.Join(t.Context(), rdb, coherence.Config{Fleet: "test"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = node.Close() })
	c, err := New(node, Config[string]{Name: "c", TTL: time.Minute})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func encodes(t *testing.T, c *Cache[string], v string) *encoded {
	t.Helper()
	r := &reading[string]{key: "k", life: lifetime{ttl: time.Minute}}
	rec, err := c.encode(token.Token{1}, r, v, nil, time.Millisecond)
	if err != nil {
		t.Fatal(err)
	}
	return rec
}
