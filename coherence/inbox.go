package coherence

import "sync"

// inbox wakes the goroutines of this node that wait for a key which another
// node is loading. A wake-up is a hint, never a fact: whoever is woken looks.
type inbox struct {
	mu      sync.Mutex
	waiters map[string]map[*Waiter]struct{}
}

// Waiter is woken when the key it waits for may have been filled.
type Waiter struct {
	// C receives one value per wake-up, at most one is kept.
	C chan struct{}

	box *inbox
	key string
}

func (b *inbox) await(key string) *Waiter {
	w := &Waiter{C: make(chan struct{}, 1), box: b, key: key}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.waiters == nil {
		b.waiters = make(map[string]map[*Waiter]struct{})
	}
	if b.waiters[key] == nil {
		b.waiters[key] = make(map[*Waiter]struct{})
	}
	b.waiters[key][w] = struct{}{}
	return w
}

// Cancel ends the wait. It may be called more than once.
func (w *Waiter) Cancel() {
	w.box.mu.Lock()
	defer w.box.mu.Unlock()
	delete(w.box.waiters[w.key], w)
	if len(w.box.waiters[w.key]) == 0 {
		delete(w.box.waiters, w.key)
	}
}

func (b *inbox) wake(key string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for w := range b.waiters[key] {
		select {
		case w.C <- struct{}{}:
		default:
		}
	}
}
