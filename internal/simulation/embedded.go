package simulation

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"time"

	"github.com/alicebob/miniredis/v2/server"
	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
)

// embedded is a Redis in this process's memory, for a synctest bubble.
type embedded struct {
	server *redistest.Embedded
	admin  *redis.Client

	mu    sync.Mutex
	pulse pulse
	saved redistest.Snapshot
	lost  float64 // share of announcements
	dice  *rand.Rand
}

// NewEmbedded returns a rig for a synctest bubble; it must be closed in the same bubble.
func NewEmbedded(seed uint64) (Rig, error) {
	s, err := redistest.StartPipe()
	if err != nil {
		return nil, err
	}
	r := &embedded{server: s, admin: redis.NewClient(s.Link().Options().Simple()), dice: rand.New(rand.NewPCG(seed, 2))}
	r.saved = s.Snapshot()
	s.Intercept(r.intercept)
	return r, nil
}

// intercept counts commands, and loses announcements: PUBLISH runs inside of scripts only.
func (r *embedded) intercept(c *server.Peer, cmd string, args ...string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pulse.beat(cmd)
	if cmd != "PUBLISH" || len(args) == 0 || !strings.HasSuffix(args[0], ":bus") {
		return false
	}
	if r.lost == 0 || r.dice.Float64() >= r.lost {
		return false
	}
	c.WriteInt(0)
	return true
}

func (r *embedded) Link() (Link, error) { return embeddedLink{r.server.Link()}, nil }

func (r *embedded) Restart(on data, down time.Duration) error {
	r.server.Crash()
	time.Sleep(down)
	return errors.Join(r.start(on), r.renew())
}

func (r *embedded) start(on data) error {
	switch on {
	case empty:
		return r.server.RestartEmpty()
	case same:
		return r.server.Restart()
	}
	r.mu.Lock()
	saved := r.saved
	r.mu.Unlock()
	return r.server.Restore(saved)
}

// renew replaces the admin's client, whose connections died with the former server.
func (r *embedded) renew() error {
	old := r.admin
	r.admin = redis.NewClient(r.server.Link().Options().Simple())
	return old.Close()
}

func (r *embedded) Save() error {
	saved := r.server.Snapshot()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.saved = saved
	return nil
}

func (r *embedded) Stop() error { return nil } // the wires freeze
func (r *embedded) Cont() error { return nil }

func (r *embedded) Refuse(on bool) error {
	msg := ""
	if on {
		msg = "LOADING Redis is loading the dataset in memory"
	}
	r.server.SetError(msg)
	return nil
}

func (r *embedded) Lose(share float64) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = share
	return true
}

func (r *embedded) Record(key string) (string, bool) {
	v, err := r.server.DB(0).Get(key)
	if err != nil {
		return "", true
	}
	return v, true
}

func (r *embedded) Admin() *redis.Client { return r.admin }

func (r *embedded) Close() error {
	err := r.admin.Close()
	r.server.Close()
	return err
}

type embeddedLink struct{ *redistest.Link }

func (l embeddedLink) Dial(ctx context.Context) (net.Conn, error) { return l.Dialer()(ctx, "", "") }
func (l embeddedLink) Close() error                               { return nil }
