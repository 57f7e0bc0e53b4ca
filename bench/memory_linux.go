package main

import (
	"context"
	"errors"
	"fmt"
	"time"
)

func measureMemory(r *run, cases []string, peers []peer) error {
	for _, path := range cases {
		if path == "viewer" {
			for _, p := range peers {
				r.emit(Row{Scenario: "memory", Case: path, Peer: p.name, Skipped: "the scenario fanout reports it: rss_per_viewer_kib"})
			}
			continue
		}
		rounds := 5
		if r.quick {
			rounds = 1
		}
		ours, err := memoryRounds(r, "sluice", rounds)
		if err != nil {
			return err
		}
		for _, p := range peers {
			theirs, err := memoryRounds(r, p.name, rounds)
			if err != nil {
				return err
			}
			row := Row{
				Scenario: "memory", Case: path, Unit: "bytes/connection", Better: lower, Peer: p.name, PeerVersion: p.version(),
				Also: ours.also(), PeerAlso: theirs.also(),
			}
			row.compare(ours.live, theirs.live)
			r.emit(row)
		}
	}
	return nil
}

// memory is what each connection added to a process, round by round.
type memory struct {
	live []float64 // bytes of heap and stacks
	rss  []float64
	goes []float64
	fds  []float64
}

func (m *memory) also() map[string]float64 {
	return map[string]float64{"rss_kib": median(m.rss) / 1024, "goroutines": median(m.goes), "descriptors": median(m.fds)}
}

func memoryRounds(r *run, name string, rounds int) (*memory, error) {
	m := &memory{}
	for round := range rounds {
		r.table.status("memory: round %d of %d, %s", round+1, rounds, name)
		if err := m.measure(name); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	return m, nil
}

// measure compares a process with one pair to the same with many more.
func (m *memory) measure(name string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	p, err := spawnPairs(ctx, name, dataCase{conns: 1, chans: 1})
	if err != nil {
		return err
	}
	defer p.stop()
	var before, after census
	if err := p.call(ctx, "/census", nil, &before); err != nil {
		return err
	}
	if err := connectPairs(ctx, p, dataCase{conns: memoryConns / 2, chans: 1}); err != nil {
		return err
	}
	select {
	case <-time.After(3 * time.Second): // what serves only the beginning goes away
	case <-ctx.Done():
		return errors.New("no time left")
	}
	if err := p.call(ctx, "/census", nil, &after); err != nil {
		return err
	}
	m.live = append(m.live, float64(after.Heap+after.Stack-before.Heap-before.Stack)/memoryConns)
	m.rss = append(m.rss, float64(after.RSS-before.RSS)/memoryConns)
	m.goes = append(m.goes, float64(after.Goroutines-before.Goroutines)/memoryConns)
	m.fds = append(m.fds, float64(after.FDs-before.FDs)/memoryConns)
	return nil
}
