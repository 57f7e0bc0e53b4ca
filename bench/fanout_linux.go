package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/sluicertc/sluice/bench/load"
)

func fanoutMissing() string { return "" }

// A contest is one case: servers that take turns, and their load.
type contest struct {
	path    string
	load    *child
	servers []*contestant
}

type contestant struct {
	name   string
	server *child
	idle   int64 // bytes resident before anybody connected
	cpu    []float64
	p50    []float64
	p99    []float64
	rss    int64
	result load.Result        // summed
	events map[string]float64 // the server's own counters, summed
}

func measureFanout(r *run, cases []string, peers []peer) error {
	for _, path := range cases {
		c, err := parseFanout(path)
		if err != nil {
			return err
		}
		if err := fanoutOne(r, path, c, peers); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

func fanoutOne(r *run, path string, c fanoutCase, peers []peer) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	t := &contest{path: path}
	defer t.stop()
	if err := t.start(ctx, r, c, peers); err != nil {
		return err
	}
	rounds, stretch := 9, 4*time.Second
	if r.quick {
		rounds, stretch = 3, 1200*time.Millisecond
	}
	// Viewers start at a key frame, caches and pools fill.
	for _, s := range t.servers {
		r.table.status("fanout %s: warming up %s", path, s.name)
		if err := t.turn(ctx, s, time.Second, true); err != nil {
			return err
		}
	}
	if r.profile != "" {
		for _, s := range t.servers {
			if err := s.server.call(ctx, "/profile/start", url.Values{"file": {absolute(r.profilePath("fanout", path, s.name))}}, nil); err != nil {
				return err
			}
		}
	}
	for round := range rounds {
		for k := range t.servers {
			s := t.servers[(k+round)%len(t.servers)]
			r.table.status("fanout %s: round %d of %d, %s", path, round+1, rounds, s.name)
			if err := t.turn(ctx, s, stretch, false); err != nil {
				return err
			}
		}
	}
	if r.profile != "" {
		for _, s := range t.servers {
			if err := s.server.call(ctx, "/profile/stop", nil, nil); err != nil {
				return err
			}
		}
	}
	for i, p := range peers {
		r.emit(fanoutRow(path, t.servers[0], t.servers[i+1], p, c.viewers))
	}
	return nil
}

func absolute(path string) string {
	if strings.HasPrefix(path, "/") {
		return path
	}
	dir, err := os.Getwd()
	if err != nil {
		return path
	}
	return dir + "/" + path
}

// start starts the processes and connects everybody.
func (t *contest) start(ctx context.Context, r *run, c fanoutCase, peers []peer) error {
	serverCPU, loadCPU := halves()
	var err error
	if t.load, err = spawn("load", loadCPU); err != nil {
		return err
	}
	names := []string{"sluice"}
	for _, p := range peers {
		names = append(names, p.name)
	}
	for _, name := range names {
		r.table.status("fanout %s: connecting %d viewers to %s", t.path, c.viewers, name)
		server, err := spawn("serve-"+name, serverCPU)
		if err != nil {
			return err
		}
		s := &contestant{name: name, server: server, events: map[string]float64{}}
		t.servers = append(t.servers, s)
		u, err := s.usage(ctx)
		if err != nil {
			return err
		}
		s.idle = u.RSS
		query := url.Values{"group": {name}, "url": {server.url}, "kind": {c.kind}, "n": {strconv.Itoa(c.viewers)}}
		if strings.HasPrefix(name, "floor-") {
			query.Set("plain", "1")
		}
		joining, cancel := context.WithTimeout(ctx, time.Minute)
		err = t.load.call(joining, "/join", query, nil)
		cancel()
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

func (s *contestant) usage(ctx context.Context) (u usage, err error) {
	return u, s.server.call(ctx, "/usage", nil, &u)
}

// turn publishes through one server and takes note, unless it is a warm-up.
func (t *contest) turn(ctx context.Context, s *contestant, d time.Duration, warmup bool) error {
	before, err := s.usage(ctx)
	if err != nil {
		return err
	}
	var res load.Result
	if err := t.load.call(ctx, "/measure", url.Values{"group": {s.name}, "for": {d.String()}}, &res); err != nil {
		return err
	}
	after, err := s.usage(ctx)
	if err != nil {
		return err
	}
	if res.Delivered == 0 || res.Silent > 0 {
		return fmt.Errorf("%s: %d viewers received nothing, %d of %d packets were delivered, %d were bad; counters: %v",
			s.name, res.Silent, res.Delivered, res.Expected, res.Bad, after.Counters)
	}
	if warmup {
		return nil
	}
	s.rss = after.RSS
	s.cpu = append(s.cpu, float64(after.CPU-before.CPU)/1e3/float64(res.Delivered))
	s.p50 = append(s.p50, res.P50)
	s.p99 = append(s.p99, res.P99)
	s.result.Sent += res.Sent
	s.result.Expected += res.Expected
	s.result.Delivered += res.Delivered
	s.result.Bad += res.Bad
	for name, n := range after.Counters {
		s.events[name] += n - before.Counters[name]
	}
	return nil
}

// also are the further figures of a contestant.
func (s *contestant) also(viewers int) map[string]float64 {
	m := map[string]float64{
		"loss_pct":           s.result.Loss(),
		"bad_packets":        float64(s.result.Bad),
		"latency_p50_us":     median(s.p50),
		"latency_p99_us":     median(s.p99),
		"rss_per_viewer_kib": float64(s.rss-s.idle) / 1024 / float64(viewers),
	}
	for name, n := range s.events {
		m[strings.ReplaceAll(name, " ", "_")+"_per_packet_in"] = n / float64(s.result.Sent)
	}
	return m
}

func fanoutRow(path string, ours, peer *contestant, p peer, viewers int) Row {
	row := Row{
		Scenario: "fanout", Case: path, Unit: "us CPU/packet", Better: lower, Peer: p.name, PeerVersion: p.version(),
		Also: ours.also(viewers), PeerAlso: peer.also(viewers),
	}
	row.compare(ours.cpu, peer.cpu)
	return row
}

// stop ends the load first: servers that lose their viewers all at once have
// nothing left to tell anybody.
func (t *contest) stop() {
	if t.load != nil {
		t.load.stop()
	}
	for _, s := range t.servers {
		s.server.stop()
	}
}
