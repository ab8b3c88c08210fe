//go:build !race

package simulation

const shorter = 1
