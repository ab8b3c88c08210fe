package main

import (
	"slices"
	"testing"
)

func TestRevoked(t *testing.T) {
	change := Change{Asked: 9 * sec, Returned: 10 * sec}
	began := func(n int, at int64) []int64 { return slices.Repeat([]int64{at}, n) }
	for _, tc := range []struct {
		name string
		logs []CheckLog
		ok   bool
	}{
		{"allowed until the revoke returned", []CheckLog{{Allowed: began(5, 10*sec), Denied: began(revokeReads, 10*sec+1)}}, true},
		{"one is allowed afterwards", []CheckLog{{Allowed: []int64{9 * sec, 10*sec + 1}, Denied: began(revokeReads, 10*sec+1)}}, false},
		{"too few began afterwards", []CheckLog{{Allowed: began(5, 9*sec), Denied: slices.Concat(began(revokeReads, 10*sec), began(revokeReads-1, 10*sec+1))}}, false},
		{"all on one node", []CheckLog{{Allowed: began(5, 9*sec), Denied: began(revokeReads, 11*sec)}, {Allowed: began(5, 9*sec)}}, false},
		{"never allowed", []CheckLog{{Denied: began(revokeReads, 11*sec)}}, false},
		{"a read failed", []CheckLog{{Allowed: began(5, 9*sec), Denied: began(revokeReads, 11*sec), Errors: 1}}, false},
		{"nobody asked", nil, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := testResult()
			if r.reportRevoked("nobody", "", change, tc.logs); r.OK != tc.ok {
				t.Errorf("ok = %t, want %t: %+v", r.OK, tc.ok, r.Checks)
			}
		})
	}
}
