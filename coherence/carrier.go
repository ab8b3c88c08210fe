package coherence

import (
	"slices"
	"sync"

	"github.com/tiercache/tiercache/internal/mutant"
)

// slots is how many batches of one space are on their way at once.
const slots = 4

// A carrier lets the announcements of a space travel together. One that finds a free
// slot is sent at once, alone, by its caller; those that come while all are busy form
// the next batch. So batches grow with the load, a lone caller waits for nobody, and
// there is no timer.
type carrier struct {
	mu    sync.Mutex
	busy  int
	queue []*errand
}

// board takes a slot for the errand, or queues it.
func (c *carrier) board(e *errand) (alone bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.busy < slots {
		c.busy++
		return true
	}
	e.done = make(chan struct{})
	c.queue = append(c.queue, e)
	return false
}

// leave takes an errand out of the queue, if it is there still.
func (c *carrier) leave(e *errand) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if i := slices.Index(c.queue, e); i >= 0 && !mutant.CarryAbandoned {
		c.queue = slices.Delete(c.queue, i, i+1)
	}
}

// next takes what fits into one entry for a slot that has become free. With nothing
// queued it gives up the slot.
func (c *carrier) next() (batch []*errand) {
	c.mu.Lock()
	defer c.mu.Unlock()
	keys := 0
	for n, e := range c.queue {
		if keys += len(e.keys); keys > maxKeys {
			batch, c.queue = c.queue[:n:n], c.queue[n:]
			return batch
		}
	}
	if batch, c.queue = c.queue, nil; batch == nil {
		c.busy--
	}
	return batch
}
