package script_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/redis/go-redis/v9"
	"pgregory.net/rapid"

	lua "github.com/tiercache/tiercache/internal/script"
	"github.com/tiercache/tiercache/internal/token"
	"github.com/tiercache/tiercache/tiered/internal/script"
)

// A fleet is three clients at work on one key, the model of it, and the calls that were
// made, of which the network may deliver another copy at any later time.
type fleet struct {
	*rapid.T
	rig    *rig
	model  model
	loads  [3]work
	writes [3]work
	stamp  string // of some value that stood here
	sent   []func()

	ends []string // whose FENCE or INVAL ran, in order: the token, or ""
}

// work is one load or write of a client.
type work struct {
	tok   token.Token
	id    string // of the lease or fence, once granted
	since int    // len(fleet.ends) when it was granted
}

// send makes a call, and keeps it for a late copy.
func (f *fleet) send(call func()) {
	f.sent = append(f.sent, call)
	call()
}

// overtaken reports whether a write of another than tok ran since.
func (f *fleet) overtaken(tok token.Token, since int) bool {
	return slices.ContainsFunc(f.ends[since:], func(by string) bool { return by != tok.String() })
}

func (f *fleet) equal(what string, got, want any) {
	if fmt.Sprint(got) != fmt.Sprint(want) {
		f.Fatalf("%s = %.80q, want %.80q", what, fmt.Sprint(got), fmt.Sprint(want))
	}
}

func (f *fleet) woken(want []string) {
	slices.Sort(want)
	if got := f.rig.woken(); !slices.Equal(got, want) {
		f.Fatalf("woken %q, want %q", got, want)
	}
}

func (f *fleet) reply(s *lua.Script, args ...any) any {
	v, err := f.rig.runner.Run(f.rig.ctx, s, []string{f.rig.key}, args...)
	if err != nil {
		f.Fatal(err)
	}
	return v
}

func (f *fleet) acquire(w *work) {
	w.tok = token.New()
	tok := w.tok
	stamp := rapid.SampledFrom([]string{"", f.stamp}).Draw(f.T, "replaceable")
	f.send(func() {
		reply := f.reply(script.Acquire, tok.String(), leaseMs, stamp)
		held := f.model.kind == 'L' && f.model.lease[:16] == tok.String()
		grant, mine := reply.(int64)
		id := script.LeaseID(tok, grant)
		switch {
		case held:
			f.equal("ACQUIRE again", id, f.model.lease)
		case f.model.kind != 0 && !(stamp != "" && f.model.stamped(stamp)):
			f.equal("ACQUIRE", reply, f.model.record())
		case !mine:
			f.Fatalf("ACQUIRE was refused: %q", reply)
		default:
			f.model = model{kind: 'L', lease: id}
		}
		if mine && w.tok == tok && w.id == "" { // later copies have nobody who listens
			w.id, w.since = id, len(f.ends)
		}
	})
}

func (f *fleet) commit(w *work, record string) {
	tok, id, since := w.tok, w.id, w.since
	f.send(func() {
		want, woken := f.model.commit(id, record)
		f.equal("COMMIT", f.reply(script.Commit, id, record, valueMs, f.rig.prefix(), "wake"), want)
		if record != "" && want == 1 && f.overtaken(tok, since) {
			f.Fatalf("COMMIT stored a value that was loaded before a write")
		}
		f.woken(woken)
	})
	*w = work{}
}

func (f *fleet) fence(w *work) {
	w.tok = token.New()
	tok := w.tok
	f.send(func() {
		f.rig.tick() // the expiry is a proof as long as two grants are a millisecond apart
		reply := f.reply(script.Fence, tok.String(), fenceMs, f.rig.prefix(), "wake").([]any)
		id := script.FenceID(tok, reply[1].(int64))
		own, others, woken := f.model.fence(tok.String(), id)
		f.equal("FENCE", []any{others, own}, []any{reply[0], id})
		f.woken(woken)
		f.ends = append(f.ends, tok.String())
		if w.tok == tok && w.id == "" {
			w.id, w.since = id, len(f.ends)
		}
	})
}

