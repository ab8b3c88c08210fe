package coherence

import (
	"slices"
	"sync"
	"time"
)

// Bounds of a node's memory of its own announcements.
const (
	memorySpan = 5 * time.Minute
	memoryKeys = 1 << 14
)

// memory is what this node has announced in the last minutes. A Redis that comes
// back without a part of its history has lost announcements and the erasures
// before them; each node makes its own ones again, because only the announcer is
// sure to know them.
type memory struct {
	mu        sync.Mutex
	made      []announcement // oldest first
	keys      int
	forgotten uint64  // the highest number that was dropped for want of room or for its age, 0: none
	dropped   Instant // when it was announced
}

// announcement is one entry of the bus that this node has made.
type announcement struct {
	number uint64
	when   Instant
	space  *Space
	keys   []string
}

// remember keeps an announcement that Redis has answered.
func (m *memory) remember(a announcement) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.made = append(m.made, a)
	m.keys += len(a.keys)
	for m.keys > memoryKeys || a.when.Sub(m.made[0].when) > memorySpan {
		m.forgotten = max(m.forgotten, m.made[0].number)
		m.dropped = max(m.dropped, m.made[0].when)
		m.keys -= len(m.made[0].keys)
		m.made[0] = announcement{} // gives the keys free before the array goes
		m.made = m.made[1:]
	}
}

// covers reports whether every announcement with a higher number is remembered.
func (m *memory) covers(number uint64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.forgotten <= number
}

// cut removes and returns the announcements with a higher number.
func (m *memory) cut(number uint64) []announcement {
	m.mu.Lock()
	defer m.mu.Unlock()
	var kept, lost []announcement
	for _, a := range m.made {
		if a.number > number {
			lost = append(lost, a)
			m.keys -= len(a.keys)
		} else {
			kept = append(kept, a)
		}
	}
	m.made = kept
	return lost
}

// clear removes all announcements and returns those made after an instant; whole says
// whether these are all that there were. The numbers that follow may begin anew.
func (m *memory) clear(since Instant) (made []announcement, whole bool) {
	all := m.cut(0)
	m.mu.Lock()
	defer m.mu.Unlock()
	whole = m.forgotten == 0 || m.dropped < since
	m.forgotten, m.dropped = 0, 0
	return slices.DeleteFunc(all, func(a announcement) bool { return a.when < since }), whole
}

// restore takes back what cut has returned.
func (m *memory) restore(lost []announcement) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.made = append(lost, m.made...)
	for _, a := range lost {
		m.keys += len(a.keys)
	}
}
