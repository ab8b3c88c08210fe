package tiercache_test

import (
	"bufio"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"sort"
)

// zipfTrace draws n keys of which the i-th is drawn in proportion to 1/i^s; unlike
// rand.Zipf it takes s below 1. The draws are the same in every run.
func zipfTrace(keys []string, s float64, n int) []string {
	sums := make([]float64, len(keys))
	total := 0.0
	for i := range sums {
		total += math.Pow(float64(i+1), -s)
		sums[i] = total
	}
	dice := rand.New(rand.NewPCG(1, 2))
	trace := make([]string, n)
	for i := range trace {
		trace[i] = keys[min(sort.SearchFloat64s(sums, dice.Float64()*total), len(keys)-1)]
	}
	return trace
}

// scanTrace is a Zipf trace of which every third access belongs to a scan over
// keys that never come back.
func scanTrace(keys []string, n int) []string {
	trace := zipfTrace(keys, 0.99, n)
	for i := 0; i < n; i += 3 {
		trace[i] = fmt.Sprintf("scan:%08d", i)
	}
	return trace
}

// loopTrace goes round and round over twice as many keys as there is room for.
func loopTrace(keys []string, room, n int) []string {
	trace := make([]string, n)
	for i := range trace {
		trace[i] = keys[i%min(2*room, len(keys))]
	}
	return trace
}

// shiftTrace is a Zipf trace in whose second half, which is drawn from the second list,
// other keys are hot.
func shiftTrace(keys []string, room, n int) (trace, hottest []string) {
	shifted := slices.Concat(keys[2*room:], keys[:2*room])
	trace = zipfTrace(keys, 0.99, n)
	copy(trace[n/2:], zipfTrace(shifted, 0.99, n-n/2))
	return trace, shifted
}

// traceKeys are n keys as long as those of a scan, so that all entries cost the same.
func traceKeys(n int) []string {
	keys := make([]string, n)
	for i := range keys {
		keys[i] = fmt.Sprintf("item:%08d", i)
	}
	return keys
}

func readTrace(name string) ([]string, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var trace []string
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if key := lines.Text(); key != "" {
			trace = append(trace, key)
		}
	}
	return trace, lines.Err()
}
