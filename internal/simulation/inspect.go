package simulation

import (
	"context"
	"encoding/binary"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// dumpScript reads every key at one moment.
const dumpScript = `
local out = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind, items = redis.call('TYPE', key).ok, {}
  if kind == 'string' then items = { redis.call('GET', key) }
  elseif kind == 'hash' then items = redis.call('HGETALL', key) end
  out[#out + 1] = { key, kind, redis.call('PTTL', key), items }
end
return out`

// dump returns what Redis holds, nil if it cannot be asked.
func (f *Fleet) dump() []any {
	out, err := f.rig.Admin().Eval(context.Background(), dumpScript, nil).Slice()
	f.must(err)
	return out
}

// record returns the string in a row of a dump, "" if it holds none.
func record(row any) string {
	fields := row.([]any)
	items := fields[3].([]any)
	if fields[1] != "string" || len(items) == 0 {
		return ""
	}
	raw, _ := items[0].(string)
	return raw
}

// inspect checks what Redis holds (I5, I7, I10, I11, I17).
func (f *Fleet) inspect() {
	f.up(func() {
		sound := f.Ledger.soundVersions()
		f.Ledger.count("inspections")
		rows := f.dump()
		epoch, known := f.inspectBus(f.bus(rows))
		for _, row := range rows {
			fields := row.([]any)
			key, ttl := fields[0].(string), fields[2].(int64)
			if ttl == -1 && key != f.busKey() && key != "{"+fleetName+"}:nodes" {
				f.Ledger.violate("", "I17: %s has no TTL", key)
			}
			if id, data := strings.CutPrefix(key, fleetName+":"+cacheName+":"); data && known {
				f.inspectRecord(id, record(row), sound[id], epoch)
			}
		}
	})
}

// soundVersions returns for each key the oldest version that Redis may hold from now on.
func (l *Ledger) soundVersions() map[string]int {
	l.mu.Lock()
	defer l.mu.Unlock()
	out := make(map[string]int, len(l.rows))
	for key, row := range l.rows {
		out[key] = row.sound()
	}
	return out
}

var stored = regexp.MustCompile(`\{"Key":"([^"]*)","Version":(\d+)\}`)

// epochAt is where a value's record holds its epoch; the format is that of tiered/internal/envelope.
const epochAt = 28

// inspectRecord checks a record of the current epoch; the others are void.
func (f *Fleet) inspectRecord(key, raw string, sound int, epoch uint64) {
	if len(raw) < epochAt+8 || raw[0] != 'V' || binary.BigEndian.Uint64([]byte(raw[epochAt:])) != epoch {
		return
	}
	f.Ledger.count("records inspected")
	version := f.Ledger.newestDeleted(key)
	if m := stored.FindStringSubmatch(raw); m != nil {
		version, _ = strconv.Atoi(m[2])
		if m[1] != key {
			f.Ledger.violate(key, "Redis holds a record of %s under %s", m[1], key)
		}
	}
	if version < sound {
		f.Ledger.violate(key, "I5: Redis holds version %d of %s, want %d or later", version, key, sound)
	}
}

func (l *Ledger) newestDeleted(key string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.row(key).versions.LastDeleted(time.Time{})
}

// bus returns the bus in a dump, empty if there is none.
func (f *Fleet) bus(rows []any) map[string]string {
	bus := make(map[string]string)
	for _, row := range rows {
		fields := row.([]any)
		if items := fields[3].([]any); fields[0] == f.busKey() {
			for i := 0; i+1 < len(items); i += 2 {
				bus[items[i].(string)] = items[i+1].(string)
			}
		}
	}
	return bus
}

// inspectBus checks that the ring is a chain (I10) and that the epoch has not fallen (I11). It returns the
// epoch, and whether that can be known: not before the first node has met a Redis that was restarted
// on a snapshot.
func (f *Fleet) inspectBus(bus map[string]string) (epoch uint64, known bool) {
	f.inspectRing(bus)
	epoch, err := strconv.ParseUint(bus["e"], 10, 64)
	if bus["r:"+f.process()] != "" {
		f.unmet = false
		if err != nil || epoch < f.epoch {
			f.Ledger.violate("", "I11: the epoch is %q after %d", bus["e"], f.epoch)
		}
		f.epoch = max(f.epoch, epoch)
	}
	return epoch, err == nil && !f.unmet
}

func (f *Fleet) inspectRing(bus map[string]string) {
	entries := make(map[int][]string)
	for slot, entry := range bus {
		number, err := strconv.Atoi(slot)
		if err != nil {
			continue
		}
		fields := strings.SplitN(entry, "|", 4)
		n, err := strconv.Atoi(fields[0])
		if err != nil || len(fields) != 4 || n%1024 != number {
			f.Ledger.violate("", "I10: slot %s of the ring holds %.80q", slot, entry)
			continue
		}
		entries[n] = fields
	}
	for n, e := range entries {
		if next := entries[n+1]; next != nil && next[1] != e[2] {
			f.Ledger.violate("", "I10: entry %d follows nonce %s, entry %d has %s", n+1, next[1], n, e[2])
		}
	}
	if last, err := strconv.Atoi(bus["n"]); err == nil && entries[last] != nil && entries[last][2] != bus["c"] {
		f.Ledger.violate("", "I10: the bus ends with nonce %s, entry %d has %s", bus["c"], last, entries[last][2])
	}
}

// process is what the library knows the Redis process by.
func (f *Fleet) process() string {
	info, err := f.rig.Admin().Info(context.Background(), "server").Result()
	f.must(err)
	replication, err := f.rig.Admin().Info(context.Background(), "replication").Result()
	f.must(err)
	return infoField(info, "run_id") + ":" + infoField(replication, "master_replid")
}

func infoField(info, name string) string {
	for line := range strings.Lines(info) {
		if value, ok := strings.CutPrefix(line, name+":"); ok {
			return strings.TrimSpace(value)
		}
	}
	return ""
}
