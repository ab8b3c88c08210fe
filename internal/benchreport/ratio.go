package main

import "slices"

// A spread is the median and the extremes of a value over the rounds.
type spread struct{ min, median, max float64 }

func spreadOf(values []float64) spread {
	s := slices.Sorted(slices.Values(values))
	n := len(s)
	return spread{s[0], (s[(n-1)/2] + s[n/2]) / 2, s[n-1]}
}

// A ratio compares a variant with the floor of its case.
type ratio struct {
	group, kase, variant, metric string
	value                        spread
	over                         spread // the floor's value in the same round
	floor                        bool   // it is the floor itself
}

// ratios compares all variants by all metrics of their cases. What has no floor, or
// a floor of 0, is left out.
func ratios(g group, r raw) (all []ratio) {
	for _, kase := range r.cases() {
		variants := r.variants(kase)
		floor, ok := g.floor(variants)
		if !ok {
			continue
		}
		for _, metric := range g.metrics(kase) {
			for _, variant := range variants {
				own := r.series(variant, kase, metric)
				over := within(own, r.series(floor, kase, metric))
				if len(over) == 0 {
					continue
				}
				all = append(all, ratio{g.name, kase, variant, metric, spreadOf(valuesOf(own)), spreadOf(over), variant == floor})
			}
		}
	}
	return all
}

// within divides two series round by round.
func within(own, floor map[int]float64) (over []float64) {
	for round, v := range own {
		if f := floor[round]; f != 0 {
			over = append(over, v/f)
		}
	}
	return over
}

func valuesOf(series map[int]float64) (values []float64) {
	for _, v := range series {
		values = append(values, v)
	}
	return values
}
