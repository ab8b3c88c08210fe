// Command benchreport runs the benchmarks of the root package in interleaved rounds
// and compares the libraries within each round:
//
//	go run ./internal/benchreport            # 7 rounds at full size, half an hour or more
//	go run ./internal/benchreport -quick     # 3 short rounds, under 3 minutes
//	go run ./internal/benchreport -group LocalHit -rounds 9
//	go run ./internal/benchreport -render    # no run: plots and targets from what is kept
//
// In a round every variant of a group has its turn once, so that a drift of the
// machine hits all alike; a ratio is taken within a round, and its median and its
// extremes over the rounds are shown. The raw output, in the format of go test with
// lines that name machine and versions, is kept under results, one file a group; the
// plots in docs/plots and the table of targets in docs/performance.md are drawn from
// these files and nothing else. With -json the last line of the output is an array of
// all ratios.
package main
