package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A Result is perf/results/<version>.json: the rows of one version of Sluice,
// measured on one host.
type Result struct {
	Version string `json:"version"`
	Saved   string `json:"saved"` // date of the last row, as 2006-01-02
	Host    Host   `json:"host"`
	Rows    []Row  `json:"rows"`
}

var errOtherHost = errors.New("ratios of two hosts do not go into one result; save under another version")

// save puts rows into perf/results/<version>.json. Rows of the same scenario,
// case and peer are replaced, others stay. It returns the file's name, and
// errOtherHost if the file has rows of another host.
func save(version string, host Host, rows []Row, now time.Time) (string, error) {
	dir, err := resultsDir()
	if err != nil {
		return "", err
	}
	name := filepath.Join(dir, version+".json")
	res, err := readResult(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return "", err
	case !res.Host.comparable(host):
		return "", fmt.Errorf("%s was measured on %s, this is %s: %w", name, res.Host, host, errOtherHost)
	}
	res = Result{Version: version, Saved: now.Format(time.DateOnly), Host: host, Rows: merge(res.Rows, rows)}
	b, err := res.marshal()
	if err != nil {
		return "", err
	}
	return name, os.WriteFile(name, b, 0o644)
}

func merge(old, fresh []Row) []Row {
	all := slices.Clone(old)
	for _, r := range fresh {
		if i := find(all, r); i >= 0 {
			all[i] = r
		} else {
			all = append(all, r)
		}
	}
	return all
}

// find returns the index of the row of the same scenario, case and peer as r,
// or -1.
func find(rows []Row, r Row) int {
	return slices.IndexFunc(rows, func(o Row) bool {
		return o.Scenario == r.Scenario && o.Case == r.Case && o.Peer == r.Peer
	})
}

// marshal gives a row a line, so that a new result is readable as a diff.
func (res Result) marshal() ([]byte, error) {
	head := res
	head.Rows = []Row{}
	b, err := json.Marshal(head)
	if err != nil {
		return nil, err
	}
	b = bytes.TrimSuffix(b, []byte("]}"))
	for i, r := range res.Rows {
		line, err := json.Marshal(r)
		if err != nil {
			return nil, err
		}
		if i > 0 {
			b = append(b, ',')
		}
		b = append(append(b, '\n'), line...)
	}
	return append(b, "\n]}\n"...), nil
}

// readResult reads a saved result, or a file of rows as -json writes them,
// which tells no host.
func readResult(name string) (res Result, err error) {
	b, err := os.ReadFile(name)
	if err != nil {
		return res, err
	}
	if json.Unmarshal(b, &res) == nil && res.Rows != nil {
		return res, nil
	}
	res = Result{}
	dec := json.NewDecoder(bytes.NewReader(b))
	for dec.More() {
		var r Row
		if err := dec.Decode(&r); err != nil {
			return res, fmt.Errorf("%s is neither a saved result nor rows, one a line: %w", name, err)
		}
		if r.Scenario == "" || r.Case == "" {
			return res, fmt.Errorf("%s is neither a saved result nor rows, one a line", name)
		}
		res.Version, res.Rows = r.Version, append(res.Rows, r)
	}
	return res, nil
}

// resultFile turns a version below perf/results, "latest" for the newest one,
// or a file's name, into a file's name.
func resultFile(name string) (string, error) {
	if name == "latest" {
		all, err := savedResults()
		if err != nil {
			return "", err
		}
		if len(all) == 0 {
			return "", errors.New("no results below perf/results; make one with -save")
		}
		name = all[len(all)-1].Version
	}
	if strings.ContainsAny(name, `/\`) || strings.HasSuffix(name, ".json") {
		return name, nil
	}
	dir, err := resultsDir()
	return filepath.Join(dir, name+".json"), err
}

// savedResults are all below perf/results, the oldest first.
func savedResults() (list []Result, err error) {
	dir, err := resultsDir()
	if err != nil {
		return nil, err
	}
	names, err := filepath.Glob(filepath.Join(dir, "*.json"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		res, err := readResult(name)
		if err != nil {
			return nil, err
		}
		list = append(list, res)
	}
	slices.SortFunc(list, func(a, b Result) int {
		return strings.Compare(a.Saved+" "+a.Version, b.Saved+" "+b.Version)
	})
	return list, nil
}

// resultsDir finds perf/results at or above the working directory.
func resultsDir() (string, error) {
	root, err := repository()
	if err != nil {
		return "", err
	}
	results := filepath.Join(root, "perf", "results")
	return results, os.MkdirAll(results, 0o755)
}

func repository() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if st, err := os.Stat(filepath.Join(dir, "perf", "README.md")); err == nil && !st.IsDir() {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errors.New("no perf/README.md here or above; run it inside the repository")
		}
		dir = parent
	}
}
