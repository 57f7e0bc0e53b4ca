package webrtc

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/ice"
	"github.com/sluicertc/sluice/stun"
)

// spedHows are the ways in which two ends that carry can meet.
func spedHows() (list []spedHow) {
	for i := range 16 {
		h := spedHow{carry: [2]bool{true, true}, snap: true, active: i&1 != 0, lite: i&2 != 0, slow: i&4 != 0, version: dtls.VersionDTLS13}
		if i&8 != 0 {
			h.version = dtls.VersionDTLS12
		}
		list = append(list, h)
	}
	return list
}

// spedFaults are what happens to one datagram.
var spedFaults = map[string]func(b []byte) ([][]byte, time.Duration){
	"lost":      func([]byte) ([][]byte, time.Duration) { return nil, 0 },
	"doubled":   func(b []byte) ([][]byte, time.Duration) { return [][]byte{b, b, b}, 0 },
	"late":      func(b []byte) ([][]byte, time.Duration) { return [][]byte{b}, 3 * spedDelay },
	"overtaken": func(b []byte) ([][]byte, time.Duration) { return [][]byte{b}, time.Millisecond },
	// Of a check or its answer: what DTLS makes of its own datagrams is tested there.
	"corrupted": func(b []byte) ([][]byte, time.Duration) {
		c := slices.Clone(b)
		if stun.Is(c) {
			c[len(c)/2] ^= 0x10
		}
		return [][]byte{c}, 0
	},
}

// One datagram at each position is spoilt: the channel opens, and no later than
// ICE's first retransmission and a few round trips allow.
func TestCarriedHandshakeSurvivesAnyFault(t *testing.T) {
	for _, how := range spedHows() {
		w := newSPEDWorld(t, 1, how)
		w.negotiate()
		w.mustOpen(10 * time.Second)
		count := w.sent
		for name, spoil := range spedFaults {
			for at := range count {
				w := newSPEDWorld(t, 1, how)
				w.fault = func(n, _ int, b []byte) ([][]byte, time.Duration) {
					if n != at {
						return [][]byte{b}, 0
					}
					return spoil(b)
				}
				start := w.now
				w.negotiate()
				w.mustOpen(30 * time.Second)
				if took := w.now.Sub(start); took > 2*time.Second {
					t.Errorf("%+v, datagram %d %s: open after %v", how, at, name, took)
				}
			}
		}
	}
}

// Whatever the network does, for as many seeds as there is time for.
func TestCarriedHandshakeOverBadNetworks(t *testing.T) {
	seeds, hows := uint64(1000), spedHows()
	if testing.Short() {
		seeds = 50
	}
	var slowest time.Duration
	unlucky := 0
	for seed := range seeds {
		w := newSPEDWorld(t, seed, hows[seed%uint64(len(hows))])
		w.loss, w.dup, w.jitter = float64(seed%5)*0.05, 0.1, time.Duration(seed%4)*20*time.Millisecond
		start := w.now
		w.negotiate()
		if w.loss >= 0.1 && !w.run(time.Minute, w.open) {
			// ICE asks seven times; where nobody ever hears it, it is over.
			unlucky++
			continue
		}
		w.mustOpen(time.Minute)
		slowest = max(slowest, w.now.Sub(start))
		w.loss, w.dup = 0, 0
		w.run(30*time.Second, func() bool { return false })
		for i, e := range w.ends {
			if s := e.agent.CarryStats().State; s != ice.CarryDone && s != ice.CarryEnding {
				t.Fatalf("seed %d, end %d: carrying is %v half a minute later", seed, i, s)
			}
			if !e.agent.Carrying() && e.closed != nil {
				t.Fatalf("seed %d, end %d: %v", seed, i, e.closed)
			}
		}
	}
	t.Logf("the slowest of %d took %v, ICE or DTLS gave up on %d", seeds, slowest, unlucky)
	if unlucky > int(seeds/50) {
		t.Errorf("%d of %d did not connect", unlucky, seeds)
	}
}

// hasCarried reports whether a datagram is STUN with an attribute of SPED, and
// how long the DTLS in it is.
func hasCarried(b []byte) (bool, int) {
	m, err := stun.Parse(b)
	if err != nil {
		return false, 0
	}
	v, data := m.Get(0xc070)
	_, acks := m.Get(0xc071)
	return data || acks, len(v)
}

// After the handshake checks are what they were: nothing is carried for ever.
func TestCarryingEnds(t *testing.T) {
	for _, how := range spedHows() {
		w := newSPEDWorld(t, 3, how)
		w.negotiate()
		w.mustOpen(10 * time.Second)
		w.run(30*time.Second, func() bool { return false })
		late, checks := 0, 0
		w.fault = func(_, _ int, b []byte) ([][]byte, time.Duration) {
			if stun.Is(b) {
				checks++
				if carries, _ := hasCarried(b); carries {
					late++
				}
			}
			return [][]byte{b}, 0
		}
		w.run(time.Minute, func() bool { return false })
		if late > 0 || checks == 0 {
			t.Errorf("%+v: %d of %d checks carry half a minute after the handshake", how, late, checks)
		}
		for i, e := range w.ends {
			if s := e.agent.CarryStats().State; s != ice.CarryDone {
				t.Errorf("%+v, end %d: %v", how, i, s)
			}
		}
	}
}

