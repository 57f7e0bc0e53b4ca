package main

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

func measureSteer(r *run, cases []string, peers []peer) error {
	var shards []string
	for _, path := range cases {
		c, err := parseSteer(path)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(peers, func(p peer) bool { return p.name == c.peer() })
		switch {
		case i < 0:
		case c.kind == "shards":
			shards = append(shards, c.what)
		default:
			r.table.status("steer %s", path)
			if err := steerKernel(r, path, c, peers[i]); err != nil {
				return fmt.Errorf("%s: %w", path, err)
			}
		}
	}
	if len(shards) == 0 {
		return nil
	}
	return measureShards(r, shards)
}

// A duel is the servers of the cases "shards": each stack with one processor
// and with two, and the load that all of them take in turns.
type duel struct {
	load    *child
	servers []*shardServer
}

// A shardServer is one stack on so many processors, with a data lane on each.
type shardServer struct {
	name  string // of the load's group
	cpus  int
	proc  *child
	times float64 // how fast its publishers' clocks run
	rates []float64
	total stretch // summed
}

const (
	shardsCalibrate = 400 * time.Millisecond
	shardsLead      = 250 * time.Millisecond
	// shardsRate is the packets a second that all viewers together are due, at
	// the publishers' natural speed: 30 frames of 9 packets, and 31 more every
	// three seconds.
	shardsRate = steerPublishers * steerViewers * (30*9 + 31/3.)
	// overload is how much more is offered than can be carried.
	overload = 1.3
)

