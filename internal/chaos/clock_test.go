package main

import "testing"

// The begin of a read may be noted a little early, never late, and its return the other way round.
func TestStopwatchIsNeverAhead(t *testing.T) {
	for range 1000 {
		w := newStopwatch()
		for range 10 {
			if begun, real := w.now(), now(); begun > real {
				t.Fatalf("the stopwatch is %v ahead", begun.sub(real))
			}
			if real, over := now(), w.after(); over < real {
				t.Fatalf("a return is noted %v early", real.sub(over))
			}
		}
	}
}
