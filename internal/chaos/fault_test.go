package main

import (
	"slices"
	"testing"
)

func names5() []fault {
	var all []fault
	for _, kind := range []string{"a", "b", "c", "d", "e"} {
		all = append(all, fault{kind: kind})
	}
	return all
}

func TestDeckDealsEachBeforeAnyAgain(t *testing.T) {
	cards := &deck{all: names5(), dice: newDice(1)}
	orders := make(map[string]bool)
	for range 20 {
		var dealt []fault
		for range cards.all {
			dealt = append(dealt, cards.draw())
		}
		order := kindsOf(dealt)
		orders[order[0]] = true
		if slices.Sort(order); !slices.Equal(order, kindsOf(cards.all)) {
			t.Fatalf("a round dealt %v", order)
		}
	}
	if len(orders) < 2 {
		t.Error("every round began with the same card: it is not shuffled")
	}
}

func TestDeckPutsBack(t *testing.T) {
	cards := &deck{all: names5(), dice: newDice(1)}
	first := cards.draw()
	cards.later(first)
	var rest []fault
	for range cards.all {
		rest = append(rest, cards.draw())
	}
	if last := rest[len(rest)-1]; last.kind != first.kind {
		t.Errorf("%s was put back, and %s is dealt last", first.kind, last.kind)
	}
}

func TestOnly(t *testing.T) {
	all := names5()
	if got := kindsOf(only(all, []string{"d", "b"})); !slices.Equal(got, []string{"b", "d"}) {
		t.Errorf("only = %v", got)
	}
	if got := only(all, nil); len(got) != len(all) {
		t.Errorf("only without kinds = %v", kindsOf(got))
	}
}
