package main

import "testing"

// What is under way, or not handed over yet, keeps the floor down.
func TestFloor(t *testing.T) {
	var l logs
	if b, floor := l.take(); len(b) > 0 || floor == 0 {
		t.Errorf("a node without goroutines: %d bytes, floor %v", len(b), floor)
	}
	idle, busy := l.open(), l.open()
	begun := now()
	busy.add(Reads{Key: key, Version: 3, Latest: begun, Ended: now()})
	idle.flush()
	if b, floor := l.take(); len(b) > 0 || floor > begun {
		t.Errorf("%d bytes were taken that were not handed over, floor %v after the call", len(b), floor.sub(begun))
	}
	busy.flush()
	ended := now()
	b, floor := l.take()
	if len(b) != operationBytes || floor < begun || floor > ended {
		t.Errorf("%d bytes, floor %v after the call", len(b), floor.sub(begun))
	}
	for number, op := range operationsIn(b) {
		if keyNames[number] != key || op.Value != 3 || Instant(op.Call) != begun || op.Client != busy.client {
			t.Errorf("%+v of %s", op, keyNames[number])
		}
	}
	if b, _ := l.take(); len(b) > 0 {
		t.Errorf("%d bytes were taken twice", len(b))
	}
}
