package redistest

import (
	"context"
	"fmt"
)

// Forsake cuts a replica off from its master for good, though both live: what is written from now on does not
// reach it, and a failover promotes it as it is. It works on a server without a password.
func (s *Server) Forsake(ctx context.Context) error {
	rdb := s.client()
	defer rdb.Close()
	// The master refuses an AUTH that it does not ask for, and with it the replica.
	if err := rdb.ConfigSet(ctx, "masterauth", "refused").Err(); err != nil {
		return err
	}
	if err := rdb.Do(ctx, "client", "kill", "type", "master").Err(); err != nil {
		return err
	}
	return poll(ctx, func() error {
		info, err := rdb.InfoMap(ctx, "replication").Result()
		if err != nil {
			return err
		}
		if link := info["Replication"]["master_link_status"]; link != "down" {
			return fmt.Errorf("redistest: the link of %s to its master is %q", s.Addr(), link)
		}
		return nil
	})
}

// Reconcile ends Forsake, for a server that becomes a replica again.
func (s *Server) Reconcile(ctx context.Context) error {
	rdb := s.client()
	defer rdb.Close()
	return rdb.ConfigSet(ctx, "masterauth", "").Err()
}