func (f *fleet) unfence(w *work, record string) {
	tok, id, since := w.tok, w.id, w.since
	f.send(func() {
		want := f.model.unfence(id, record)
		f.equal("UNFENCE", f.reply(script.Unfence, id, record, valueMs), want)
		if record != "" && want == 1 && f.overtaken(tok, since) {
			f.Fatalf("UNFENCE wrote through although another write ran")
		}
	})
	*w = work{}
}

func (f *fleet) inval() {
	f.send(func() {
		want, woken := f.model.inval()
		f.equal("INVAL", f.reply(script.Inval, f.rig.prefix(), "wake"), want)
		f.woken(woken)
		f.ends = append(f.ends, "")
	})
}

func (f *fleet) replace() {
	stamp, tok := f.stamp, token.New()
	f.send(func() {
		record, want := value(tok, "refreshed"), 0
		if f.model.stamped(stamp) || f.model.stamped(tok.String()) {
			f.model.stores(record)
			want = 1
		}
		f.equal("REPLACE", f.reply(script.Replace, stamp, record, valueMs), want)
	})
}

func (f *fleet) wait(inbox string) {
	f.send(func() {
		reply := f.reply(script.Wait, inbox)
		switch left, lease := reply.(int64); {
		case f.model.kind == 0:
			f.equal("WAIT", reply, nil)
		case f.model.kind != 'L':
			f.equal("WAIT", reply, f.model.record())
		case !lease || left <= 0:
			f.Fatalf("WAIT = %v", reply)
		case !slices.Contains(f.model.inboxes, inbox):
			f.model.inboxes = append(f.model.inboxes, inbox)
		}
	})
}

func (f *fleet) renew(id string) {
	f.send(func() {
		want := 0
		if f.model.kind == 'L' && f.model.lease == id {
			want = 1
		}
		f.equal("RENEW", f.reply(script.Renew, id, leaseMs), want)
	})
}

// check compares the record and remembers a stamp to refresh.
func (f *fleet) check(*rapid.T) {
	f.equal("record", f.rig.record(), f.model.record())
	if f.model.kind != 0 && f.rig.ttl() <= 0 {
		f.Fatal("the record has no TTL")
	}
	if f.model.kind == 'V' {
		f.stamp = f.model.value[1:17]
	}
}

// load and write take the next step of a client, a random one.
func (f *fleet) load(t *rapid.T) {
	w := &f.loads[rapid.IntRange(0, 2).Draw(t, "client")]
	if w.id == "" {
		f.acquire(w)
		return
	}
	switch rapid.SampledFrom([]string{"commit", "commit", "give up", "renew"}).Draw(t, "step") {
	case "commit":
		f.commit(w, value(w.tok, "loaded"))
	case "give up":
		f.commit(w, "")
	case "renew":
		f.renew(w.id)
	}
}

func (f *fleet) write(t *rapid.T) {
	w := &f.writes[rapid.IntRange(0, 2).Draw(t, "client")]
	if w.id == "" {
		f.fence(w)
		return
	}
	record := rapid.SampledFrom([]string{"", value(w.tok, "written")}).Draw(t, "record")
	f.unfence(w, record)
}

func (f *fleet) late(t *rapid.T) {
	if len(f.sent) > 0 {
		f.sent[rapid.IntRange(0, len(f.sent)-1).Draw(t, "copy")]()
	}
}

// Three clients and a network that delivers copies late make no record, reply or
// wake-up that the model does not, and no value outlives a write that it missed.
func TestModel(t *testing.T) {
	servers(t, func(t *testing.T, rdb *redis.Client) {
		rapid.Check(t, func(rt *rapid.T) {
			f := &fleet{T: rt, rig: newRig(t, rdb, t.Name(), false)}
			defer f.rig.inbox.Close()
			f.rig.clear()
			rt.Repeat(map[string]func(*rapid.T){
				"":      f.check,
				"load":  f.load,
				"write": f.write,
				"late":  f.late,
				"inval": func(*rapid.T) { f.inval() },
				"replace": func(t *rapid.T) {
					if f.stamp == "" {
						t.Skip("no value yet") // rapid draws another action; the test is not skipped
					}
					f.replace()
				},
				"wait": func(t *rapid.T) {
					f.wait(rapid.SampledFrom([]string{"inbox-01", "inbox-02", "inbox-03"}).Draw(t, "inbox"))
				},
			})
		})
	})
}
