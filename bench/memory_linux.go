package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

func measureMemory(r *run, cases []string, peers []peer) error {
	for _, path := range cases {
		var able []peer
		for _, p := range peers {
			if why := memoryCannot(path, p.name); why != "" {
				r.emit(Row{Scenario: "memory", Case: path, Peer: p.name, Skipped: why})
				continue
			}
			able = append(able, p)
		}
		if len(able) == 0 {
			continue
		}
		measure := memoryPairsCase
		if path == "viewer" {
			measure = memoryViewerCase
		}
		if err := measure(r, path, able); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// weights are what each connection or viewer added to a process, round by
// round.
type weights struct {
	value []float64
	more  map[string][]float64
}

func (w *weights) add(name string, v float64) {
	if w.more == nil {
		w.more = map[string][]float64{}
	}
	w.more[name] = append(w.more[name], v)
}

func (w *weights) also() map[string]float64 {
	m := map[string]float64{}
	for name, list := range w.more {
		m[name] = median(list)
	}
	return m
}

// memoryRows weighs all contenders in turns and emits the rows.
func memoryRows(r *run, path, unit string, rounds int, peers []peer, weigh func(name string, w *weights) error) error {
	names := []string{"sluice"}
	for _, p := range peers {
		names = append(names, p.name)
	}
	all := make([]weights, len(names))
	for round := range rounds {
		for i, name := range names {
			r.table.status("memory %s: round %d of %d, %s", path, round+1, rounds, name)
			if err := weigh(name, &all[i]); err != nil {
				return fmt.Errorf("%s: %w", name, err)
			}
		}
	}
	for i, p := range peers {
		row := Row{
			Scenario: "memory", Case: path, Unit: unit, Better: lower, Peer: p.name, PeerVersion: p.version(),
			Also: all[0].also(), PeerAlso: all[i+1].also(),
		}
		row.compare(all[0].value, all[i+1].value)
		r.emit(row)
	}
	return nil
}

// memoryPairsCase compares a process with one pair to the same with many more.
func memoryPairsCase(r *run, path string, peers []peer) error {
	rounds, rest := 5, 10*time.Second
	if r.quick {
		rounds, rest = 1, 5*time.Second
	}
	return memoryRows(r, path, "bytes/connection", rounds, peers, func(name string, w *weights) error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		p, err := spawn("memory-"+name, unix.CPUSet{})
		if err != nil {
			return err
		}
		defer p.stop()
		if err := r.profileChild(ctx, p, "memory", path, name, "/profile/start"); err != nil {
			return err
		}
		var before, after census
		if err := p.call(ctx, "/connect", url.Values{"n": {"1"}}, nil); err != nil {
			return err
		}
		if err := p.call(ctx, "/census", nil, &before); err != nil {
			return err
		}
		if err := p.call(ctx, "/connect", url.Values{"n": {strconv.Itoa(memoryConns / 2)}}, nil); err != nil {
			return err
		}
		if err := wait(ctx, 3*time.Second); err != nil { // what serves only the beginning goes away
			return err
		}
		if path == "active" {
			err = p.call(ctx, "/talk", url.Values{"for": {"3s"}}, &after)
		} else if err = p.call(ctx, "/census", nil, &after); err == nil {
			var micros float64
			err = p.call(ctx, "/rest", url.Values{"for": {rest.String()}}, &micros)
			w.add("cpu_us_per_s", micros/(memoryConns+2))
		}
		if err != nil {
			return err
		}
		w.value = append(w.value, float64(after.Heap+after.Stack-before.Heap-before.Stack)/memoryConns)
		w.add("rss_kib", float64(after.RSS-before.RSS)/1024/memoryConns)
		w.add("goroutines", float64(after.Goroutines-before.Goroutines)/memoryConns)
		w.add("descriptors", float64(after.FDs-before.FDs)/memoryConns)
		if err := r.profileChild(ctx, p, "memory", path, name, "/profile/stop"); err != nil {
			return err
		}
		return nil
	})
}

func wait(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// memoryViewerCase compares a server with one viewer, who has been served, to
// the same with a publisher and many viewers more, while it serves them.
func memoryViewerCase(r *run, path string, peers []peer) error {
	rounds := 3
	if r.quick {
		rounds = 1
	}
	able, args := fanoutReady(r, "memory", path, fanoutCase{}, peers)
	if len(able) == 0 {
		return nil
	}
	return memoryRows(r, path, "KiB/viewer", rounds, able, func(name string, w *weights) error {
		ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
		defer cancel()
		t := &contest{path: path, args: args, fanoutCase: fanoutCase{kind: "video", publishers: 1, viewers: 1}}
		defer t.stop()
		s, err := t.open(ctx, name)
		if err != nil {
			return err
		}
		before, err := t.serve(ctx, s)
		if err != nil {
			return err
		}
		t.viewers = memoryViewers
		if err := t.join(ctx, s, 1); err != nil {
			return err
		}
		after, err := t.serve(ctx, s)
		if err != nil {
			return err
		}
		w.value = append(w.value, float64(after.RSS-before.RSS)/1024/memoryViewers)
		w.add("threads", float64(after.Threads-before.Threads)/memoryViewers)
		w.add("descriptors", float64(after.FDs-before.FDs)/memoryViewers)
		if after.Routines > 0 {
			w.add("goroutines", float64(after.Routines-before.Routines)/memoryViewers)
		}
		return nil
	})
}

// served is how long viewers are served before a server is weighed: its cache
// for retransmissions is full by then.
const served = 4 * time.Second

// serve publishes for a while and says what the server has then.
func (t *contest) serve(ctx context.Context, s *contestant) (usage, error) {
	if err := t.turn(ctx, s, served, true); err != nil {
		return usage{}, err
	}
	return s.usage(ctx)
}
