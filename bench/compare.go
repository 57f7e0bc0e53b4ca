package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// noise is by how much the ratio of the same row may fall between two saved
// results before it counts, by scenario. The rows of one process, in slices of
// 0.2 ms, differ less than those of processes that take turns.
var noise = map[string]float64{"micro": 0.20, "srtp": 0.20}

const otherNoise = 0.30

// A regression is a row whose ratio against the same version of the same peer
// has fallen beyond the noise.
type regression struct {
	old, fresh Row
	change     float64 // of the ratio, -0.25 is a quarter less
}

// regressions compares ratios, never values: the machine may be another one. A
// row whose peer has another version, or that either result lacks or skipped,
// is not compared.
func regressions(old, fresh []Row) (list []regression, compared int) {
	for _, f := range fresh {
		i := slices.IndexFunc(old, func(o Row) bool {
			return o.Scenario == f.Scenario && o.Case == f.Case && o.Peer == f.Peer && o.PeerVersion == f.PeerVersion
		})
		if i < 0 || !(old[i].Ratio > 0) || f.Skipped != "" {
			continue
		}
		compared++
		limit, ok := noise[f.Scenario]
		if !ok {
			limit = otherNoise
		}
		if change := f.Ratio/old[i].Ratio - 1; change < -limit {
			list = append(list, regression{old[i], f, change})
		}
	}
	return list, compared
}

// readRows reads a saved result: a file, or a version below perf/results.
func readRows(name string) ([]Row, error) {
	if !strings.ContainsAny(name, `/\`) && !strings.HasSuffix(name, ".json") {
		dir, err := resultsDir()
		if err != nil {
			return nil, err
		}
		name = filepath.Join(dir, name+".json")
	}
	b, err := os.ReadFile(name)
	if err != nil {
		return nil, err
	}
	var rows []Row
	if err := json.Unmarshal(b, &rows); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return rows, nil
}

// compareResults is the subcommand: status 1 when something got worse.
func compareResults(args []string, stdout, stderr io.Writer) int {
	if len(args) != 2 {
		fmt.Fprintln(stderr, "bench: compare wants OLD and NEW: versions below perf/results, or files")
		return 2
	}
	var sides [2][]Row
	for i, name := range args {
		rows, err := readRows(name)
		if err != nil {
			fmt.Fprintf(stderr, "bench: compare: %v\n", err)
			return 2
		}
		sides[i] = rows
	}
	list, compared := regressions(sides[0], sides[1])
	for _, g := range list {
		fmt.Fprintf(stdout, "%s/%s against %s: %.2fx was %.2fx (%+.0f %%)\n",
			g.fresh.Scenario, g.fresh.Case, g.fresh.Peer, g.fresh.Ratio, g.old.Ratio, 100*g.change)
	}
	fmt.Fprintf(stdout, "%d rows compared, %d worse beyond the noise\n", compared, len(list))
	if len(list) > 0 {
		return 1
	}
	return 0
}
