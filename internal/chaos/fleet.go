package main

import (
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"
)

// fleet is the nodes and what is known of them. It is safe for concurrent use.
type fleet struct {
	name      string
	rig       rig
	dice      *dice
	warm      time.Duration // of the nodes
	record    *record
	checker   *checker
	histories *histories     // of strong caches; nil: theirs are not
	finish    func()         // the checks of histories, when all is known
	running   sync.WaitGroup // what watches over each node

	mu     sync.Mutex
	slots  []*process
	born   []int
	counts map[string]int
	inStep map[string]bool // by living node
	round  *round          // listens; nil: nobody does
}

func newFleet(name string, nodes int, r rig, d *dice) *fleet {
	record := newRecord()
	return &fleet{
		name: name, rig: r, dice: d, record: record, checker: newChecker(record),
		slots: make([]*process, nodes), born: make([]int, nodes),
		finish: func() {}, counts: make(map[string]int), inStep: make(map[string]bool),
	}
}

// redisKey is where a record is in Redis.
func redisKey(fleet, key string) string { return fleet + ":" + cacheName + ":" + key }

func busKey(fleet string) string { return "{" + fleet + "}:bus" }

func nodesKey(fleet string) string { return "{" + fleet + "}:nodes" }

func (f *fleet) size() int { return len(f.slots) }

// node returns the latest node of a slot.
func (f *fleet) node(slot int) *process {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.slots[slot]
}

func (f *fleet) nodes() []*process {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(f.slots), func(p *process) bool { return p == nil })
}

// start starts a node in every slot, and the checks of what they do.
func (f *fleet) start() error {
	if f.histories != nil {
		f.finish = f.histories.begin()
	}
	for slot := range f.slots {
		if err := f.spawn(slot); err != nil {
			return err
		}
	}
	return nil
}

// spawn starts the next node of a slot.
func (f *fleet) spawn(slot int) error {
	f.mu.Lock()
	cfg := Config{Name: fmt.Sprintf("n%d.%d", slot, f.born[slot]), Slot: slot, Fleet: f.name, Seed: f.dice.seed(), Warm: f.warm, Strong: f.histories != nil, Redis: f.rig.address(slot)}
	f.born[slot]++
	f.inStep[cfg.Name] = false
	f.mu.Unlock()
	f.checker.join(cfg.Name)
	if f.histories != nil {
		f.histories.join(cfg.Name)
	}
	p, err := startProcess(cfg, func(p *process) any { return &Service{f, p} })
	if err != nil {
		return fmt.Errorf("starting %s: %w", cfg.Name, err)
	}
	f.mu.Lock()
	f.slots[slot] = p
	f.mu.Unlock()
	f.running.Go(func() { f.watch(p) })
	return nil
}

// watch waits for the end of a node, which must have been our wish. What it had not reported, nobody will know.
func (f *fleet) watch(p *process) {
	<-p.done
	f.checker.leave(p.cfg.Name)
	if f.histories != nil {
		f.histories.leave(p.cfg.Name)
	}
	f.mu.Lock()
	delete(f.inStep, p.cfg.Name)
	f.mu.Unlock()
	if p.err != nil && !p.killed.Load() {
		f.checker.accuse(fmt.Sprintf("%s ended by itself: %v%s", p.cfg.Name, p.err, p.said.String()))
	}
}

// dismiss ends a node in order.
func (f *fleet) dismiss(p *process) {
	if !p.stop(slack) {
		f.checker.accuse(fmt.Sprintf("I18: %s had not ended %v after it was told to%s", p.cfg.Name, slack, p.said.String()))
	}
}

// stop ends all nodes in order and judges what is left.
func (f *fleet) stop() {
	var group sync.WaitGroup
	for _, p := range f.nodes() {
		group.Go(func() { f.dismiss(p) })
	}
	group.Wait()
	f.running.Wait()
	f.checker.finish()
	f.finish()
}

// kill ends all nodes at once.
func (f *fleet) kill() {
	for _, p := range f.nodes() {
		p.kill()
	}
	f.running.Wait()
	f.finish()
}

// hear takes in a node's report: first what returned, then what was read. It tells whether it comes too fast.
func (f *fleet) hear(cfg Config, r Report) (behind bool) {
	node := cfg.Name
	for _, w := range r.Returns {
		f.record.returned(node, w)
		if f.histories != nil {
			f.histories.returned(w)
		}
	}
	f.checker.take(node, r.At, r.Reads)
	if f.histories != nil {
		behind = f.histories.take(node, cfg.Slot, r)
	}
	for _, what := range r.Wrong {
		f.checker.accuse(what)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if _, living := f.inStep[node]; living {
		f.inStep[node] = r.InStep
	}
	for what, n := range r.Counts {
		f.counts[what] += n
	}
	if f.round != nil {
		f.round.hear(r)
	}
	return behind
}

// checked returns how many operations porcupine has checked.
func (f *fleet) checked() int {
	if f.histories == nil {
		return 0
	}
	return f.histories.sum().Operations
}

// listen sends reports to a round as well; nil: to none.
func (f *fleet) listen(r *round) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.round = r
}

// counted returns how often each thing was done or happened.
func (f *fleet) counted() map[string]int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return maps.Clone(f.counts)
}

// joined returns an error while the node of a slot is not in step.
func (f *fleet) joined(slot int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if name := f.slots[slot].cfg.Name; !f.inStep[name] {
		return fmt.Errorf("%s is not in step", name)
	}
	return nil
}

// ready returns an error while a node is not in step.
func (f *fleet) ready() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for node, inStep := range f.inStep {
		if !inStep {
			return fmt.Errorf("%s is not in step", node)
		}
	}
	return nil
}
