package main

import (
	"context"
	"fmt"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicertc/sluice/bench/load"
)

func fanoutMissing() string { return "" }

// A contest is one case: servers that take turns, and their load.
type contest struct {
	fanoutCase
	path    string
	args    map[string][]string // of the adapters, by name
	load    *child
	servers []*contestant
}

type contestant struct {
	name   string
	server *child
	idle   int64 // bytes resident before anybody connected
	failed error // why it is out
	cpu    []float64
	rate   []float64 // packets delivered per second
	p50    []float64
	p99    []float64
	stall  []float64
	rss    int64
	result load.Result        // summed
	woken  int64              // wake-ups of its threads, summed
	events map[string]float64 // the server's own counters, summed
}

func measureFanout(r *run, cases []string, peers []peer) error {
	for _, path := range cases {
		c, err := parseFanout(path)
		if err != nil {
			return err
		}
		able, args := fanoutReady(r, "fanout", path, c, peers)
		if len(able) == 0 {
			continue
		}
		if err := fanoutOne(r, path, c, able, args); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// fanoutReady gives a row to the peers that have no part in the case, and
// returns the others with the arguments of their adapters.
func fanoutReady(r *run, scenario, path string, c fanoutCase, peers []peer) (able []peer, args map[string][]string) {
	args = map[string][]string{}
	serverCPU, _ := halves()
	for _, p := range peers {
		why := fanoutCannot(c, p.name)
		if why == "" && adapters["serve-"+p.name] != nil {
			var err error
			if args[p.name], err = adapterArgs(r, p.name, serverCPU); err != nil {
				why = err.Error()
			}
		}
		if why != "" {
			r.emit(Row{Scenario: scenario, Case: path, Peer: p.name, Skipped: why})
			continue
		}
		able = append(able, p)
	}
	return able, args
}

// adapterArgs are those of the adapter of a peer, whose program is built if it
// has to be. A quick run does so only when told.
func adapterArgs(r *run, name string, cpus unix.CPUSet) ([]string, error) {
	args := []string{listCPUs(cpus)}
	if name == livekitPeer.name {
		binary, err := buildLivekit(context.Background(), !r.quick || r.asked, r.table.status)
		if err != nil {
			return nil, err
		}
		args = append(args, binary)
	}
	return args, nil
}

func fanoutOne(r *run, path string, c fanoutCase, peers []peer, args map[string][]string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	t := &contest{path: path, fanoutCase: c, args: args}
	defer t.stop()
	rounds, stretch := 5, 3*time.Second // a key frame each
	if r.quick {
		rounds, stretch = 3, 1200*time.Millisecond
	}
	peers, err := t.start(ctx, r, peers)
	if err != nil || len(peers) == 0 {
		return err
	}
	if err := t.profile(ctx, r, "/profile/start"); err != nil {
		return err
	}
	for round := range rounds {
		for k := range t.servers {
			s := t.servers[(k+round)%len(t.servers)]
			if s.failed != nil {
				continue
			}
			r.table.status("fanout %s: round %d of %d, %s", path, round+1, rounds, s.name)
			if s.failed = t.turn(ctx, s, stretch, false); s.failed != nil && (s == t.servers[0] || ctx.Err() != nil) {
				return s.failed
			}
		}
	}
	if err := t.profile(ctx, r, "/profile/stop"); err != nil {
		return err
	}
	for i, p := range peers {
		if s := t.servers[i+1]; s.failed != nil {
			r.emit(Row{Scenario: "fanout", Case: path, Peer: p.name, Skipped: "failed: " + s.failed.Error()})
		} else {
			r.emit(fanoutRow(path, t.servers[0], s, p, c))
		}
	}
	return nil
}

// profile starts or stops the profiles that are wanted. An adapter cannot
// profile what it started.
func (t *contest) profile(ctx context.Context, r *run, call string) error {
	for _, s := range t.servers {
		if r.profile == "" || t.args[s.name] != nil {
			continue
		}
		if err := r.profileChild(ctx, s.server, "fanout", t.path, s.name, call); err != nil {
			return err
		}
	}
	return nil
}

// start starts the processes, connects everybody, and lets each server forward
// uncounted: viewers start at a key frame, caches and pools fill. A peer that
// does not get so far is out, and its row tells why.
func (t *contest) start(ctx context.Context, r *run, peers []peer) (able []peer, err error) {
	ready := func(name string) error {
		r.table.status("fanout %s: connecting %d viewers to %s", t.path, t.all(), name)
		s, err := t.open(ctx, name)
		if err != nil {
			return err
		}
		r.table.status("fanout %s: warming up %s", t.path, name)
		return t.turn(ctx, s, time.Second, true)
	}
	if err := ready("sluice"); err != nil {
		return nil, fmt.Errorf("sluice: %w", err)
	}
	for _, p := range peers {
		n := len(t.servers)
		if err := ready(p.name); err != nil {
			if ctx.Err() != nil {
				return nil, err
			}
			for _, s := range t.servers[n:] {
				s.server.stop()
			}
			t.servers = t.servers[:n]
			r.emit(Row{Scenario: "fanout", Case: t.path, Peer: p.name, Skipped: "failed: " + err.Error()})
			continue
		}
		able = append(able, p)
	}
	return able, nil
}

// open starts a server and connects its clients, and before the first one
// starts the load.
func (t *contest) open(ctx context.Context, name string) (s *contestant, err error) {
	serverCPU, loadCPU := halves()
	if t.load == nil {
		if t.load, err = spawn("load", loadCPU); err != nil {
			return nil, err
		}
	}
	// An adapter is no part of the server; it shares the load's processors.
	cpus := serverCPU
	if t.args[name] != nil {
		cpus = loadCPU
	}
	server, err := spawn("serve-"+name, cpus, t.args[name]...)
	if err != nil {
		return nil, err
	}
	s = &contestant{name: name, server: server, events: map[string]float64{}}
	t.servers = append(t.servers, s)
	u, err := s.usage(ctx)
	if err != nil {
		return nil, err
	}
	s.idle = u.RSS
	return s, t.join(ctx, s, t.publishers)
}

// join connects publishers, each with its viewers.
func (t *contest) join(ctx context.Context, s *contestant, publishers int) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	query := url.Values{"group": {s.name}, "url": {s.server.url}, "kind": {t.kind}, "n": {strconv.Itoa(t.viewers)}}
	if strings.HasPrefix(s.name, "floor-") {
		query.Set("plain", "1")
	}
	for name, on := range map[string]bool{"nack": t.loss > 0, "cm80": t.cm80, "busy": t.busy, "paced": t.paced, "sink": t.busy} {
		if on {
			query.Set(name, "1")
		}
	}
	query.Set("addr", clientAddr(s.name))
	for range publishers {
		if err := t.load.call(ctx, "/join", query, nil); err != nil {
			return err
		}
	}
	return nil
}

// clientAddr is where the clients of a server are; empty: the loopback network.
// libnice pairs that network with none of the addresses that it gathers.
func clientAddr(name string) string {
	if name != janusPeer.name {
		return ""
	}
	own, err := ownAddress() // without one the peer would not be here
	if err != nil {
		return ""
	}
	return own.String()
}

func (s *contestant) usage(ctx context.Context) (u usage, err error) {
	return u, s.server.call(ctx, "/usage", nil, &u)
}

// lead is how long is published before a stretch: some servers take note of a
// publisher that was silent, and forward again only when they trust it.
const lead = 500 * time.Millisecond

// turn publishes through one server and takes note, unless it is a warm-up.
func (t *contest) turn(ctx context.Context, s *contestant, d time.Duration, warmup bool) error {
	if err := t.load.call(ctx, "/start", url.Values{"group": {s.name}}, nil); err != nil {
		return err
	}
	if err := wait(ctx, lead); err != nil {
		return err
	}
	before, err := s.usage(ctx)
	if err != nil {
		return err
	}
	res, err := t.stretch(ctx, s, d, warmup)
	if err != nil {
		return err
	}
	after, err := s.usage(ctx)
	if err != nil {
		return err
	}
	// Later, under a load that is too much, a viewer may be out of luck.
	if res.Delivered == 0 || warmup && res.Silent > 0 {
		return fmt.Errorf("%s: %d viewers received nothing, %d of %d packets were delivered, %d were bad; counters: %v",
			s.name, res.Silent, res.Delivered, res.Expected, res.Bad, after.Counters)
	}
	if warmup {
		return nil
	}
	s.rss = after.RSS
	s.rate = append(s.rate, float64(res.Delivered)/d.Seconds())
	s.cpu = append(s.cpu, float64(after.CPU-before.CPU)/1e3/float64(res.Delivered+res.Late))
	s.p50 = append(s.p50, res.P50)
	s.p99 = append(s.p99, res.P99)
	s.stall = append(s.stall, res.Stall)
	s.result.Sent += res.Sent
	s.result.Expected += res.Expected
	s.result.Delivered += res.Delivered
	s.result.Bad += res.Bad
	s.result.Dropped += res.Dropped
	s.result.Repaired += res.Repaired
	s.result.Silent = max(s.result.Silent, res.Silent)
	s.woken += after.Wakeups - before.Wakeups
	for name, n := range after.Counters {
		s.events[name] += n - before.Counters[name]
	}
	return nil
}

// stretch lets the publishers of s publish for d, and counts.
func (t *contest) stretch(ctx context.Context, s *contestant, d time.Duration, warmup bool) (res load.Result, err error) {
	query := url.Values{"group": {s.name}, "for": {d.String()}}
	if !t.busy {
		if !warmup {
			query.Set("loss", fmt.Sprint(t.loss))
		}
		return res, t.load.call(ctx, "/measure", query, &res)
	}
	// Their kernel counts what arrives; nobody could read as much.
	var before, after sunk
	if err := t.load.call(ctx, "/sunk", query, &before); err != nil {
		return res, err
	}
	if err := wait(ctx, d); err != nil {
		return res, err
	}
	if err := t.load.call(ctx, "/stop", query, nil); err != nil {
		return res, err
	}
	after, err = settled(ctx, t.load, query)
	res.Sent, res.Delivered = after.Sent-before.Sent, after.Arrived-before.Arrived
	// Of what was on its way at the beginning no account is taken.
	res.Expected = max(res.Sent*uint64(t.viewers), res.Delivered)
	return res, err
}

// also are the further figures of a contestant.
func (s *contestant) also(c fanoutCase) map[string]float64 {
	m := map[string]float64{
		"loss_pct":           s.result.Loss(),
		"rss_per_viewer_kib": float64(s.rss-s.idle) / 1024 / float64(c.all()),
	}
	if c.busy {
		m["delivered_per_s"] = median(s.rate)
	} else {
		m["bad_packets"] = float64(s.result.Bad)
		m["latency_p50_us"] = median(s.p50)
		m["latency_p99_us"] = median(s.p99)
		m["load_stall_us"] = median(s.stall)
	}
	if s.result.Silent > 0 {
		m["silent_viewers"] = float64(s.result.Silent)
	}
	if missing := s.result.Expected - s.result.Delivered + s.result.Repaired; s.result.Dropped > 0 && missing > 0 {
		m["repaired_pct"] = 100 * float64(s.result.Repaired) / float64(missing)
	}
	maps.Copy(m, budget(s.events, s.woken, s.result.Delivered))
	return m
}

func fanoutRow(path string, ours, peer *contestant, p peer, c fanoutCase) Row {
	row := Row{
		Scenario: "fanout", Case: path, Unit: "us CPU/packet", Better: lower, Peer: p.name, PeerVersion: p.version(),
		Also: ours.also(c), PeerAlso: peer.also(c),
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
