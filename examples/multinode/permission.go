package main

import (
	"context"
	"database/sql"
	"errors"

	"github.com/tiercache/tiercache/tiered"
)

// Permission says whether somebody may do something. A node that is asked for it
// when it has been revoked must not say yes, so that its cache is Strong.
type Permission struct {
	ID      string
	Allowed bool
	Version int64
}

// permission reads one; what nobody has granted is not allowed.
func (s *shop) permission(ctx context.Context, id string) (Permission, error) {
	p := Permission{ID: id}
	err := s.db.QueryRowContext(ctx, "SELECT allowed, version FROM permissions WHERE id = ?", id).Scan(&p.Allowed, &p.Version)
	if errors.Is(err, sql.ErrNoRows) {
		err = tiered.ErrNotFound
	}
	return p, err
}

// permit commits a decision and returns it as stored.
func (s *shop) permit(ctx context.Context, id string, allowed bool) (Permission, error) {
	p := Permission{ID: id}
	err := s.db.QueryRowContext(ctx, `
		INSERT INTO permissions VALUES (?, ?, 1) ON CONFLICT (id) DO UPDATE SET allowed = excluded.allowed, version = version + 1
		RETURNING allowed, version`, id, allowed).Scan(&p.Allowed, &p.Version)
	return p, err
}

// allowed asks the node's cache.
func (n *node) allowed(ctx context.Context, id string) (bool, error) {
	p, err := n.permissions.Get(ctx, id, n.source.permission)
	if errors.Is(err, tiered.ErrNotFound) {
		err = nil
	}
	return p.Allowed, err
}

// permit grants or revokes through the cache.
func (n *node) permit(ctx context.Context, args PermitArgs) Change {
	c := Change{Key: args.Key, Asked: now()}
	p, err := n.permissions.Update(ctx, args.Key, func(ctx context.Context, id string) (Permission, error) {
		return n.shop.permit(ctx, id, args.Allowed)
	})
	c.Version = p.Version
	c.close(now(), err)
	return c
}
