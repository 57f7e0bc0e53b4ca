package main

import (
	"fmt"
	"io"
	"slices"
)

// noise is by how much the ratio of the same row may fall between two results
// before it counts, by scenario. The rows of one process, in slices of 0.2 ms,
// differ less than those of processes that take turns.
var noise = map[string]float64{"micro": 0.20, "srtp": 0.20, "crypto": 0.20}

const (
	otherNoise = 0.30
	// quickNoise replaces both where either row is of a -quick run: a neighbour
	// on the core favours one contender for as long as such a run takes.
	quickNoise = 0.50
	// confirmations is how often -against measures a row that fell beyond the
	// noise again before it believes it.
	confirmations = 2
)

// A regression is a row whose ratio against the same version of the same peer
// has fallen beyond the noise, or that allocates more often than it did, which
// knows no noise.
type regression struct {
	old, fresh Row
	change     float64 // of the ratio, -0.25 is a quarter less
}

// regressions compares ratios, never values: the machine may be another one. A
// row whose peer has another version, or that either result lacks or skipped,
// is not compared.
func regressions(old, fresh []Row) (list []regression, compared int) {
	for _, f := range fresh {
		i := find(old, f)
		if i < 0 || !(old[i].Ratio > 0) || f.Skipped != "" || old[i].PeerVersion != f.PeerVersion {
			continue
		}
		compared++
		limit, ok := noise[f.Scenario]
		switch {
		case f.Quick || old[i].Quick:
			limit = quickNoise
		case !ok:
			limit = otherNoise
		}
		change := f.Ratio/old[i].Ratio - 1
		if change < -limit || old[i].Allocs != nil && allocsOf(f) > allocsOf(old[i]) {
			list = append(list, regression{old[i], f, change})
		}
	}
	return list, compared
}

// allocsOf is how often a row allocates, -1 where that was not counted.
func allocsOf(r Row) int {
	if r.Allocs == nil {
		return -1
	}
	return *r.Allocs
}

// compareResults is the subcommand: status 1 when something got worse.
func compareResults(args []string, stdout, stderr io.Writer) int {
	if len(args) != 2 {
		fmt.Fprintln(stderr, "bench: compare wants OLD and NEW: versions below perf/results, or files")
		return 2
	}
	var sides [2]Result
	for i, name := range args {
		file, err := resultFile(name)
		if err == nil {
			sides[i], err = readResult(file)
		}
		if err != nil {
			fmt.Fprintf(stderr, "bench: compare: %v\n", err)
			return 2
		}
	}
	list, compared := regressions(sides[0].Rows, sides[1].Rows)
	return verdict(list, compared, sides[0].Host, sides[1].Host, stdout)
}

// verdict prints what got worse and returns the exit status: 1 if something
// did, unless both hosts are known and differ, when it only tells.
func verdict(list []regression, compared int, old, fresh Host, w io.Writer) int {
	for _, g := range list {
		fmt.Fprintf(w, "%s/%s against %s: %.2fx was %.2fx (%+.0f %%)",
			g.fresh.Scenario, g.fresh.Case, g.fresh.Peer, g.fresh.Ratio, g.old.Ratio, 100*g.change)
		if now, was := allocsOf(g.fresh), allocsOf(g.old); now > was && was >= 0 {
			fmt.Fprintf(w, ", %d allocations were %d", now, was)
		}
		fmt.Fprintln(w)
	}
	fmt.Fprintf(w, "%s compared, %d worse beyond the noise\n", plural(compared, "row"), len(list))
	if len(list) == 0 {
		return 0
	}
	if old != (Host{}) && fresh != (Host{}) && !old.comparable(fresh) {
		fmt.Fprintf(w, "told, not judged: %s is not %s\n", fresh, old)
		return 0
	}
	return 1
}

// against holds the rows of r against a saved result. What fell beyond the
// noise is measured again, up to confirmations times, and counts only if it
// falls each time: a neighbour of this machine is not a regression.
func against(r *run, name string, picked []selection, only func([]peer) []peer, w io.Writer) (int, error) {
	file, err := resultFile(name)
	if err != nil {
		return 0, err
	}
	base, err := readResult(file)
	if err != nil {
		return 0, err
	}
	list, compared := regressions(base.Rows, r.rows)
	for range confirmations {
		if len(list) == 0 {
			break
		}
		again := &run{quick: r.quick, version: r.version, table: r.table}
		for _, s := range picked {
			if err := again.repeat(s, list, only(s.peers)); err != nil {
				return 0, err
			}
		}
		still, _ := regressions(base.Rows, again.rows)
		list = slices.DeleteFunc(still, func(g regression) bool {
			return !slices.ContainsFunc(list, func(before regression) bool {
				return find([]Row{before.fresh}, g.fresh) == 0
			})
		})
	}
	r.table.clear()
	return verdict(list, compared, base.Host, thisHost(), w), nil
}

// repeat measures the cases of s that are in list, against their peers alone.
func (r *run) repeat(s selection, list []regression, peers []peer) error {
	var cases []string
	wanted := map[string]bool{}
	for _, g := range list {
		if g.fresh.Scenario != s.name {
			continue
		}
		if !wanted[g.fresh.Case] {
			cases = append(cases, g.fresh.Case)
		}
		wanted[g.fresh.Case], wanted["peer "+g.fresh.Peer] = true, true
	}
	var few []peer
	for _, p := range peers {
		if wanted["peer "+p.name] {
			few = append(few, p)
		}
	}
	if len(cases) == 0 {
		return nil
	}
	return measureOne(r, selection{s.scenario, cases}, few)
}

func plural(n int, of string) string {
	if n == 1 {
		return "1 " + of
	}
	return fmt.Sprintf("%d %ss", n, of)
}
