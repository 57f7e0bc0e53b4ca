package main

import (
	"context"
	"fmt"
	"math"
	"net/url"
	"os/exec"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// spawnPairs starts the process of a contender, on all processors.
func spawnPairs(ctx context.Context, name string, c dataCase) (*child, error) {
	p, err := spawnStack(name)
	if err != nil {
		return nil, err
	}
	if err := connectPairs(ctx, p, c); err != nil {
		p.stop()
		return nil, err
	}
	return p, nil
}

// spawnStack starts the process alone: this binary, or Node.
func spawnStack(name string) (*child, error) {
	dir, ok := nodeStacks[name]
	if !ok {
		return spawn("pairs-"+name, unix.CPUSet{})
	}
	at, err := peerDir(dir)
	if err != nil {
		return nil, err
	}
	c := &child{name: name, cmd: exec.Command("node", "pairs.mjs")}
	c.cmd.Dir = at
	return c, c.start(unix.CPUSet{})
}

func connectPairs(ctx context.Context, p *child, c dataCase) error {
	q := url.Values{"n": {strconv.Itoa(c.conns)}, "channels": {strconv.Itoa(c.chans)}}
	if c.unordered {
		q.Set("unordered", "1")
	}
	return p.call(ctx, "/connect", q, nil)
}

func measureData(r *run, cases []string, peers []peer) error {
	for _, path := range cases {
		c, err := parseData(path)
		if err != nil {
			return err
		}
		if err := dataOne(r, path, c, peers); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// dataTurns are the rounds of one contender.
type dataTurns struct {
	name   string
	child  *child
	values []float64
	cpu    []float64
}

// also are the further figures: the CPU time, and how many rounds brought nothing.
func (t *dataTurns) also(name string) map[string]float64 {
	m := map[string]float64{}
	if len(t.cpu) > 0 {
		m[name] = percentile(t.cpu, 10)
	}
	if silent := len(t.values) - len(t.cpu); silent > 0 {
		m["silent_rounds"] = float64(silent)
	}
	return m
}

func dataOne(r *run, path string, c dataCase, peers []peer) (err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	turns := []*dataTurns{{name: "sluice"}}
	for _, p := range peers {
		turns = append(turns, &dataTurns{name: p.name})
	}
	for _, t := range turns {
		r.table.status("datachannel %s: connecting %s", path, t.name)
		if t.child, err = spawnPairs(ctx, t.name, c); err != nil {
			return err
		}
		defer t.child.stop()
	}
	rounds, stretch := 9, time.Second
	if r.quick {
		rounds, stretch = 3, 500*time.Millisecond
	}
	if err := dataProfiles(ctx, r, path, turns, "/profile/start"); err != nil {
		return err
	}
	for round := range rounds + 1 { // the first one warms up
		for k := range turns {
			t := turns[(k+round)%len(turns)]
			r.table.status("datachannel %s: round %d of %d, %s", path, round, rounds, t.name)
			value, cpu, err := dataTurn(ctx, t.child, c, stretch)
			if err != nil {
				return err
			}
			if round > 0 {
				t.values = append(t.values, value)
				if !math.IsNaN(cpu) {
					t.cpu = append(t.cpu, cpu)
				}
			}
		}
	}
	if err := dataProfiles(ctx, r, path, turns, "/profile/stop"); err != nil {
		return err
	}
	for i, p := range peers {
		row := Row{Scenario: "datachannel", Case: path, Unit: "MB/s", Better: higher, Peer: p.name, PeerVersion: p.version()}
		also := "cpu_s_per_gb"
		if c.rtt {
			row.Unit, row.Better, also = "us", lower, "cpu_us_per_trip"
		}
		row.Also, row.PeerAlso = turns[0].also(also), turns[i+1].also(also)
		row.compare(turns[0].values, turns[i+1].values)
		r.emit(row)
	}
	return nil
}

func dataProfiles(ctx context.Context, r *run, path string, turns []*dataTurns, call string) error {
	if r.profile == "" {
		return nil
	}
	for _, t := range turns {
		if err := r.profileChild(ctx, t.child, "datachannel", path, t.name, call); err != nil {
			return err
		}
	}
	return nil
}

// dataTurn returns us and us of CPU a round trip, or MB/s and CPU seconds per GB,
// which is NaN when nothing arrived: a sender may wait for its timer that long.
func dataTurn(ctx context.Context, p *child, c dataCase, d time.Duration) (value, cpu float64, err error) {
	q := url.Values{"size": {strconv.Itoa(c.size)}, "for": {d.String()}}
	if c.rtt {
		var res rttResult
		err := p.call(ctx, "/rtt", q, &res)
		return res.Micros, res.CPU, err
	}
	var res flowResult
	if err := p.call(ctx, "/flow", q, &res); err != nil || res.Bytes == 0 {
		return 0, math.NaN(), err
	}
	return float64(res.Bytes) / 1e6 / res.Seconds, res.CPU / (float64(res.Bytes) / 1e9), nil
}
