package redistest

import (
	"fmt"
	"strconv"
	"time"

	"github.com/alicebob/miniredis/v2/proto"
	"github.com/alicebob/miniredis/v2/server"
)

// Snapshot is the data of database 0 of an embedded server at one moment, as a dump file is. It can be
// restored any number of times and into any embedded server.
type Snapshot struct{ records []record }

// record is one key. Its expiry is a point in time, as in a dump file: it runs on while nobody looks.
type record struct {
	key, kind string
	expires   time.Time // zero: never
	items     []string  // string: the value; hash: field, value ...; zset: member, score ...
}

// dumpScript reads everything at one moment, because miniredis holds its lock while a script runs.
const dumpScript = `
local out = {}
for _, key in ipairs(redis.call('KEYS', '*')) do
  local kind, items = redis.call('TYPE', key).ok, {}
  if kind == 'string' then items = { redis.call('GET', key) }
  elseif kind == 'hash' then items = redis.call('HGETALL', key)
  elseif kind == 'zset' then items = redis.call('ZRANGE', key, 0, -1, 'WITHSCORES') end
  out[#out + 1] = { key, kind, redis.call('PTTL', key), items }
end
return { redis.call('TIME'), out }`

// Snapshot copies all keys of database 0 with their TTLs, at one moment. It knows strings, hashes and
// sorted sets, and panics at another type. A crashed server has no snapshot: it panics too.
func (e *Embedded) Snapshot() Snapshot {
	e.mu.Lock()
	srv := e.srv
	e.mu.Unlock()
	if srv == nil {
		panic("redistest: snapshot of a server that is down")
	}
	reply, err := proto.Parse(mustDispatch(srv, "EVAL", dumpScript, "0"))
	if err != nil {
		panic("redistest: snapshot: " + err.Error())
	}
	top := reply.([]any)
	at := clock(top[0])
	var s Snapshot
	for _, row := range top[1].([]any) {
		s.records = append(s.records, parseRecord(row.([]any), at))
	}
	return s
}

// Restore crashes the server and starts it on the snapshot, as a Redis with an old dump file does: the
// former connections, data and scripts are gone, the identity is new, the address is the same. What
// expired since the snapshot was taken is not loaded.
func (e *Embedded) Restore(s Snapshot) error {
	return e.restart(func() {
		e.FlushAll()
		at := now(e.Miniredis.Server())
		for _, r := range s.records {
			e.load(r, at)
		}
	})
}

func (e *Embedded) load(r record, at time.Time) {
	if !r.expires.IsZero() && !r.expires.After(at) {
		return
	}
	db := e.DB(0)
	switch r.kind {
	case "string":
		must(db.Set(r.key, r.items[0]))
	case "hash":
		db.HSet(r.key, r.items...)
	case "zset":
		for i := 0; i < len(r.items); i += 2 {
			score, err := strconv.ParseFloat(r.items[i+1], 64)
			must(err)
			_, err = db.ZAdd(r.key, score, r.items[i])
			must(err)
		}
	}
	if !r.expires.IsZero() {
		db.SetTTL(r.key, r.expires.Sub(at))
	}
}

func parseRecord(row []any, at time.Time) record {
	r := record{key: row[0].(string), kind: row[1].(string)}
	if r.kind != "string" && r.kind != "hash" && r.kind != "zset" {
		panic(fmt.Sprintf("redistest: snapshot: key %q is a %s", r.key, r.kind))
	}
	if ttl := row[2].(int); ttl >= 0 {
		r.expires = at.Add(time.Duration(ttl) * time.Millisecond)
	}
	for _, item := range row[3].([]any) {
		r.items = append(r.items, item.(string))
	}
	return r
}

// now is the clock of the server: that of SetTime, else time.Now.
func now(srv *server.Server) time.Time {
	reply, err := proto.Parse(mustDispatch(srv, "TIME"))
	must(err)
	return clock(reply)
}

// clock reads a reply of TIME: seconds and microseconds.
func clock(reply any) time.Time {
	pair := reply.([]any)
	sec, err := strconv.ParseInt(pair[0].(string), 10, 64)
	must(err)
	micro, err := strconv.ParseInt(pair[1].(string), 10, 64)
	must(err)
	return time.Unix(sec, micro*1000)
}

// must turns what miniredis cannot have answered into a panic.
func must(err error) {
	if err != nil {
		panic("redistest: " + err.Error())
	}
}
