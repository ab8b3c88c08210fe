package simulation

import (
	"context"
	"errors"
	"net"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/tiercache/tiercache/internal/redistest"
)

// real is a redis-server process with a TCP proxy in front of it for each node.
type real struct {
	server *redistest.Server
	admin  *redis.Client
}

// NewReal returns a rig around a redis-server process, which stays the caller's to close.
func NewReal(s *redistest.Server) Rig {
	return &real{server: s, admin: redis.NewClient(&redis.Options{Addr: s.Addr()})}
}

func (r *real) Link() (Link, error) {
	p, err := redistest.NewProxy(r.server.Addr())
	if err != nil {
		return nil, err
	}
	return realLink{p}, nil
}

// Restart on the same data takes them down to the last command: from the pause on the server changes
// nothing.
func (r *real) Restart(on data, down time.Duration) error {
	if on == same {
		if err := r.admin.Do(context.Background(), "client", "pause", time.Hour.Milliseconds(), "write").Err(); err != nil {
			return err
		}
		if err := r.server.Save(); err != nil {
			return err
		}
	}
	if err := r.server.Kill(); err != nil {
		return err
	}
	time.Sleep(down)
	return errors.Join(r.server.Restart(on == empty), r.renew())
}

// renew replaces the admin's client, whose connections died with the former server.
func (r *real) renew() error {
	old := r.admin
	r.admin = redis.NewClient(old.Options())
	return old.Close()
}

func (r *real) Save() error { return r.server.Save() }
func (r *real) Stop() error { return r.server.Stop() }
func (r *real) Cont() error { return r.server.Cont() }

func (r *real) Refuse(on bool) error {
	limit := "0"
	if on {
		limit = "1" // byte: every command that may store something is out of memory
	}
	return r.admin.ConfigSet(context.Background(), "maxmemory", limit).Err()
}

func (r *real) Lose(float64) bool { return false }

func (r *real) Record(string) (string, bool) { return "", false }

func (r *real) Admin() *redis.Client { return r.admin }

func (r *real) Close() error { return r.admin.Close() }

type realLink struct{ *redistest.Proxy }

func (l realLink) Dial(ctx context.Context) (net.Conn, error) {
	var d net.Dialer
	return d.DialContext(ctx, "tcp", l.Addr())
}
