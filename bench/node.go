package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

// weriftPeer is werift in Node, installed beforehand: nothing is ever
// installed by a measurement.
var weriftPeer = peer{
	name: "werift",
	version: func() string {
		var p struct{ Version string }
		dir, err := peerDir(weriftDir)
		if err != nil {
			return "unknown"
		}
		b, err := os.ReadFile(filepath.Join(dir, "node_modules", "werift", "package.json"))
		if err != nil || json.Unmarshal(b, &p) != nil {
			return "unknown"
		}
		return p.Version
	},
	missing: func() string {
		if _, err := exec.LookPath("node"); err != nil {
			return "needs Node: no node in PATH"
		}
		dir, err := peerDir(weriftDir)
		if err != nil {
			return err.Error()
		}
		if _, err := os.Stat(filepath.Join(dir, "node_modules", "werift", "package.json")); err != nil {
			return "not installed: npm ci --prefix " + weriftDir
		}
		return ""
	},
}

// A nodePeer is a script in Node that works on request, one case at a time.
type nodePeer struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
	err tail
}

type nodeAnswer struct {
	Missing bool    `json:"missing"`
	Result  string  `json:"result"`
	NS      float64 `json:"ns"`
	Error   string  `json:"error"`
}

func startNode(dir, script string) (*nodePeer, error) {
	at, err := peerDir(dir)
	if err != nil {
		return nil, err
	}
	p := &nodePeer{cmd: exec.Command("node", script)}
	p.cmd.Dir = at
	p.cmd.Stderr = &p.err
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.out = bufio.NewReader(out)
	return p, p.cmd.Start()
}

func (p *nodePeer) ask(q any) (a nodeAnswer, err error) {
	b, err := json.Marshal(q)
	if err != nil {
		return a, err
	}
	if _, err := p.in.Write(append(b, '\n')); err != nil {
		return a, fmt.Errorf("node: %w: %s", err, p.err.String())
	}
	line, err := p.out.ReadBytes('\n')
	if err != nil {
		return a, fmt.Errorf("node: %w: %s", err, p.err.String())
	}
	if err := json.Unmarshal(line, &a); err != nil {
		return a, fmt.Errorf("node: %w", err)
	}
	if a.Error != "" {
		return a, errors.New("node: " + a.Error)
	}
	return a, nil
}

// load prepares a case; missing means that the script does not know it.
func (p *nodePeer) load(kase string, input map[string]string) (nodeAnswer, error) {
	return p.ask(map[string]any{"case": kase, "input": input})
}

// run works for d and returns nanoseconds per operation.
func (p *nodePeer) run(d time.Duration) (float64, error) {
	a, err := p.ask(map[string]float64{"run": float64(d) / 1e6})
	return a.NS, err
}

func (p *nodePeer) stop() {
	p.in.Close()
	kill := time.AfterFunc(5*time.Second, func() { p.cmd.Process.Kill() })
	_ = p.cmd.Wait() // its status is of no interest any more
	kill.Stop()
}
