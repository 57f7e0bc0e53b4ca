package main

import (
	"math"
	"slices"
)

// percentile returns the p-th percentile, 0 to 100, of xs by linear
// interpolation between the nearest ranks; NaN when there are none. xs is not
// changed.
func percentile(xs []float64, p float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	s := slices.Clone(xs)
	slices.Sort(s)
	at := p / 100 * float64(len(s)-1)
	i := min(max(int(at), 0), len(s)-1)
	j := min(i+1, len(s)-1)
	return s[i] + (s[j]-s[i])*min(max(at-float64(i), 0), 1)
}

func median(xs []float64) float64 { return percentile(xs, 50) }

// ratios tells for each round how many times better ours is than the peer's.
// Rounds in which either is not above zero say nothing and are left out.
func ratios(ours, peer []float64, b better) []float64 {
	var list []float64
	for i := range min(len(ours), len(peer)) {
		switch {
		case !(ours[i] > 0) || !(peer[i] > 0):
		case b == higher:
			list = append(list, ours[i]/peer[i])
		default:
			list = append(list, peer[i]/ours[i])
		}
	}
	return list
}
