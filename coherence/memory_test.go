package coherence

import (
	"fmt"
	"testing"
	"time"
)

func TestMemoryIsBounded(t *testing.T) {
	var m memory
	keys := make([]string, maxKeys)
	for i := range uint64(memoryKeys/maxKeys + 1) {
		if !m.covers(0) {
			t.Errorf("forgotten after %d keys", m.keys)
		}
		m.remember(announcement{number: i + 1, keys: keys})
	}
	if m.covers(0) || !m.covers(1) || m.keys != memoryKeys {
		t.Errorf("%d keys, forgotten up to %d", m.keys, m.forgotten)
	}
	m.remember(announcement{number: 1000, when: Instant(memorySpan + time.Second), keys: keys[:1]})
	if len(m.made) != 1 || m.keys != 1 || m.covers(999) == m.covers(64) {
		t.Errorf("%d announcements, %d keys, forgotten up to %d", len(m.made), m.keys, m.forgotten)
	}
}

func TestMemoryCutAndRestore(t *testing.T) {
	var m memory
	s := &Space{}
	for i, key := range []string{"a", "b", "a", "c"} {
		m.remember(announcement{number: uint64(i + 1), space: s, keys: []string{key}})
	}
	lost := m.cut(1)
	if got := fmt.Sprint(bySpace(lost)[s]); got != "[c a b]" {
		t.Errorf("lost %v, want each once, the youngest first", got)
	}
	if m.keys != 1 || len(m.made) != 1 {
		t.Errorf("%d keys are left", m.keys)
	}
	m.restore(lost)
	m.forgotten, m.dropped = 7, 7
	if made, whole := m.clear(7); m.keys != 0 || !m.covers(0) || len(made) != 0 || whole {
		t.Errorf("after they were restored and cleared: %d keys, forgotten up to %d; %d made since 7, whole %t", m.keys, m.forgotten, len(made), whole)
	}
	m.remember(announcement{number: 1, when: 7, space: s, keys: []string{"a"}})
	m.remember(announcement{number: 2, when: 8, space: s, keys: []string{"b"}})
	m.forgotten, m.dropped = 7, 7
	if made, whole := m.clear(8); len(made) != 1 || made[0].number != 2 || !whole {
		t.Errorf("%v made since 8, whole %t", made, whole)
	}
}
