package webrtc

import (
	"testing"
	"time"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/stun"
)

// A lite agent asks nothing: what it has to say goes in its answers, one datagram in
// each, and only what is left over beside them. It is as soon open as a full one.
func TestLiteAgentCarriesInItsAnswers(t *testing.T) {
	for _, x := range []struct {
		version uint16
		active  bool
		answers int     // that carry
		beside  int     // datagrams of the lite agent's first flight
		slowest float64 // round trips until both are open
	}{
		{dtls.VersionDTLS13, false, 1, 1, 2.5}, // the second half of the client's hello is what it answers
		{dtls.VersionDTLS13, true, 1, 1, 3},
		{dtls.VersionDTLS12, false, 1, 0, 3},
		{dtls.VersionDTLS12, true, 1, 0, 3.5},
	} {
		how := spedHow{carry: [2]bool{true, true}, snap: true, lite: true, active: x.active, version: x.version}
		w := newSPEDWorld(t, 1, how)
		answers, beside, heard := 0, 0, false
		w.fault = func(_, from int, b []byte) ([][]byte, time.Duration) {
			_, n := hasCarried(b)
			switch {
			case from == 0:
				heard = heard || !stun.Is(b) || w.ends[1].done
			case n > 0:
				answers++
			case !stun.Is(b) && !heard:
				beside++
			}
			return [][]byte{b}, 0
		}
		start := w.now
		w.negotiate()
		w.mustOpen(10 * time.Second)
		took := trips(max(w.ends[0].openAt, w.ends[1].openAt).Sub(start))
		if answers != x.answers || beside != x.beside || took != x.slowest {
			t.Errorf("%+v: %d answers carry, %d datagrams go beside, open after %.2f round trips", x, answers, beside, took)
		}
		if got := w.ends[0].agent.CarryStats().Received; got != uint64(x.answers) {
			t.Errorf("%+v: the peer got %d of them", x, got)
		}
	}
}

// The twin: to who does not carry a lite agent says it beside its answers only.
func TestTwinLiteAgentCarriesNothingToWhoDoesNot(t *testing.T) {
	for _, active := range []bool{false, true} {
		w := newSPEDWorld(t, 1, spedHow{carry: [2]bool{true, true}, snap: true, lite: true, active: active, version: dtls.VersionDTLS13})
		w.ends[0].agent.StopCarry()
		w.fault = func(_, from int, b []byte) ([][]byte, time.Duration) {
			if has, _ := hasCarried(b); has {
				t.Errorf("active %v: end %d carries", active, from)
			}
			return [][]byte{b}, 0
		}
		w.negotiate()
		w.mustOpen(10 * time.Second)
	}
}
