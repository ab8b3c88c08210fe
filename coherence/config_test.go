package coherence

import (
	"strings"
	"testing"
	"time"
)

func TestConfigDefaults(t *testing.T) {
	for name, tt := range map[string]struct {
		given, want Config
	}{
		"none": {
			Config{Fleet: "shop"},
			Config{Fleet: "shop", MaxStale: time.Second, Probe: 100 * time.Millisecond, Timeout: 250 * time.Millisecond, JournalSize: 65536},
		},
		"probe follows a short bound": {
			Config{Fleet: "a.b_c-9", MaxStale: 90 * time.Millisecond},
			Config{Fleet: "a.b_c-9", MaxStale: 90 * time.Millisecond, Probe: 30 * time.Millisecond, Timeout: 250 * time.Millisecond, JournalSize: 65536},
		},
		"all given": {
			Config{Fleet: "f", MaxStale: 9 * time.Second, Probe: 3 * time.Second, Timeout: time.Minute, JournalSize: 1, Proxied: true},
			Config{Fleet: "f", MaxStale: 9 * time.Second, Probe: 3 * time.Second, Timeout: time.Minute, JournalSize: 1, Proxied: true},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := tt.given.resolve()
			if err != nil {
				t.Fatal(err)
			}
			if got.Fleet != tt.want.Fleet || got.MaxStale != tt.want.MaxStale || got.Probe != tt.want.Probe ||
				got.Timeout != tt.want.Timeout || got.JournalSize != tt.want.JournalSize || got.Proxied != tt.want.Proxied {
				t.Errorf("resolve() = %+v, want %+v", got, tt.want)
			}
		})
	}
}

func TestConfigFaults(t *testing.T) {
	for name, tt := range map[string]struct {
		given  Config
		faults []string // one line each
	}{
		"no fleet":       {Config{}, []string{"Fleet"}},
		"separator":      {Config{Fleet: "a:b"}, []string{"Fleet"}},
		"brace":          {Config{Fleet: "{a}"}, []string{"Fleet"}},
		"line end":       {Config{Fleet: "a\n"}, []string{"Fleet"}},
		"probe too slow": {Config{Fleet: "f", MaxStale: 3 * time.Second, Probe: time.Second + 1}, []string{"Probe"}},
		"negative bound": {Config{Fleet: "f", MaxStale: -1}, []string{"MaxStale"}},
		"warm, blind":    {Config{Fleet: "f", Warm: time.Minute}, []string{"Warm"}},
		"warm, proxied":  {Config{Fleet: "f", Warm: time.Minute, Monitor: &Monitor{}, Proxied: true}, []string{"Warm"}},
		"warm for short": {Config{Fleet: "f", Warm: time.Second, Monitor: &Monitor{}}, []string{"Warm"}},
		"everything": {
			Config{Fleet: "a b", MaxStale: -time.Second, Probe: -1, Timeout: -1, JournalSize: -1, Warm: -1},
			[]string{"Fleet", "MaxStale", "Probe", "Timeout", "Warm", "JournalSize"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := tt.given.resolve()
			if err == nil {
				t.Fatal("no error")
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(tt.faults) {
				t.Fatalf("%d faults, want %d:\n%v", len(lines), len(tt.faults), err)
			}
			for i, field := range tt.faults {
				if want := "coherence.Config." + field + ": "; !strings.HasPrefix(lines[i], want) {
					t.Errorf("fault %q, want it to begin with %q", lines[i], want)
				}
			}
		})
	}
}

func TestResolveLeavesTheCallersConfigAlone(t *testing.T) {
	given := Config{Fleet: "f"}
	if _, err := given.resolve(); err != nil || given.Probe != 0 || given.MaxStale != 0 {
		t.Errorf("resolve changed its receiver: %+v, %v", given, err)
	}
}
