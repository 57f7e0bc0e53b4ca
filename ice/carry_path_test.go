package ice

import (
	"slices"
	"testing"

	"github.com/sluicertc/sluice/stun"
)

// An owner with a path sends what no answer about to leave takes, each datagram in
// one way only: in the answers of a peer that carries, before as after the flight was
// known, and none in those of a peer that does not.
func TestOwnerSendsWhatNoAnswerTakes(t *testing.T) {
	for _, x := range []struct {
		name           string
		checks         int
		carry          bool // their sender does
		before         bool // the flight was there first
		inside, direct int
	}{
		{"no check", 0, true, false, 0, 3},
		{"a check", 1, true, false, 1, 2},
		{"two checks", 2, true, false, 2, 1},
		{"more checks than datagrams", 5, true, false, 3, 0},
		{"a check of who does not carry", 1, false, false, 0, 3},
		{"no check, before", 0, true, true, 0, 3},
		{"a check, before", 1, true, true, 1, 2},
		{"a check of who does not carry, before", 1, false, true, 0, 3},
	} {
		w := newWorld(t, 1)
		y := w.peer(Config{Hosts: hostB, Lite: true, Carry: true})
		z := newPuppet(w, y, hostA)
		z.hello()
		flight := flightOf(3, 500, "f")
		if x.before {
			y.a.Carry(w.now, flight, false)
		}
		for i := range x.checks {
			m := stun.Begin(nil, stun.BindingRequest, stun.TransactionID{9, byte(i)})
			ufrag, _ := y.a.LocalCredentials()
			m.Username(ufrag + ":" + z.ufrag)
			m.ICEControlling(1)
			m.Priority(1)
			if x.carry {
				m.Raw(attrCarried, nil)
			}
			m.Integrity(z.theirs)
			m.Fingerprint()
			if err := y.a.HandlePacket(w.now, m.Bytes(), Path{Local: hostB[0], Remote: hostA[0]}); err != nil {
				t.Fatal(err)
			}
		}
		var direct, inside [][]byte
		if x.before {
			direct = y.a.Carried(w.now)
		} else {
			direct = y.a.Carry(w.now, flight, true)
		}
		var buf [2048]byte
		for n, _ := y.a.Transmit(w.now, buf[:]); n > 0; n, _ = y.a.Transmit(w.now, buf[:]) {
			m, err := stun.Parse(buf[:n])
			if v, ok := m.Get(attrCarried); err == nil && ok && len(v) > 0 {
				inside = append(inside, slices.Clone(v))
			}
		}
		if len(inside) != x.inside || len(direct) != x.direct || !slices.Equal(texts(append(direct, inside...)), texts(flight)) {
			t.Errorf("%s: %d go in answers, %d beside", x.name, len(inside), len(direct))
		}
	}
}

// What is not for checks at all is the owner's, whether it is carried or not.
func TestOwnerSendsWhatIsNotCarried(t *testing.T) {
	w := newWorld(t, 1)
	y := w.peer(Config{Hosts: hostB, Carry: true})
	flight := append(flightOf(MaxCarryFlight+2, 100, "f"), []byte("no DTLS"), dtlsOf(MaxCarryPacket+1, "long"))
	if n := len(y.a.Carry(w.now, flight, true)); n != len(flight) {
		t.Errorf("%d of %d", n, len(flight))
	}
	if n := len(y.a.Carry(w.now, flight, false)); n != 0 {
		t.Errorf("%d without a path", n)
	}
	y.a.StopCarry()
	if n := len(y.a.Carry(w.now, flight, true)); n != len(flight) {
		t.Errorf("%d of %d when it is over", n, len(flight))
	}
	if n := len(y.a.Carry(w.now, flight, false)); n != 0 {
		t.Errorf("%d without a path when it is over", n)
	}
}
