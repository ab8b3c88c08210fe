//go:build race

package simulation

// shorter is by how much runs are cut: the race detector makes them many times slower.
const shorter = 20
