package token

import (
	"encoding/hex"
	"sync"
	"testing"
)

func TestNewIsUniqueAcrossGoroutines(t *testing.T) {
	const workers, each = 8, 5000
	made := make([][]Token, workers)
	var wg sync.WaitGroup
	for w := range workers {
		wg.Go(func() {
			for range each {
				made[w] = append(made[w], New())
			}
		})
	}
	wg.Wait()

	seen := make(map[Token]bool, workers*each)
	for _, tokens := range made {
		for _, tok := range tokens {
			if seen[tok] {
				t.Fatalf("New returned %s twice", tok.Hex())
			}
			seen[tok] = true
		}
	}
}

func TestProcessesDiffer(t *testing.T) {
	if a, b := randomPrefix(), randomPrefix(); a == b {
		t.Errorf("two processes would share the prefix %x", a)
	}
	if process == ([8]byte{}) {
		t.Error("the prefix of this process was never drawn")
	}
}

func TestForms(t *testing.T) {
	tok := Token{0, 1, 2, 0xff, 15: 'z'}
	if got := tok.String(); got != string(tok[:]) || len(got) != Size {
		t.Errorf("String() = %q, want the %d raw bytes", got, Size)
	}
	back, err := hex.DecodeString(tok.Hex())
	if err != nil || Token(back) != tok {
		t.Errorf("Hex() = %q does not decode to the token (%v)", tok.Hex(), err)
	}
}

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		_ = New()
	}
}