// A peer that has agreed, and then does not, costs no time: its first message
// tells. Neither does one that has not agreed.
func TestFallbackToPlainDTLSCostsNothing(t *testing.T) {
	for _, how := range spedHows() {
		plain := how
		plain.carry = [2]bool{}
		for _, version := range []string{"refused by descriptions", "broken by a middlebox"} {
			took := func(how spedHow, strip bool) (d time.Duration, carried int) {
				w := newSPEDWorld(t, 4, how)
				if strip {
					for _, e := range w.ends[:1] { // the offerer's word is not true
						e.agent.StopCarry()
					}
				}
				w.fault = func(_, _ int, b []byte) ([][]byte, time.Duration) {
					if carries, _ := hasCarried(b); carries {
						carried++
					}
					return [][]byte{b}, 0
				}
				start := w.now
				w.negotiate()
				w.mustOpen(10 * time.Second)
				return w.now.Sub(start), carried
			}
			want, _ := took(plain, false)
			one := how
			if version == "refused by descriptions" {
				one.carry = [2]bool{false, true}
			}
			got, carried := took(one, version != "refused by descriptions")
			if got > want {
				t.Errorf("%+v, %s: %v, without it %v", how, version, got, want)
			}
			if version == "refused by descriptions" && carried > 0 {
				t.Errorf("%+v: %d messages carry", how, carried)
			}
		}
	}
}

// ICE restarts in the midst of the handshake, at each datagram: it goes on in the
// checks of the new credentials.
func TestICERestartInTheMidstOfACarriedHandshake(t *testing.T) {
	for _, how := range spedHows() {
		for at := 1; at < 14; at++ {
			t.Run(fmt.Sprintf("%+v at %d", how, at), func(t *testing.T) {
				w := newSPEDWorld(t, uint64(at), how)
				w.negotiate()
				if !w.run(2*time.Second, func() bool { return w.sent >= at && w.ends[0].conn != nil }) {
					return // there are not so many
				}
				for _, e := range w.ends {
					e.restart()
				}
				w.negotiate()
				w.mustOpen(30 * time.Second)
			})
		}
	}
}

// A server that waits for ICE for a minute has not begun to wait for DTLS: a
// hello that was made early is as good late.
func TestSlowICEDoesNotEndACarriedHandshake(t *testing.T) {
	for _, how := range spedHows() {
		w := newSPEDWorld(t, 5, how)
		w.fault = func(_, _ int, b []byte) ([][]byte, time.Duration) { return nil, 0 }
		w.negotiate()
		w.run(33*time.Second, func() bool { return false })
		w.fault = nil
		for _, e := range w.ends {
			e.restart()
		}
		start := w.now
		w.negotiate()
		w.mustOpen(10 * time.Second)
		if took := w.now.Sub(start); took > 2*time.Second {
			t.Errorf("%+v: %v", how, took)
		}
	}
}

// That ICE has authenticated what it carries says nothing of the certificate.
func TestClass06_CarriedHandshakeHoldsFingerprintsAgainstCertificates(t *testing.T) {
	for _, how := range spedHows() {
		for deceived := range 2 {
			w := newSPEDWorld(t, 6, how)
			w.ends[1-deceived].fp = w.ends[deceived].fp // not what it will show
			w.negotiate()
			w.run(10*time.Second, func() bool { return w.ends[0].closed != nil && w.ends[1].closed != nil })
			d, o := w.ends[deceived], w.ends[1-deceived]
			if d.up || d.closed == nil || o.closed == nil {
				t.Errorf("%+v: end %d was deceived: up %v, closed %v, the other %v", how, deceived, d.up, d.closed, o.closed)
			}
		}
	}
}

// Who speaks last repeats it until it is heard; the other one has nothing to say.
func TestLastFlightIsCarriedUntilAcknowledged(t *testing.T) {
	for _, how := range spedHows() {
		w := newSPEDWorld(t, 7, how)
		w.negotiate()
		var seen [2]bool
		for range w.ends {
			at := -1
			if !w.run(10*time.Second, func() bool {
				at = slices.IndexFunc(w.ends[:], func(e *spedEnd) bool { return e.done && !seen[e.i] })
				return at >= 0
			}) {
				t.Fatalf("%+v: no end", how)
			}
			e := w.ends[at]
			seen[at] = true
			last := (e.role == dtls.Client) == (how.version == dtls.VersionDTLS13)
			if n := len(e.agent.Carried(w.now)); n > 0 != last || e.agent.CarryStats().State != ice.CarryEnding {
				t.Errorf("%+v: %v has %d datagrams to be carried at the end, %v", how, e.role, n, e.agent.CarryStats().State)
			}
		}
	}
}
