package main

import (
	"context"
	"fmt"
	"net/url"
	"strconv"
	"time"

	"golang.org/x/sys/unix"
)

// connectors are the processes of a case: an answering contender's and, where
// it answers Pion, that of all clients.
type connectors struct {
	connectCase
	names  []string
	ends   []*child
	client *child // nil: each contender is its own
}

func startConnectors(c connectCase, names []string) (*connectors, error) {
	t := &connectors{connectCase: c, names: names}
	var cpus, clientCPU unix.CPUSet
	if c.server {
		cpus, clientCPU = halves()
		var err error
		if t.client, err = spawn("connect-pion", clientCPU); err != nil {
			return nil, err
		}
	}
	for _, name := range names {
		if name == "sluice" && c.sped {
			name = "sped"
		}
		p, err := spawn("connect-"+name, cpus)
		if err != nil {
			t.stop()
			return nil, err
		}
		t.ends = append(t.ends, p)
	}
	return t, nil
}

func (t *connectors) stop() {
	if t.client != nil {
		t.client.stop()
	}
	for _, p := range t.ends {
		p.stop()
	}
}

// turn makes n connections with contender k. CPU is that of both ends, or of
// the server.
func (t *connectors) turn(ctx context.Context, k, n int) (res connectResult, err error) {
	end := t.ends[k]
	query := url.Values{"n": {strconv.Itoa(n)}, "rtt": {(time.Duration(t.rtt) * time.Millisecond).String()}, "channel": {strconv.FormatBool(t.channel)}}
	if t.client == nil {
		return res, end.call(ctx, "/connect", query, &res)
	}
	query.Set("url", end.url)
	var before, after usage
	if err := end.call(ctx, "/usage", nil, &before); err != nil {
		return res, err
	}
	if err := t.client.call(ctx, "/connect", query, &res); err != nil {
		return res, err
	}
	if err := end.call(ctx, "/drop", nil, nil); err != nil {
		return res, err
	}
	if err := end.call(ctx, "/usage", nil, &after); err != nil {
		return res, err
	}
	res.CPU = float64(after.CPU-before.CPU) / 1e3 / float64(n)
	return res, nil
}

// value is the figure of a turn.
func (c connectCase) value(res connectResult) float64 {
	switch wall := median(res.Walls); c.measure {
	case "cpu":
		return res.CPU
	case "wall":
		return wall
	default:
		return wall / float64(c.rtt)
	}
}

func measureConnect(r *run, cases []string, peers []peer) error {
	for _, path := range cases {
		c, err := parseConnect(path)
		if err != nil {
			return err
		}
		if err := connectOne(r, path, c, peers); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func connectOne(r *run, path string, c connectCase, peers []peer) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	names := []string{"sluice"}
	for _, p := range peers {
		names = append(names, p.name)
	}
	t, err := startConnectors(c, names)
	if err != nil {
		return err
	}
	defer t.stop()
	rounds, each := 15, 20
	if c.rtt > 0 {
		rounds, each = 5, 2
	}
	if r.quick {
		rounds, each = min(rounds, 5), each/2
	}
	profile := func(call string) error {
		for i, p := range t.ends {
			if err := r.profileChild(ctx, p, "connect", path, names[i], call); err != nil {
				return err
			}
		}
		return nil
	}
	if err := profile("/profile/start"); err != nil {
		return err
	}
	values := make([][]float64, len(names))
	for round := range rounds + 1 { // the first one warms up
		for i := range names {
			k := (i + round) % len(names)
			r.table.status("connect %s: round %d of %d, %s", path, round, rounds, names[k])
			res, err := t.turn(ctx, k, each)
			if err != nil {
				return fmt.Errorf("%s: %w", names[k], err)
			}
			if round > 0 {
				values[k] = append(values[k], c.value(res))
			}
		}
	}
	if err := profile("/profile/stop"); err != nil {
		return err
	}
	for i, p := range peers {
		row := Row{Scenario: "connect", Case: path, Unit: c.unit(), Better: lower, Peer: p.name, PeerVersion: p.version()}
		row.compare(values[0], values[i+1])
		r.emit(row)
	}
	return nil
}
