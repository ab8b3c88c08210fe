package coherence

import (
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2/server"
)

// I16. Another Redis process takes over whose registry lacks A, which is cut off and
// assured. B, which cannot see who answers, announces before its next probe and finds
// nobody to wait for. Such nodes are refused; only a mutant comes further.
func TestGatedI16WhoIsBlindDoesNotAttest(t *testing.T) {
	for name, tt := range map[string]struct {
		with     func(*Config)
		takeOver func(w *world)
	}{
		"no monitor": {func(c *Config) { c.Monitor = nil }, func(w *world) { w.must(w.redis.Restart()) }},
		"proxied":    {func(c *Config) { c.Proxied = true }, func(w *world) { w.redis.NewProcess() }},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				if _, err := w.join(tt.with).Space(SpaceConfig{Name: "s", Acked: true}); err != nil {
					if !strings.Contains(err.Error(), "Acked") || !strings.Contains(err.Error(), "Monitor") {
						w.Errorf("the error %q does not name the fields", err)
					}
					return
				}
				p := w.ackedPair(tt.with)
				w.acked(p.bs, "other") // connects
				p.a.link.Hole()
				tt.takeOver(w)
				w.redis.HDel(nodesKey, "l:"+p.a.Name())
				for p.bs.Announce(w.Context(), "key") != nil { // on a connection that has died
					pass(time.Millisecond)
				}
				wantValid(w, p.as, p.copy, false)
			})
		})
	}
}

// I16. The same where the monitor turns out to see nothing.
func TestGatedI16BlindMonitorGivesNoAssurance(t *testing.T) {
	for name, with := range map[string]func(*Config){
		"of another client": func(c *Config) { c.Monitor = &Monitor{} },
		"in use":            func(*Config) {},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(w *world) {
				m := w.join(with)
				m.openAcked(w)
				pass(2 * m.cfg.Probe)
				if got, want := m.Assured(m.Now()), name == "in use"; got != want {
					w.Errorf("assured: %t, want %t", got, want)
				}
			})
		})
	}
}

func TestAckedSpaceNeedsInfo(t *testing.T) {
	inBubble(t, func(w *world) {
		w.redis.Intercept(func(c *server.Peer, cmd string, _ ...string) bool {
			if cmd == "INFO" {
				c.WriteError("NOPERM this user has no permissions to run the 'info' command")
			}
			return cmd == "INFO"
		})
		_, err := w.join().Space(SpaceConfig{Name: "s", Acked: true})
		if err == nil || !strings.Contains(err.Error(), "+info") {
			w.Errorf("opening the space: %v, want an error that names what is to be allowed", err)
		}
	})
}
