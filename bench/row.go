package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// better says in which direction a value improves.
type better string

const (
	lower  better = "lower"
	higher better = "higher"
)

// A Row is one result: Sluice and one peer in one case. Its JSON is read by
// scripts; fields are added, never changed.
type Row struct {
	Scenario    string  `json:"scenario"`
	Case        string  `json:"case"`
	Unit        string  `json:"unit,omitempty"`
	Better      better  `json:"better,omitempty"`
	Value       float64 `json:"value,omitempty"` // p10 of the rounds where better is lower, p90 where higher
	Version     string  `json:"version"`
	Peer        string  `json:"peer"`
	PeerVersion string  `json:"peer_version,omitempty"`
	PeerValue   float64 `json:"peer_value,omitempty"`
	Ratio       float64 `json:"ratio,omitempty"` // how many times better than the peer
	Rounds      int     `json:"rounds,omitempty"`
	Allocs      *int    `json:"allocs,omitempty"` // per packet or operation, Sluice's
	// Also and PeerAlso are further figures of the same rounds, by name and
	// unit, such as "loss_pct".
	Also     map[string]float64 `json:"also,omitempty"`
	PeerAlso map[string]float64 `json:"peer_also,omitempty"`
	Skipped  string             `json:"skipped,omitempty"` // why there is no value
}

// compare fills in value, peer value and ratio from the rounds of both.
func (r *Row) compare(ours, peer []float64) {
	if len(ours) == 0 || len(ours) != len(peer) {
		r.Skipped = "no rounds"
		return
	}
	each := ratios(ours, peer, r.Better)
	if len(each) == 0 {
		r.Skipped = "no round gave a figure above zero"
		return
	}
	p := 10.0
	if r.Better == higher {
		p = 90
	}
	r.Value, r.PeerValue = percentile(ours, p), percentile(peer, p)
	r.Ratio = median(each)
	r.Rounds = len(ours)
}

// writeLines writes one object a line.
func writeLines(w io.Writer, rows []Row) error {
	enc := json.NewEncoder(w)
	for _, r := range rows {
		if err := enc.Encode(r); err != nil {
			return err
		}
	}
	return nil
}

// save puts rows into perf/results/<version>.json, an array with a row a line.
// Rows of the same scenario, case and peer are replaced, others stay.
func save(version string, rows []Row) (string, error) {
	dir, err := resultsDir()
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, version+".json")
	var all []Row
	old, err := os.ReadFile(name)
	switch {
	case err == nil:
		if err := json.Unmarshal(old, &all); err != nil {
			return "", fmt.Errorf("%s: %w", name, err)
		}
	case !os.IsNotExist(err):
		return "", err
	}
	b, err := marshalArray(merge(all, rows))
	if err != nil {
		return "", err
	}
	return name, os.WriteFile(name, b, 0o644)
}

func merge(old, fresh []Row) []Row {
	key := func(r Row) [3]string { return [3]string{r.Scenario, r.Case, r.Peer} }
	all := slices.Clone(old)
	for _, r := range fresh {
		if i := slices.IndexFunc(all, func(o Row) bool { return key(o) == key(r) }); i >= 0 {
			all[i] = r
		} else {
			all = append(all, r)
		}
	}
	return all
}

func marshalArray(rows []Row) ([]byte, error) {
	b := []byte("[\n")
	for i, r := range rows {
		line, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		b = append(b, line...)
		if i < len(rows)-1 {
			b = append(b, ',')
		}
		b = append(b, '\n')
	}
	return append(b, "]\n"...), nil
}

// resultsDir finds perf/results at or above the working directory.
func resultsDir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		perf := filepath.Join(dir, "perf")
		if st, err := os.Stat(filepath.Join(perf, "README.md")); err == nil && !st.IsDir() {
			results := filepath.Join(perf, "results")
			return results, os.MkdirAll(results, 0o755)
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("-save: no perf/README.md here or above; run it inside the repository")
		}
		dir = parent
	}
}
