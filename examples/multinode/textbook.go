package main

import (
	"context"
	"encoding/json"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// textbookTTL is how long the textbook keeps a price, here and in Redis.
const textbookTTL = 300 * time.Second

// textbookSuffix, after the fleet's name, begins the textbook's keys.
const textbookSuffix = "-textbook"

// textbook is cache-aside as it is usually written: a local copy with a TTL, a
// JSON value in Redis with a TTL; on a change the database is written, then
// the value is deleted and the other nodes are told.
type textbook struct {
	rdb  *redis.Client
	db   *source
	name string // prefix of its keys, and its channel

	mu    sync.Mutex
	local map[string]localCopy
}

type localCopy struct {
	product Product
	until   time.Time
}

func newTextbook(rdb *redis.Client, db *source, name string) *textbook {
	return &textbook{rdb: rdb, db: db, name: name, local: map[string]localCopy{}}
}

// listen drops what other nodes say has changed, until the context ends.
func (t *textbook) listen(ctx context.Context) {
	sub := t.rdb.Subscribe(ctx, t.name)
	defer sub.Close()
	messages := sub.Channel()
	for {
		select {
		case m := <-messages:
			if m == nil {
				return
			}
			t.drop(m.Payload)
		case <-ctx.Done():
			return
		}
	}
}

func (t *textbook) get(ctx context.Context, id string) (Product, error) {
	if p, ok := t.lookup(id); ok {
		return p, nil
	}
	var p Product
	if data, err := t.rdb.Get(ctx, t.key(id)).Bytes(); err == nil && json.Unmarshal(data, &p) == nil {
		t.keep(p)
		return p, nil
	}
	p, err := t.db.product(ctx, id)
	if err != nil {
		return p, err
	}
	if data, err := json.Marshal(p); err == nil {
		t.rdb.Set(ctx, t.key(id), data, textbookTTL)
	}
	t.keep(p)
	return p, nil
}

// update returns the error of a lost invalidation, which textbook code logs:
// the database is written all the same.
func (t *textbook) update(ctx context.Context, id string, write func(context.Context, string) (Product, error)) (Product, error) {
	p, err := write(ctx, id)
	if err != nil {
		return p, err
	}
	t.drop(id)
	if err := t.rdb.Del(ctx, t.key(id)).Err(); err != nil {
		return p, err
	}
	return p, t.rdb.Publish(ctx, t.name, id).Err()
}

func (t *textbook) key(id string) string { return t.name + ":" + id }

func (t *textbook) lookup(id string) (Product, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	c, ok := t.local[id]
	return c.product, ok && time.Now().Before(c.until)
}

func (t *textbook) keep(p Product) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.local[p.ID] = localCopy{p, time.Now().Add(textbookTTL)}
}

func (t *textbook) drop(id string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.local, id)
}
