package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"
)

// Where setup.sh has been, as in CI, nothing of what it installs is missing.
func TestInstalledPeersCanRun(t *testing.T) {
	for _, n := range natives {
		needs(t, n.name, n.peer().whyNot())
	}
	for _, p := range []peer{weriftPeer, nodeDataChannelPeer} {
		needs(t, p.name, p.whyNot())
	}
}

// Every peer of every case gives the same packet as Sluice.
func TestSRTPPeersAgree(t *testing.T) {
	needsProcesses(t)
	s := srtpScenario()
	var able []peer
	for _, p := range s.peers {
		if !needs(t, p.name, p.whyNot()) {
			continue
		}
		able = append(able, p)
	}
	rivals, stop, err := srtpRivals(able)
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	for _, path := range s.cases {
		c, err := parseSRTP(path)
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := srtpContenders(c, path, able, rivals); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestTurnsOfAnotherProcess(t *testing.T) {
	prepared, ran, far := 0, 0, 0
	work := make([]byte, 4096) // hashing it takes longer than the clock's step
	near := contender{name: "near", prepare: func() { prepared++ }, run: func() int { ran++; sha256.Sum256(work); return 1 }}
	other := contender{name: "far", turn: func(d time.Duration) (float64, error) {
		if d != remoteTime {
			t.Errorf("asked for %v", d)
		}
		far++
		return 42, nil
	}}
	times, err := turns([]contender{near, other}, 3)
	if err != nil || len(times) != 2 || len(times[0]) != 3 || len(times[1]) != 3 {
		t.Fatalf("%v, %v", times, err)
	}
	if far != 3 || prepared != ran || times[1][2] != 42 || times[0][0] <= 0 {
		t.Errorf("far %d, prepared %d, ran %d: %v", far, prepared, ran, times)
	}
	broken := errors.New("broken")
	other.turn = func(time.Duration) (float64, error) { return 0, broken }
	if _, err := turns([]contender{near, other}, 3); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
}

func TestPeerInCIsFoundMissing(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	t.Setenv("LocalAppData", t.TempDir())
	t.Setenv("CC", "no-such-compiler")
	n := &native{name: "libsrtp", libs: libsrtp.libs, deb: libsrtp.deb}
	if why := n.peer().whyNot(); !strings.Contains(why, "libsrtp2-dev") {
		t.Errorf("%q", why)
	}
	if _, err := n.start(); err == nil {
		t.Error("it started")
	}
}

func TestPerPacketIsTheSameInOtherUnits(t *testing.T) {
	m := perPacket(200, 1000, 3)
	if m["packets_per_s"] != 5e6 || m["gb_per_s"] != 5 || m["cycles_per_byte"] != 0.6 {
		t.Errorf("%v", m)
	}
	if perPacket(0, 1000, 3) != nil {
		t.Error("a value that is none has other units")
	}
}

// Rows without the units are those that the table leaves out.
func TestTerseIsNotInJSON(t *testing.T) {
	b, err := json.Marshal(Row{terse: true})
	if err != nil || strings.Contains(string(b), "terse") {
		t.Errorf("%s, %v", b, err)
	}
}

func TestCoreClockIsPlausible(t *testing.T) {
	if ghz := coreGHz(); ghz <= 0 || ghz > 20 {
		t.Errorf("%v GHz", ghz)
	}
}
