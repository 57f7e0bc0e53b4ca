package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const weriftDir = "bench/peers/werift"

// peerDir finds a directory of the repository at or above the working one.
func peerDir(rel string) (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		at := filepath.Join(dir, filepath.FromSlash(rel))
		if st, err := os.Stat(filepath.Join(at, "package.json")); err == nil && !st.IsDir() {
			return at, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", fmt.Errorf("no %s here or above; run it inside the repository", rel)
		}
		dir = parent
	}
}

// installed is a package for Node, installed beforehand: nothing is ever
// installed by a measurement.
func installed(name, dir string) peer {
	manifest := filepath.Join("node_modules", name, "package.json")
	return peer{
		name: name,
		version: func() string {
			var p struct{ Version string }
			at, err := peerDir(dir)
			if err != nil {
				return "unknown"
			}
			b, err := os.ReadFile(filepath.Join(at, manifest))
			if err != nil || json.Unmarshal(b, &p) != nil {
				return "unknown"
			}
			return p.Version
		},
		missing: func() string {
			if _, err := exec.LookPath("node"); err != nil {
				return "needs Node: no node in PATH"
			}
			at, err := peerDir(dir)
			if err != nil {
				return err.Error()
			}
			if _, err := os.Stat(filepath.Join(at, manifest)); err != nil {
				return "not installed: npm ci --prefix " + dir
			}
			return ""
		},
	}
}

var (
	weriftPeer          = installed("werift", weriftDir)
	nodeDataChannelPeer = installed("node-datachannel", "bench/peers/node-datachannel")
	// nodeStacks are those which connect pairs, by peers' names.
	nodeStacks = map[string]string{weriftPeer.name: weriftDir, nodeDataChannelPeer.name: "bench/peers/node-datachannel"}
)

// A nodePeer is a worker in Node. Its lines are JSON.
type nodePeer struct{ *worker }

func startNode(dir, script string) (*nodePeer, error) {
	at, err := peerDir(dir)
	if err != nil {
		return nil, err
	}
	cmd := exec.Command("node", script)
	cmd.Dir = at
	w, err := startWorker(cmd)
	return &nodePeer{w}, err
}

func (p *nodePeer) ask(q any) (a workerAnswer, err error) {
	b, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	return p.worker.ask(b)
}

// load prepares a case; missing means that the script does not know it.
func (p *nodePeer) load(kase string, input map[string]string) (workerAnswer, error) {
	return p.ask(map[string]any{"case": kase, "input": input})
}

// run works for d and returns nanoseconds per operation.
func (p *nodePeer) run(d time.Duration) (float64, error) {
	a, err := p.ask(map[string]float64{"run": float64(d) / 1e6})
	return a.NS, err
}
