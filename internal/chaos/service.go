package main

import (
	"errors"
	"sync"
)

// Service is what one node asks of the director: the source, and to listen. Its methods are called by net/rpc.
type Service struct {
	fleet *fleet
	node  *process
}

func (s *Service) name() string { return s.node.cfg.Name }

// Load reads records: their versions, 0 for none.
func (s *Service) Load(keys []string, versions *[]int) error {
	for _, key := range keys {
		*versions = append(*versions, s.fleet.record.latest(s.name(), key))
	}
	return nil
}

// Commit stores the next version of a record. The node may be killed right before or after it.
func (s *Service) Commit(c CommitCall, version *int) error {
	s.node.hold.wait()
	kill := s.node.trap.spring()
	if kill == beforeCommit {
		s.node.kill()
		return errors.New("killed before the commit")
	}
	var err error
	if *version, err = s.fleet.record.update(s.name(), c); err != nil {
		return err
	}
	if h := s.fleet.histories; h != nil {
		h.committed(clientOf(s.node.cfg.Slot, c.Client), c, *version)
	}
	if kill == afterCommit {
		s.node.kill()
	}
	return nil
}

// Outside stores the next versions of records past the caches.
func (s *Service) Outside(c OutsideCall, versions *[]int) error {
	for i, key := range c.Keys {
		*versions = append(*versions, s.fleet.record.outside(s.name(), key, c.Deleted[i]))
	}
	return nil
}

// Report takes in what the node has seen.
func (s *Service) Report(r Report, order *Order) error {
	order.Behind = s.fleet.hear(s.node.cfg, r)
	order.Stop = s.node.stopping.Load()
	return nil
}

// killPoint is where in a commit a node is killed.
type killPoint uint8

const (
	nowhere killPoint = iota
	beforeCommit
	afterCommit
)

// trap kills a node in the middle of its next Update.
type trap struct {
	mu sync.Mutex
	at killPoint
}

func (t *trap) arm(at killPoint) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.at = at
}

// spring returns what the trap was armed for, once.
func (t *trap) spring() killPoint {
	t.mu.Lock()
	defer t.mu.Unlock()
	at := t.at
	t.at = nowhere
	return at
}

// hold stops the next commit of a node for a while.
type hold struct {
	mu     sync.Mutex
	placed *held
}

type held struct {
	reached chan struct{} // by a commit
	lifted  chan struct{}
	lift    func()
}

func (h *hold) place() *held {
	h.mu.Lock()
	defer h.mu.Unlock()
	lifted := make(chan struct{})
	h.placed = &held{make(chan struct{}), lifted, sync.OnceFunc(func() { close(lifted) })}
	return h.placed
}

// wait is for the commit.
func (h *hold) wait() {
	h.mu.Lock()
	held := h.placed
	h.placed = nil
	h.mu.Unlock()
	if held != nil {
		close(held.reached)
		<-held.lifted
	}
}
