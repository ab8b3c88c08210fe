package simulation

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestPulseEndsWhatHoldsUpTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pulse
		for range 3 {
			for range mostCommands {
				p.beat("PING")
			}
			time.Sleep(time.Second)
		}
		for range mostCommands {
			p.beat("PING")
		}
		defer func() {
			if recover() == nil {
				t.Errorf("%d commands in a second of virtual time, and no panic", p.beats)
			}
		}()
		p.beat("PING")
	})
}