func measureShards(r *run, cases []string) error {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil || all.Count() < 2 {
		for _, what := range cases {
			r.emit(Row{Scenario: "steer", Case: "shards/" + what, Peer: pionMux.name, Skipped: "needs two processors"})
		}
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	d := &duel{}
	defer d.stop()
	if err := d.start(ctx, r, all); err != nil {
		return err
	}
	rounds, length := 9, time.Second
	if r.quick {
		rounds, length = 3, 600*time.Millisecond
	}
	if err := d.profile(ctx, r, "/profile/start"); err != nil {
		return err
	}
	for round := range rounds {
		for k := range d.servers {
			s := d.servers[(k+round)%len(d.servers)]
			r.table.status("steer shards: round %d of %d, %s", round+1, rounds, s.name)
			st, err := d.turn(ctx, s, length)
			if err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			s.note(st)
		}
	}
	if err := d.profile(ctx, r, "/profile/stop"); err != nil {
		return err
	}
	for _, what := range cases {
		r.emit(d.row(what))
	}
	return nil
}

func (d *duel) profile(ctx context.Context, r *run, call string) error {
	for _, s := range d.servers {
		if r.profile == "" {
			break
		}
		if err := r.profileChild(ctx, s.proc, "steer", "shards/"+strconv.Itoa(s.cpus), s.name, call); err != nil {
			return err
		}
	}
	return nil
}

// firstCPUs are n of a set, from its beginning; the last one is the load's.
func firstCPUs(all unix.CPUSet, n int) (first, last unix.CPUSet) {
	for cpu, seen := 0, 0; seen < all.Count(); cpu++ {
		if !all.IsSet(cpu) {
			continue
		}
		if seen++; seen <= n {
			first.Set(cpu)
		}
		if seen == all.Count() {
			last.Set(cpu)
		}
	}
	return first, last
}

func (d *duel) start(ctx context.Context, r *run, all unix.CPUSet) (err error) {
	_, last := firstCPUs(all, 1)
	if d.load, err = spawn("load", last); err != nil {
		return err
	}
	for _, name := range []string{"sluice", "pion-mux"} {
		for n := 1; n <= 2; n++ {
			s := &shardServer{name: fmt.Sprintf("%s on %d", name, n), cpus: n, times: 1}
			r.table.status("steer shards: connecting to %s", s.name)
			cpus, _ := firstCPUs(all, n)
			if s.proc, err = spawn("serve-"+name, cpus); err != nil {
				return err
			}
			d.servers = append(d.servers, s)
			if err := d.join(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
			if err := d.calibrate(ctx, s); err != nil {
				return fmt.Errorf("%s: %w", s.name, err)
			}
		}
	}
	return nil
}

func (d *duel) join(ctx context.Context, s *shardServer) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	query := url.Values{"group": {s.name}, "url": {s.proc.url}, "kind": {"video"}, "n": {strconv.Itoa(steerViewers)}, "sink": {"1"}}
	for range steerPublishers {
		if err := d.load.call(ctx, "/join", query, nil); err != nil {
			return err
		}
	}
	return nil
}

// calibrate finds the load that is somewhat more than s can carry: what is
// dropped on its way in costs time as well. A loaded server needs less time
// for a packet than an idle one, so it takes some steps.
func (d *duel) calibrate(ctx context.Context, s *shardServer) error {
	for range 4 {
		st, err := d.turn(ctx, s, shardsCalibrate)
		if err != nil {
			return err
		}
		s.times = min(overload*st.packets/st.run*float64(s.cpus)/shardsRate, 3*s.times)
	}
	return nil
}

// turn shows s its load.
func (d *duel) turn(ctx context.Context, s *shardServer, length time.Duration) (st stretch, err error) {
	group := url.Values{"group": {s.name}}
	query := url.Values{"group": {s.name}, "times": {fmt.Sprint(s.times)}}
	if err := d.load.call(ctx, "/flood", query, nil); err != nil {
		return st, err
	}
	if err := wait(ctx, shardsLead); err != nil {
		return st, err
	}
	before, err := d.sample(ctx, s, group)
	var after sample
	// Longer where other processes leave the server little time.
	for waited := time.Duration(0); err == nil && waited < 5*length && after.run-before.run < length/2; waited += length {
		if err = wait(ctx, length); err == nil {
			after, err = d.sample(ctx, s, group)
		}
	}
	if err == nil {
		err = d.load.call(ctx, "/stop", group, nil)
	}
	if err == nil {
		_, err = settled(ctx, d.load, group)
	}
	st = stretch{
		packets: float64(after.Arrived - before.Arrived), offered: float64(after.Sent-before.Sent) * steerViewers,
		wall: after.at.Sub(before.at).Seconds(), run: (after.run - before.run).Seconds(), wait: (after.wait - before.wait).Seconds(),
	}
	if err == nil && (st.packets == 0 || st.run <= 0) {
		err = fmt.Errorf("%v of %v packets arrived, %v s of work", st.packets, st.offered, st.run)
	}
	return st, err
}

type sample struct {
	sunk
	at        time.Time
	run, wait time.Duration
}

func (d *duel) sample(ctx context.Context, s *shardServer, group url.Values) (p sample, err error) {
	err = d.load.call(ctx, "/sunk", group, &p.sunk)
	p.at = time.Now()
	p.run, p.wait = scheduled(s.proc.cmd.Process.Pid)
	return p, err
}

// settled waits until what a server has in store has left it, and tells what
// has arrived by then.
func settled(ctx context.Context, load *child, group url.Values) (now sunk, err error) {
	var last sunk
	for range 100 {
		if err := wait(ctx, 50*time.Millisecond); err != nil {
			return now, err
		}
		if err := load.call(ctx, "/sunk", group, &now); err != nil {
			return now, err
		}
		if now.Arrived == last.Arrived {
			return now, nil
		}
		last = now
	}
	return now, errors.New("still sends, 5 s after its publishers have stopped")
}

func (s *shardServer) note(st stretch) {
	s.rates = append(s.rates, st.rate(s.cpus))
	s.total.packets += st.packets
	s.total.offered += st.offered
	s.total.wall += st.wall
	s.total.run += st.run
	s.total.wait += st.wait
}

func (s *shardServer) also(suffix string) map[string]float64 {
	t := s.total
	return map[string]float64{
		"wall_packets_per_s" + suffix: t.packets / t.wall,
		"busy_processors" + suffix:    t.busy(s.cpus),
		"cpu_us_per_packet" + suffix:  1e6 * t.run / t.packets,
		"offered_pct" + suffix:        100 * t.offered / t.packets,
	}
}

// row is of the case "shards/"+what: packets a second, or two shards' over
// one's.
func (d *duel) row(what string) Row {
	row := Row{Scenario: "steer", Case: "shards/" + what, Better: higher, Peer: pionMux.name, PeerVersion: pionMux.version()}
	ours, theirs := d.servers[:2], d.servers[2:]
	if what == "2over1" {
		row.Unit = "times one's packets/s"
		row.compare(ratios(ours[1].rates, ours[0].rates, higher), ratios(theirs[1].rates, theirs[0].rates, higher))
		row.Also = map[string]float64{"median_times": median(ratios(ours[1].rates, ours[0].rates, higher))}
		row.PeerAlso = map[string]float64{"median_times": median(ratios(theirs[1].rates, theirs[0].rates, higher))}
		return row
	}
	i := 0
	if what == "2" {
		i = 1
	}
	row.Unit = "packets/s"
	row.Also, row.PeerAlso = ours[i].also(""), theirs[i].also("")
	row.compare(ours[i].rates, theirs[i].rates)
	return row
}

func (d *duel) stop() {
	if d.load != nil {
		d.load.stop()
	}
	for _, s := range d.servers {
		s.proc.stop()
	}
}

// scheduled sums up over the threads of a process how long they ran, and how
// long they waited for a processor to be free.
func scheduled(pid int) (run, wait time.Duration) {
	dir := fmt.Sprintf("/proc/%d/task", pid)
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return 0, 0
	}
	for _, t := range tasks {
		b, err := os.ReadFile(dir + "/" + t.Name() + "/schedstat")
		if err == nil { // else it has ended
			r, w := schedstat(string(b))
			run += r
			wait += w
		}
	}
	return run, wait
}

// schedstat reads /proc/PID/schedstat, of the kernel's
// Documentation/scheduler/sched-stats.rst.
func schedstat(text string) (run, wait time.Duration) {
	f := strings.Fields(text)
	if len(f) < 2 {
		return 0, 0
	}
	r, err1 := strconv.ParseInt(f[0], 10, 64)
	w, err2 := strconv.ParseInt(f[1], 10, 64)
	if err1 != nil || err2 != nil {
		return 0, 0
	}
	return time.Duration(r), time.Duration(w)
}
