package tiered

import (
	"math"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/tiercache/tiercache/codec"
)

func TestConfigDefaults(t *testing.T) {
	got, err := Config[string]{Name: "c"}.resolve()
	if err != nil {
		t.Fatal(err)
	}
	want := Config[string]{
		Name: "c", TTL: 5 * time.Minute, NotFoundTTL: 10 * time.Second, LocalTTL: time.Hour, Jitter: 0.1,
		Codec: codec.Msgpack(), MaxLocalBytes: 64 << 20, MaxValueBytes: 8 << 20,
		LoadTimeout: 10 * time.Second, LeaseTTL: 2 * time.Second, FenceTTL: 10 * time.Second, WaitMax: 5 * time.Second,
		SourceLimit: 128, Audit: Audit[string]{SourceLag: 10 * time.Second, Rate: 100, Pending: 256},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the defaults are %+v, want %+v", got, want)
	}
	again, err := got.resolve()
	if err != nil || !reflect.DeepEqual(again, got) {
		t.Errorf("resolved twice: %+v, %v", again, err)
	}
}

// What the documentation says about values between the default and a fault.
func TestConfigBounds(t *testing.T) {
	for _, test := range []struct {
		name string
		in   Config[string]
		got  func(Config[string]) any
		want any
	}{
		{"NotFoundTTL is at most TTL by default", Config[string]{TTL: time.Second}, func(c Config[string]) any { return c.NotFoundTTL }, time.Second},
		{"negative NotFoundTTL", Config[string]{NotFoundTTL: -time.Hour}, func(c Config[string]) any { return c.NotFoundTTL < 0 }, true},
		{"LocalTTL is at most 1 h", Config[string]{LocalTTL: 24 * time.Hour}, func(c Config[string]) any { return c.LocalTTL }, time.Hour},
		{"negative Jitter", Config[string]{Jitter: -3}, func(c Config[string]) any { return c.Jitter }, 0.0},
		{"full Jitter", Config[string]{Jitter: 1}, func(c Config[string]) any { return c.Jitter }, 1.0},
		{"negative SourceLimit", Config[string]{SourceLimit: -5}, func(c Config[string]) any { return c.SourceLimit < 0 }, true},
		{"names", Config[string]{Name: "A-z_0.9"}, func(c Config[string]) any { return c.Name }, "A-z_0.9"},
	} {
		if test.in.Name == "" {
			test.in.Name = "c"
		}
		c, err := test.in.resolve()
		if err != nil || test.got(c) != test.want {
			t.Errorf("%s: %v, %v, want %v", test.name, test.got(c), err, test.want)
		}
	}
}

// Every field at fault is named, all of them at once, and nothing else is.
func TestConfigFaults(t *testing.T) {
	faults := map[string]Config[string]{
		"TTL":           {TTL: -1},
		"StaleTTL":      {StaleTTL: -1},
		"NotFoundTTL":   {NotFoundTTL: time.Microsecond},
		"LocalTTL":      {LocalTTL: time.Microsecond},
		"Jitter":        {Jitter: 1.01},
		"MaxLocalBytes": {MaxLocalBytes: -1},
		"MaxValueBytes": {MaxValueBytes: -1},
		"LoadTimeout":   {LoadTimeout: -1},
		"LeaseTTL":      {LeaseTTL: time.Millisecond},
		"FenceTTL":      {FenceTTL: time.Millisecond},
		"WaitMax":       {WaitMax: -1},
	}
	for field, c := range faults {
		c.Name = "c"
		_, err := c.resolve()
		if err == nil || !strings.HasPrefix(err.Error(), "tiered.Config."+field+": ") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s at fault: error %v", field, err)
		}
	}
	for _, name := range []string{"", "a:b", "a b", "{a}", "ä", "a\n", "~r"} {
		if _, err := (Config[string]{Name: name}).resolve(); err == nil || !strings.Contains(err.Error(), "tiered.Config.Name") {
			t.Errorf("Name %q: error %v", name, err)
		}
	}
	if _, err := (Config[string]{Name: "c", Jitter: math.NaN()}).resolve(); err == nil {
		t.Error("a Jitter of NaN was accepted")
	}

	all := Config[string]{
		TTL: -1, StaleTTL: -1, NotFoundTTL: 1, LocalTTL: -1, Jitter: 2, MaxLocalBytes: -1, MaxValueBytes: -1,
		LoadTimeout: -1, LeaseTTL: -1, FenceTTL: -1, WaitMax: -1,
	}
	before := all
	c, err := New(nil, all)
	if c != nil || err == nil {
		t.Fatalf("New = %v, %v", c, err)
	}
	for field := range faults {
		if n := strings.Count(err.Error(), "tiered.Config."+field+": "); n != 1 {
			t.Errorf("%s is named %d times in: %v", field, n, err)
		}
	}
	for _, part := range []string{"tiered.Config.Name", "node is nil"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error does not tell %q: %v", part, err)
		}
	}
	if !reflect.DeepEqual(all, before) {
		t.Error("the caller's Config was changed")
	}
}
