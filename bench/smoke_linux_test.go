package main

import (
	"net/url"
	"os"
	"testing"

	"github.com/sluicertc/sluice/bench/load"
)

// Every server starts, connects two viewers over real sockets and forwards to
// both. It takes wall time, so it runs only when asked for.
func TestFanoutServersForward(t *testing.T) {
	if os.Getenv("SLUICE_BENCH") != "1" {
		t.Skip("set SLUICE_BENCH=1 to run servers as processes, some 15 s")
	}
	ctx := t.Context()
	serverCPU, loadCPU := halves()
	clients, err := spawn("load", loadCPU)
	if err != nil {
		t.Fatal(err)
	}
	defer clients.stop()
	for _, name := range []string{"sluice", "pion", "pion-bare", "floor-gso", "floor-sendto"} {
		for _, kind := range []string{"video", "audio"} {
			server, err := spawn("serve-"+name, serverCPU)
			if err != nil {
				t.Fatal(err)
			}
			defer server.stop()
			query := url.Values{"group": {name + kind}, "url": {server.url}, "kind": {kind}, "n": {"2"}}
			if name == "floor-gso" || name == "floor-sendto" {
				query.Set("plain", "1")
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
