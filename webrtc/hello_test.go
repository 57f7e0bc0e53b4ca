package webrtc

import (
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// A hello may come before the data lane has taken note of the transport which the
// check's answer told the peer of, and connections between the same two ports may
// follow each other closely. Nothing of a handshake is lost to either.
func TestHelloThatComesAtOnceIsHeard(t *testing.T) {
	// Longer than the processor may be away.
	timers := DTLSTimers{Retransmission: 10 * time.Second}
	for range 5 {
		ea, eb := newEngine(t, 2), newEngine(t, 2)
		for range 8 {
			a, b := newPC(t, Config{Engine: ea, DTLSTimers: timers}), newPC(t, Config{Engine: eb, DTLSTimers: timers})
			must(a.CreateDataChannel("x", nil))(t)
			up := []<-chan struct{}{connected(a), connected(b)}
			negotiate(t, a, b, nil)
			for i, pc := range []*PeerConnection{a, b} {
				await(t, "connection", up[i])
				pc.lane.Do(func(mono.Time) {
					if n := pc.transports[0].conn.Stats().Resent; n != 0 {
						t.Errorf("%d flights were sent again", n)
					}
				})
			}
			a.Close()
			b.Close()
		}
	}
}
