package main

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicertc/sluice/bpf"
)

func TestSchedstat(t *testing.T) {
	if r, w := schedstat("157788 143622875 3\n"); r != 157788 || w != 143622875 {
		t.Error(r, w)
	}
	for _, text := range []string{"", "1", "x 1 1", "1 x 1"} {
		if r, w := schedstat(text); r != 0 || w != 0 {
			t.Errorf("%q: %v, %v", text, r, w)
		}
	}
	if r, _ := scheduled(os.Getpid()); r <= 0 {
		t.Error("this process has not run")
	}
	if r, w := scheduled(0); r != 0 || w != 0 {
		t.Error("no process has")
	}
}

func TestFirstProcessors(t *testing.T) {
	var all unix.CPUSet
	for _, i := range []int{1, 4, 7} {
		all.Set(i)
	}
	first, last := firstCPUs(all, 2)
	if listCPUs(first) != "1,4" || listCPUs(last) != "7" {
		t.Error(listCPUs(first), listCPUs(last))
	}
	if first, last = firstCPUs(all, 9); first != all || listCPUs(last) != "7" {
		t.Error(listCPUs(first), listCPUs(last))
	}
}

// Shares are of what each socket read, and rows of what the rounds gave.
func TestShardRows(t *testing.T) {
	d := &duel{servers: []*shardServer{{cpus: 1}, {cpus: 2}, {cpus: 1}, {cpus: 2}}}
	for i, n := range []float64{1000, 1900, 100, 110} {
		for range 3 {
			d.servers[i].note(stretch{packets: n, offered: 2 * n, wall: 1, run: float64(d.servers[i].cpus)})
		}
	}
	if r := d.row("2"); r.Value != 1900 || r.PeerValue != 110 || r.Rounds != 3 || r.Also["busy_processors"] != 2 || r.Also["offered_pct"] != 200 {
		t.Errorf("%+v", r)
	}
	r := d.row("2over1")
	if r.Value != 1.9 || r.PeerValue != 1.1 || r.Ratio < 1.7 || r.Ratio > 1.75 || r.Case != "shards/2over1" {
		t.Errorf("%+v", r)
	}
}

// Each round delivers each flow's datagram, wherever it goes.
func TestSteerRoundsDeliver(t *testing.T) {
	for _, known := range []bool{true, false} {
		steered := known
		if steered && !needs(t, "bpf", reason(bpf.Supported())) {
			continue
		}
		g, err := newSteerGroup(2, steered)
		if err != nil {
			t.Fatal(err)
		}
		defer g.close()
		g.payload = steerCheck(1)
		if err := g.connect(known); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if n, err := g.round(); n != steerFlows || err != nil {
				t.Fatalf("%d, %v", n, err)
			}
		}
		most, all := g.busiest()
		if all != 2*steerFlows || steered && most != steerFlows {
			t.Errorf("busiest %d of %d", most, all)
		}
	}
}

// The request that is measured is one that names its socket.
func TestSteerCheckNamesItsSocket(t *testing.T) {
	if !needs(t, "bpf", reason(bpf.Supported())) {
		return
	}
	g, err := newSteerGroup(2, true)
	if err != nil {
		t.Fatal(err)
	}
	defer g.close()
	g.payload = steerCheck(1)
	if err := g.connect(false); err != nil {
		t.Fatal(err)
	}
	if _, err := g.round(); err != nil {
		t.Fatal(err)
	}
	if n := g.conns[1].Stats().Received; n != steerFlows {
		t.Errorf("%d of %d reached the socket", n, steerFlows)
	}
	if st, err := g.steering.Stats(); err != nil || st.Ufrag != steerFlows {
		t.Errorf("%+v, %v", st, err)
	}
}

func reason(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// Both stacks connect, carry and settle. It takes wall time, so it runs only
// when asked for.
func TestShardServersForward(t *testing.T) {
	needsProcesses(t)
	ctx := t.Context()
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil {
		t.Fatal(err)
	}
	_, last := firstCPUs(all, 1)
	clients, err := spawn("load", last)
	if err != nil {
		t.Fatal(err)
	}
	d := &duel{load: clients}
	defer d.stop()
	for _, name := range []string{"sluice", "pion-mux"} {
		proc, err := spawn("serve-"+name, all)
		if err != nil {
			t.Fatal(err)
		}
		s := &shardServer{name: name, cpus: all.Count(), proc: proc, times: 1}
		d.servers = append(d.servers, s)
		if err := d.join(ctx, s); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		st, err := d.turn(ctx, s, 200*time.Millisecond)
		if err != nil || st.packets <= 0 || st.offered <= 0 || st.wall <= 0 || st.run <= 0 || !(st.rate(s.cpus) > 0) {
			t.Errorf("%s: %+v, %v", name, st, err)
		}
	}
}
