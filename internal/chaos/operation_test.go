package main

import (
	"testing"

	"github.com/tiercache/tiercache/internal/history"
)

func TestOperationsTravel(t *testing.T) {
	want := []history.Operation{
		{Client: 11, Call: 1, Return: 2, Value: 0},
		{Client: 255, Call: 1 << 62, Return: 1<<62 + 5, Value: 1<<32 - 1},
	}
	var sent []byte
	for i, op := range want {
		sent = appendOperation(sent, 7*i, op)
	}
	n := 0
	for key, op := range operationsIn(append(sent, 1, 2)) { // a torn one is none
		if key != 7*n || op != want[n] {
			t.Errorf("operation %d came as %+v of key %d", n, op, key)
		}
		n++
	}
	if n != len(want) {
		t.Errorf("%d operations came", n)
	}
	for range operationsIn(sent) {
		break // is allowed
	}
}
