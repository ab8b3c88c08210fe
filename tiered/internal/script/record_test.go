package script_test

import (
	"fmt"
	"strings"

	"github.com/tiercache/tiercache/internal/token"
	"github.com/tiercache/tiercache/tiered/internal/script"
)

// heals checks that what stands at the key hinders no verb. put restores it.
func (r *rig) heals(what string, put func()) {
	r.Helper()
	tok := token.New()
	for _, step := range []struct {
		name string
		run  func() bool
	}{
		{"ACQUIRE", func() bool { _, mine := r.acquire(tok).(int64); return mine }},
		{"FENCE", func() bool { _, others := r.fence(tok); return others == 0 }},
		{"INVAL", func() bool { return r.inval() == int64(1) && r.content() == "none" }},
	} {
		put()
		if !step.run() {
			r.Errorf("%s of %s was refused", step.name, what)
		}
		if r.ttl() == -1 {
			r.Errorf("%s of %s left no TTL", step.name, what)
		}
	}
	r.woken() // text of the right length may name inboxes: a spurious wake-up costs one look
	r.leaves(what, put, tok)
}

// leaves checks that scripts which need a lease, fence or value of their own find none.
func (r *rig) leaves(what string, put func(), tok token.Token) {
	r.Helper()
	put()
	before := r.content()
	r.want("COMMIT of "+what, r.commit(script.LeaseID(tok, 1), value(tok, "x")), int64(0))
	r.want("COMMIT of nothing of "+what, r.commit(tok.String(), ""), int64(0))
	r.want("RENEW of "+what, r.call(script.Renew, tok.String(), leaseMs), int64(0))
	r.want("REPLACE of "+what, r.replace(tok, value(token.New(), "x")), int64(0))
	r.want("UNFENCE of "+what, r.unfence(script.FenceID(tok, 1), value(tok, "x")), int64(-1))
	if _, lease := r.wait("inbox-01").(int64); lease {
		r.Errorf("WAIT took %s for a lease", what)
	}
	r.want(what, r.content(), before)
	r.wantWoken()
}

func malformedRecords(r *rig) {
	x := strings.Repeat("x", 100)
	records := []string{"", "x", "V", "L", "F", "V" + x[:15], "L" + x[:15], "L" + x[:16], "L" + x[:31], "L" + x[:33], "F" + x[:29], "F" + x[:31],
		"F" + x[:30], "F" + strings.Repeat("c"+x[:16]+"inf          ", 2), "Fc" + x[:16] + "nan          ", "Fc" + x[:16] + "0x7fffffffffff"[:13], "Fc" + x[:16] + "  99999999999"}
	for _, record := range records {
		r.heals(fmt.Sprintf("%q", record), func() { r.put(record) })
	}
}

func anyFirstByte(r *rig) {
	for c := range 256 {
		if c == 'V' || c == 'L' || c == 'F' {
			continue
		}
		record := string([]byte{byte(c)}) + strings.Repeat("y", 60)
		r.put(record)
		if _, mine := r.acquire(token.New()).(int64); !mine {
			r.Errorf("ACQUIRE was refused by a record that begins with %#x", c)
		}
		r.put(record)
		r.leaves(fmt.Sprintf("byte %#x", c), func() {}, token.New())
	}
}

func foreignTypes(r *rig) {
	for what, put := range map[string]func(){
		"a hash":       func() { r.clear(); r.rdb.HSet(r.ctx, r.key, "f", "v") },
		"a list":       func() { r.clear(); r.rdb.RPush(r.ctx, r.key, "v") },
		"a set":        func() { r.clear(); r.rdb.SAdd(r.ctx, r.key, "v") },
		"a sorted set": func() { r.clear(); r.rdb.ZAdd(r.ctx, r.key, member) },
		"a stream":     func() { r.clear(); r.rdb.XAdd(r.ctx, entry(r.key)) },
	} {
		r.heals(what, put)
	}
}

// Text that looks like a lease would block its key for good if it were taken for one.
func foreignStringsForGood(r *rig) {
	for _, record := range []string{"L" + strings.Repeat("x", 32), "L" + strings.Repeat("x", 48), "London is the capital of England."} {
		r.heals(record, func() { r.rdb.Set(r.ctx, r.key, record, 0) })
	}
}

func binaryRecords(r *rig) {
	for _, tok := range []token.Token{{}, {0: '%', 1: 'd', 2: '\r', 3: '\n'}, {15: 0xff}, {0: 'V', 1: 'L', 2: 'F', 3: 'c', 4: 'd'}} {
		payload := "\x00\r\n\xff%s'\"\\" + tok.String()
		r.clear()
		id := r.lease(tok)
		r.want("COMMIT", r.commit(id, value(tok, payload)), int64(1))
		r.want("ACQUIRE", r.acquire(token.New()), value(tok, payload))
		fence, _ := r.fence(tok)
		r.want("UNFENCE", r.unfence(fence, value(tok, payload)), int64(1))
		r.wantRecord(value(tok, payload))
	}
}
