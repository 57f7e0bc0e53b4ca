package main

import (
	"net"
	"runtime"
	"testing"
)

func TestSocketCases(t *testing.T) {
	for path, want := range map[string]socketCase{
		"tx/burst8/64dst":            {send: true, burst: 8},
		"tx/burst32/64dst/nooffload": {send: true, burst: 32, plain: true},
		"rx/burst1":                  {burst: 1},
		"rx/burst16/merged":          {burst: 16, merged: true},
		vethCase:                     {send: true, burst: 1, veth: true},
	} {
		if got, err := parseSocket(path); err != nil || got != want {
			t.Errorf("%s: %+v, %v", path, got, err)
		}
	}
	for _, path := range []string{"tx", "tx/burst8", "rx/burst8/64dst", "tx/burst8/merged", "tx/burst0/64dst", "tx/8/64dst", "tx/burst33/64dst", "up/burst1/64dst"} {
		if _, err := parseSocket(path); err == nil {
			t.Errorf("%s was accepted", path)
		}
	}
}

// Everybody's round delivers everything. Nothing is timed.
func TestSocketRoundsDeliver(t *testing.T) {
	s := socketsScenario()
	for _, path := range s.cases {
		c, err := parseSocket(path)
		if err != nil {
			t.Fatal(err)
		}
		if c.veth {
			continue // TestVethDelivers
		}
		for _, name := range []string{"sluice", goNet.name, goNetAll.name, sendmmsg.name, recvmmsg.name} {
			if !c.plays(peer{name: name}) {
				continue
			}
			w, err := newSocketWork(c, name)
			if err != nil {
				t.Fatalf("%s: %s: %v", path, name, err)
			}
			for range 2 {
				if _, err := w.round(0); err != nil {
					t.Errorf("%s: %s: %v", path, name, err)
				}
			}
			if w.delivered != w.offered || w.offered != 2*c.burst*max(len(w.far), len(w.near)) {
				t.Errorf("%s: %s: %d of %d delivered", path, name, w.delivered, w.offered)
			}
			if err := w.close(); err != nil {
				t.Errorf("%s: %s: %v", path, name, err)
			}
		}
	}
}

// A closed socket is an error, not a row.
func TestSocketRoundThatFails(t *testing.T) {
	w, err := newSocketWork(socketCase{send: true, burst: 1}, goNet.name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = w.close() }() // the second time
	if err := w.near[0].close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.turn(remoteTime); err == nil {
		t.Errorf("no error; %v was expected", net.ErrClosed)
	}
}

// Everybody's datagrams reach the other end, ours by the ring alone once it
// knows the way. Nothing is timed.
func TestVethDelivers(t *testing.T) {
	done := make(chan string)
	go func() {
		runtime.LockOSThread() // and never unlocked: the thread ends, and its network with it
		done <- func() string {
			w, err := newVeth()
			if err != nil {
				return err.Error() + "; run as root, with iproute2"
			}
			defer w.close()
			for _, name := range []string{"sluice", goNet.name, sendmmsg.name} {
				s := w.sender(name)
				for range 2 * vethReceivers / 8 {
					if _, err := s.turn(1); err != nil {
						t.Errorf("%s: %v", name, err)
					}
				}
				if s.delivered != s.offered || s.offered == 0 {
					t.Errorf("%s: %d of %d delivered", name, s.delivered, s.offered)
				}
			}
			before := w.ring.Stats()
			if _, err := w.sender("sluice").turn(1); err != nil {
				t.Error(err)
			}
			if after := w.ring.Stats(); after.XDPSent-before.XDPSent != vethReceivers {
				t.Errorf("%d by the ring", after.XDPSent-before.XDPSent)
			}
			return ""
		}()
	}()
	needs(t, "AF_XDP", <-done)
}
