package ice

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/sluicertc/sluice/stun"
)

// unnominated is an agent under the control of a puppet that has asked once.
func unnominated(t *testing.T, cfg Config) (w *world, y *peer, z *puppet) {
	w = newWorld(t, 1)
	cfg.Hosts = hostB
	y = w.peer(cfg)
	z = newPuppet(w, y, hostA)
	z.hello()
	if err := z.check(hostA[0], hostB[0], false, nil); err != nil {
		t.Fatal(err)
	}
	return w, y, z
}

// A peer may nominate when it likes. Connected is who has a pair that works.
func TestConnectedBeforeANomination(t *testing.T) {
	w, y, z := unnominated(t, Config{})
	if s := y.a.State(); s != StateChecking {
		t.Fatalf("%v with one direction known", s)
	}
	w.run(time.Second, nil)
	if _, ok := y.a.Selected(); ok || y.a.State() != StateConnected || y.count(EventUsable) != 1 {
		t.Fatalf("%v, selected %v", y.a.State(), ok)
	}
	// Silence is told, and its end.
	w.run(y.a.cfg.DisconnectedTimeout, nil)
	if s := y.a.State(); s != StateDisconnected {
		t.Errorf("%v after silence", s)
	}
	if z.check(hostA[0], hostB[0], false, nil); y.a.State() != StateConnected {
		t.Errorf("%v after it", y.a.State())
	}
	y.do(func() { y.a.EndOfRemoteCandidates(w.now) })
	z.check(hostA[0], hostB[0], true, nil)
	if _, ok := y.a.Selected(); !ok || y.a.State() != StateCompleted {
		t.Errorf("%v after the nomination", y.a.State())
	}
	want := []State{StateChecking, StateConnected, StateDisconnected, StateConnected, StateCompleted}
	if s := y.states(); !slices.Equal(s, want) {
		t.Errorf("%v, want %v", s, want)
	}
}

// Who never nominates is given up, as before; a restart begins anew.
func TestPeerThatNeverNominatesIsGivenUp(t *testing.T) {
	w, y, z := unnominated(t, Config{})
	w.run(time.Second, nil)
	for range 8 {
		w.run(5*time.Second, nil)
		z.check(hostA[0], hostB[0], false, nil)
	}
	if s := y.states(); !slices.Equal(s, []State{StateChecking, StateConnected, StateFailed}) {
		t.Errorf("%v", s)
	}
	w, y, _ = unnominated(t, Config{})
	w.run(time.Second, nil)
	y.do(func() {
		if err := y.a.Restart(w.now, "", ""); err != nil {
			t.Fatal(err)
		}
	})
	if s := y.states(); !slices.Equal(s, []State{StateChecking, StateConnected, StateChecking}) {
		t.Errorf("%v", s)
	}
}

// The twins: an agent that knows of one direction only is not connected: one whose
// own check nobody answers, and a lite one until it is told.
func TestTwinOneDirectionIsNoConnection(t *testing.T) {
	w, y, z := unnominated(t, Config{Lite: true})
	w.run(time.Second, nil)
	if s := y.a.State(); s != StateChecking || y.count(EventUsable) != 1 {
		t.Errorf("lite: %v", s)
	}
	if z.check(hostA[0], hostB[0], true, nil); y.a.State() < StateConnected {
		t.Errorf("lite: %v after the nomination", y.a.State())
	}
	w = newWorld(t, 1)
	y = w.peer(Config{Hosts: hostB})
	z = newPuppet(w, y, []netip.AddrPort{hostA[0]})
	z.hello()
	w.tap = nil // it hears nothing
	for range 5 {
		z.check(hostA[0], hostB[0], true, func(*stun.Builder) {})
		w.run(time.Second, nil)
	}
	if s := y.states(); !slices.Equal(s, []State{StateChecking}) {
		t.Errorf("%v", s)
	}
}
