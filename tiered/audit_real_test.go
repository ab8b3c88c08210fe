package tiered_test

import (
	"strconv"
	"testing"

	"github.com/tiercache/tiercache/tiered"
)

// The audit over TCP and on a real server: what is served while another node
// writes is checked, and nothing is found.
func TestTCPAudit(t *testing.T) {
	overTCP(t, calm, func(t *testing.T, a, b *remoteSite) {
		cfg := tiered.Config[string]{Name: "audited", Audit: tiered.Audit[string]{
			Sample: 1, Rate: 1e6, Pending: 1e6, OnFinding: func(f tiered.Finding) { t.Errorf("finding: %v", f) },
		}}
		reader, writer, db := open(t, a.node, cfg), open(t, b.node, cfg), newDatabase("k", "0")
		for round := range 5 {
			hits := reader.Stats().LocalHits
			poll(t, "a local hit", func() bool {
				if _, err := reader.Get(t.Context(), "k", db.load); err != nil {
					t.Error(err)
				}
				return reader.Stats().LocalHits > hits+3
			})
			if _, err := writer.Update(t.Context(), "k", db.writes(strconv.Itoa(round))); err != nil {
				t.Error(err)
			}
		}
		poll(t, "end of the checks", func() bool { return reader.Stats().Audit.Redis.Pending == 0 })
		if s := reader.Stats().Audit; s.Sampled < 20 || s.Redis.Outcomes[tiered.AuditFresh] == 0 {
			t.Errorf("%v", s)
		}
	})
}
