package main

import (
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicertc/sluice/bench/load"
)

// Every server starts, connects two viewers over real sockets and forwards to
// both. It takes wall time, so it runs only when asked for.
func TestFanoutServersForward(t *testing.T) {
	needsProcesses(t)
	ctx := t.Context()
	serverCPU, loadCPU := halves()
	clients, err := spawn("load", loadCPU)
	if err != nil {
		t.Fatal(err)
	}
	defer clients.stop()
	for _, name := range []string{"sluice", "pion", "pion-bare", "floor-gso", "floor-sendto", "livekit", "janus"} {
		args, addr := smokeArgs(t, name, serverCPU)
		if args == nil {
			continue
		}
		for _, kind := range []string{"video", "audio", "video-cm80"} {
			floor := name == "floor-gso" || name == "floor-sendto"
			if floor && kind == "video-cm80" {
				continue
			}
			server, err := spawn("serve-"+name, serverCPU, args...)
			if err != nil {
				t.Fatal(err)
			}
			defer server.stop()
			query := url.Values{"group": {name + kind}, "url": {server.url}, "kind": {strings.TrimSuffix(kind, "-cm80")}, "n": {"2"}, "addr": {addr}}
			if floor {
				query.Set("plain", "1")
			}
			if kind == "video-cm80" {
				query.Set("cm80", "1")
			}
			if err := clients.call(ctx, "/join", query, nil); err != nil {
				t.Fatalf("%s %s: %v", name, kind, err)
			}
			var res load.Result
			for range 2 { // the first stretch ends the wait for a key frame
				if err := clients.call(ctx, "/measure", url.Values{"group": {name + kind}, "for": {"300ms"}}, &res); err != nil {
					t.Fatalf("%s %s: %v", name, kind, err)
				}
			}
			if res.Delivered == 0 || res.Silent > 0 || res.Bad > 0 || res.Expected != 2*res.Sent || res.Delivered > res.Expected {
				t.Errorf("%s %s: %+v", name, kind, res)
			}
		}
	}
}

// smokeArgs are the arguments of an adapter and the address of its clients;
// none if the program is not here, which SLUICE_INTEROP=1 does not allow.
func smokeArgs(t *testing.T, name string, cpus unix.CPUSet) (args []string, addr string) {
	if adapters["serve-"+name] == nil {
		return []string{}, ""
	}
	i := slices.IndexFunc(fanoutScenario().peers, func(p peer) bool { return p.name == name })
	why := fanoutScenario().peers[i].whyNot()
	if why == "" {
		var err error
		quiet := &run{quick: true, table: &table{}}
		if args, err = adapterArgs(quiet, name, cpus); err == nil {
			return args, clientAddr(name)
		}
		t.Logf("%s: %v", name, err)
		return nil, "" // building takes minutes: nobody asked for that
	}
	needs(t, name, why)
	return nil, ""
}

// Viewers who only count receive what a busy publisher sends.
func TestFanoutBusyIsCounted(t *testing.T) {
	needsProcesses(t)
	c := &contest{path: "video-busy/1x2", fanoutCase: fanoutCase{kind: "video", publishers: 1, viewers: 2, busy: true}}
	defer c.stop()
	s, err := c.open(t.Context(), "sluice")
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := c.turn(t.Context(), s, 300*time.Millisecond, false); err != nil {
			t.Fatal(err)
		}
	}
	if r := s.result; r.Sent < 1000 || r.Delivered == 0 || r.Expected < r.Delivered || len(s.cpu) != 2 || s.cpu[0] <= 0 {
		t.Errorf("%+v, %v us", r, s.cpu)
	}
}
