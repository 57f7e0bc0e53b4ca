// Command bench measures Sluice against named versions of named peers, in one
// run on one machine, and reports ratios.
//
//	go run ./bench [flags] SCENARIO[/CASE]...
//
// A scenario is one file that adds itself to the table in scenario.go. What
// competes for CPU time in one process is interleaved in slices below a
// millisecond; what needs a process of its own runs as a child, the same binary
// under a hidden name, and takes turns. See perf/README.md.
//
// It proves no correctness and sets no limit: gates read its rows.
package main
