package coherence

import (
	"context"
	"fmt"
	"slices"
	"strconv"
)

// Tail returns the number of the bus' last entry, 0 if there is none. Entries
// with higher numbers are announced after the call began. It is for audits: a
// node's own position, which the prober keeps, is what an audit must not trust.
func (n *Node) Tail(ctx context.Context) (uint64, error) {
	fields, err := n.busFields(ctx, "n")
	if err != nil {
		return 0, err
	}
	text, _ := fields[0].(string)
	number, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0, nil // no number counts as absent: see parseReport
	}
	return number, nil
}

// Announced reports whether the bus holds an entry that names the key and has a
// higher number than after. The bus remembers the last 1024 entries: false may
// also mean that it is too long ago.
func (s *Space) Announced(ctx context.Context, key string, after uint64) (bool, error) {
	const batch = wholeBatch / 4
	tail, err := s.node.Tail(ctx)
	if err != nil {
		return false, err
	}
	if tail > ring {
		after = max(after, tail-ring)
	}
	for next := tail; next > after; {
		slots := make([]string, 0, batch)
		for ; next > after && len(slots) < batch; next-- {
			slots = append(slots, strconv.FormatUint(next%ring, 10))
		}
		entries, err := s.node.busFields(ctx, slots...)
		if err != nil {
			return false, err
		}
		if slices.ContainsFunc(entries, func(text any) bool { return s.named(text, key, after) }) {
			return true, nil
		}
	}
	return false, nil
}

// named reports whether a slot of the ring holds an entry beyond after that
// names the key. Newer entries may have overwritten it since.
func (s *Space) named(slot any, key string, after uint64) bool {
	text, _ := slot.(string)
	e, err := parseEntry(text)
	if err != nil || e.at.n <= after {
		return false
	}
	p, err := parsePayload(e.payload)
	return err == nil && p.space == s.name && slices.Contains(p.keys, key)
}

// busFields reads the bus over the caller's connections, not the probe's.
func (n *Node) busFields(ctx context.Context, fields ...string) ([]any, error) {
	ctx, cancel := n.bounded(ctx)
	defer cancel()
	values, err := n.clients.data.HMGet(ctx, n.keys.bus, fields...).Result()
	if err == nil && len(values) != len(fields) {
		err = fmt.Errorf("coherence: HMGET of %d fields answered %d", len(fields), len(values))
	}
	return values, err
}
