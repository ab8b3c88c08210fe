package tiered_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/codec"
	"github.com/tiercache/tiercache/tiered"
)

// What stands in Redis may be anything: it is a miss, repaired by the next fill,
// and never an error for the caller.
func TestForeignBytesAreRepaired(t *testing.T) {
	const stamp = "sixteen bytes !!"
	for name, test := range map[string]struct {
		put     func(t *testing.T, f *fleet)
		corrupt uint64
	}{
		"empty":            {put: text("")},
		"text":             {put: text("hello")},
		"V alone":          {put: text("V"), corrupt: 1},
		"V and no header":  {put: text("V" + stamp), corrupt: 1},
		"V and junk":       {put: text("V" + strings.Repeat("x", 5000)), corrupt: 1},
		"L alone":          {put: text("L")},
		"L without a TTL":  {put: text("L" + stamp + "0000000000000000")},
		"F alone":          {put: text("F")},
		"F and junk":       {put: text("False alarm")},
		"a list":           {put: func(t *testing.T, f *fleet) { push(t, f) }},
		"a hash":           {put: func(t *testing.T, f *fleet) { f.HSet(prefix+"k", "field", "value") }},
		"one byte flipped": {put: flip, corrupt: 1},
		"cut short":        {put: cut, corrupt: 1},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
				c, db := f.sites[0], newDatabase("k", "v")
				test.put(t, f)
				wantGet(t, c, "k", db, "v")
				wantGet(t, f.sites[1], "k", db, "v")
				db.wantLoads(t, 1)
				wantStat(t, "Corrupt", c.Stats().Corrupt, test.corrupt)
				f.wantKind(t, "k", 'V')
				f.wantKeysExpire(t)

				test.put(t, f)
				if _, err := c.Update(t.Context(), "k", db.writes("w")); err != nil {
					t.Errorf("Update over it: %v", err)
				}
				settle()
				wantGet(t, f.sites[1], "k", db, "w")
				test.put(t, f)
				if err := c.Invalidate(t.Context(), "k"); err != nil {
					t.Errorf("Invalidate over it: %v", err)
				}
				f.wantKind(t, "k", 0)
			})
		})
	}
}

func text(s string) func(*testing.T, *fleet) {
	return func(t *testing.T, f *fleet) {
		if err := f.Set(prefix+"k", s); err != nil {
			t.Fatal(err)
		}
	}
}

func push(t *testing.T, f *fleet) {
	f.Del(prefix + "k")
	if _, err := f.Lpush(prefix+"k", "v"); err != nil {
		t.Fatal(err)
	}
}

// genuine returns a record that a cache of strings has written.
func genuine(t *testing.T, f *fleet) string {
	t.Helper()
	wantGet(t, f.sites[1], "sample", newDatabase("sample", "v"), "v")
	record, err := f.Embedded.Get(prefix + "sample")
	if err != nil {
		t.Fatal(err)
	}
	return record
}

func flip(t *testing.T, f *fleet) {
	r := []byte(genuine(t, f))
	r[len(r)-1] ^= 1
	text(string(r))(t, f)
}

func cut(t *testing.T, f *fleet) {
	r := genuine(t, f)
	text(r[:len(r)-1])(t, f)
}

// jetcache-go marks "not found" with the value "*", others with empty strings or
// nil: a record with that very content cannot be cached there.
func TestValuesThatLookLikeSentinels(t *testing.T) {
	for _, c := range []codec.Codec{codec.Msgpack(), codec.JSON(), codec.Raw()} {
		bubble(t, 2, tiered.Config[string]{Codec: c}, func(t *testing.T, f *fleet) {
			for _, v := range []string{"", "*", "V", "L", "F", "nil", "null", "\x00", "not found", "__NULL__",
				"Lsixteen bytes !!0000000000000000", "Fcsixteen bytes !!9999999999999"} {
				key, load := "k"+v, func(context.Context, string) (string, error) { return v, nil }
				for _, s := range []*site{f.sites[0], f.sites[0], f.sites[1], f.sites[1]} {
					if got, err := s.Get(t.Context(), key, load); got != v || err != nil {
						t.Errorf("codec %d: Get = %q, %v, want %q", c.ID(), got, err, v)
					}
					settle()
				}
			}
			if loads := f.sites[0].Stats().Loads + f.sites[1].Stats().Loads; loads != 12 {
				t.Errorf("codec %d: %d loads of 12 values", c.ID(), loads)
			}
		})
	}
}

// A pointer, an interface and a map may be nil, and nil is a value.
func TestNilIsAValue(t *testing.T) {
	bubble(t, 2, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		var loads int
		load := func(context.Context, string) (*int, error) { loads++; return nil, nil }
		for _, s := range f.sites {
			c := open(t, s.node, tiered.Config[*int]{Name: "pointers"})
			for range 2 {
				if v, err := c.Get(t.Context(), "k", load); v != nil || err != nil {
					t.Errorf("Get = %v, %v, want nil and no error", v, err)
				}
				settle()
			}
		}
		if loads != 1 {
			t.Errorf("%d loads", loads)
		}
	})
}

