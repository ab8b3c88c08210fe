package simulation

import (
	"fmt"
	"time"
)

// mostCommands is far more than a fleet sends in a second, those of scripts included:
// the busiest scenario comes to 13,000.
const mostCommands = 100_000

// A pulse counts what Redis is asked in each second of virtual time. Who repeats
// something without a pause holds up virtual time, and with it the whole run, for good:
// the pulse ends it (the stacks of the panic show who it was).
type pulse struct {
	second time.Time
	beats  int
}

func (p *pulse) beat(cmd string) {
	if now := time.Now().Truncate(time.Second); now != p.second {
		p.second, p.beats = now, 0
	}
	if p.beats++; p.beats > mostCommands {
		panic(fmt.Sprintf("simulation: more than %d commands in a second of virtual time, the last of them %s: something is repeated without a pause", mostCommands, cmd))
	}
}