// Two deployments side by side: the newer one replaces what the older one stored;
// the older one leaves alone what it cannot read, or the two would replace each
// other's records in turn.
func TestVersions(t *testing.T) {
	bubble(t, 0, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		older, newer := f.add(t, tiered.Config[string]{Version: 1}), f.add(t, tiered.Config[string]{Version: 2})
		db := newDatabase("k", "one")
		wantGet(t, older, "k", db, "one")
		db.set("k", "two")
		wantGet(t, newer, "k", db, "two")
		db.wantLoads(t, 2)
		before, _ := f.Embedded.Get(prefix + "k")

		db.set("k", "three")
		time.Sleep(10 * time.Minute) // beyond every TTL
		wantGet(t, newer, "k", db, "three")
		wantGet(t, older, "k", db, "three")
		db.wantLoads(t, 2)
		wantStat(t, "WeakLoads of the older", older.Stats().WeakLoads, 1)
		wantStat(t, "Corrupt", older.Stats().Corrupt+newer.Stats().Corrupt, 0)
		after, _ := f.Embedded.Get(prefix + "k")
		if after == before {
			t.Error("the record did not expire")
		}
		wantGet(t, newer, "k", db, "three")
		if now, _ := f.Embedded.Get(prefix + "k"); now != after {
			t.Error("the older deployment replaced the record of the newer one")
		}
		db.wantLoads(t, 0)

		// One invalidation reaches both.
		db.set("k", "four")
		if err := older.Invalidate(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		settle()
		wantGet(t, newer, "k", db, "four")
		wantGet(t, older, "k", db, "four")
	})
}

// A record of another codec is a miss without alarm: deployments change codecs.
func TestCodecChange(t *testing.T) {
	bubble(t, 0, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
		packed, plain := f.add(t, tiered.Config[string]{}), f.add(t, tiered.Config[string]{Codec: codec.JSON()})
		db := newDatabase("k", "v")
		wantGet(t, packed, "k", db, "v")
		wantGet(t, plain, "k", db, "v")
		db.wantLoads(t, 2)
		wantStat(t, "Corrupt", plain.Stats().Corrupt, 0)
	})
}

// ownCodec is a user's codec with a fault of choice.
type ownCodec struct {
	append func(dst []byte, v any) ([]byte, error)
	decode func(data []byte, into any) error
}

func (ownCodec) ID() byte { return 200 }

func (c ownCodec) Append(dst []byte, v any) ([]byte, error) {
	if c.append != nil {
		return c.append(dst, v)
	}
	return codec.Raw().Append(dst, v)
}

func (c ownCodec) Decode(data []byte, into any) error {
	if c.decode != nil {
		return c.decode(data, into)
	}
	return codec.Raw().Decode(data, into)
}

func TestCodecThatCannotEncode(t *testing.T) {
	full := errors.New("no such type")
	for name, test := range map[string]struct {
		append func(dst []byte, v any) ([]byte, error)
		want   func(error) bool
	}{
		"fails":  {func(dst []byte, v any) ([]byte, error) { return dst, full }, func(err error) bool { return errors.Is(err, full) }},
		"panics": {func([]byte, any) ([]byte, error) { panic(full) }, isPanic},
		"returns a slice of its own": {func([]byte, any) ([]byte, error) { return []byte("v"), nil },
			func(err error) bool { return strings.Contains(err.Error(), "append") }},
		"returns nothing": {func([]byte, any) ([]byte, error) { return nil, nil },
			func(err error) bool { return strings.Contains(err.Error(), "append") }},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 1, tiered.Config[string]{Codec: ownCodec{append: test.append}}, func(t *testing.T, f *fleet) {
				c, db := f.sites[0], newDatabase("k", "v")
				for range 2 {
					v, err := c.Get(t.Context(), "k", db.load)
					if v != "" || err == nil || !test.want(err) {
						t.Errorf("Get = %q, %v", v, err)
					}
					wantWords(t, "Get", err, `key "k"`, `cache "c"`)
					f.wantKind(t, "k", 0)
				}
				m, err := c.GetMany(t.Context(), []string{"k"}, db.loadAll)
				if len(m) != 0 || err == nil || !test.want(err) {
					t.Errorf("GetMany = %v, %v", m, err)
				}
				// The source was written: that the value cannot be cached is no failure of the write.
				if v, err := c.Update(t.Context(), "k", db.writes("w")); v != "w" || err != nil {
					t.Errorf("Update = %q, %v", v, err)
				}
				settle()
				f.wantKind(t, "k", 0)
				if v, err := c.Get(t.Context(), "k", db.load, tiered.Bypass()); v != "w" || err != nil {
					t.Errorf("Get with Bypass = %q, %v", v, err)
				}
			})
		})
	}
}

func isPanic(err error) bool {
	var p *tiered.PanicError
	return errors.As(err, &p)
}

func TestCodecThatCannotDecode(t *testing.T) {
	for name, decode := range map[string]func([]byte, any) error{
		"fails":  func([]byte, any) error { return codec.ErrMalformed },
		"panics": func([]byte, any) error { panic("index out of range") },
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, 0, tiered.Config[string]{}, func(t *testing.T, f *fleet) {
				good, bad := f.add(t, tiered.Config[string]{Codec: ownCodec{}}), f.add(t, tiered.Config[string]{Codec: ownCodec{decode: decode}})
				db := newDatabase("k", "v")
				wantGet(t, good, "k", db, "v")
				_, err := bad.Peek(t.Context(), "k")
				wantError(t, "Peek", err, tiered.ErrMiss)
				wantGet(t, bad, "k", db, "v")
				wantGet(t, bad, "k", db, "v") // its own copy
				db.wantLoads(t, 2)
				wantStat(t, "Corrupt", bad.Stats().Corrupt, 2)
				f.wantKind(t, "k", 'V')
			})
		})
	}
}
