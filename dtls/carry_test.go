package dtls

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

var bothVersions = []uint16{VersionDTLS12, VersionDTLS13}

// Whoever carries a flight repeats it; two who did would only confuse the peer.
func TestHeldHandshakeNeitherRepeatsNorEnds(t *testing.T) {
	for _, version := range bothVersions {
		w := newWorldOf(t, 1, version, nil)
		for _, e := range []*end{w.client, w.server} {
			e.Hold(w.now, true)
		}
		w.filter = func(*end, []byte) bool { return false } // the hello is lost
		w.start()
		sent := len(w.sizes)
		w.run(time.Hour, nil)
		if len(w.sizes) != sent || w.client.closedErr() != nil || w.client.Timeout() != 0 || w.server.Timeout() != 0 {
			t.Errorf("%x: %d datagrams after the %d of the hello, %v", version, len(w.sizes)-sent, sent, w.client.closedErr())
		}
		w.filter = nil
		w.client.Hold(w.now, false)
		w.server.Hold(w.now, false)
		released := w.now
		w.run(time.Minute, w.bothConnected)
		if took := w.now.Sub(released); !w.bothConnected() || took > time.Second {
			t.Errorf("%x: %v after the release %v and %v", version, took, w.client.events, w.server.events)
		}
		w.checkSecrets()
	}
}

func TestHeldHandshakeHasItsWholeTimeWhenReleased(t *testing.T) {
	w := newWorld13(t, 2, nil)
	w.client.Hold(w.now, true)
	w.filter = func(*end, []byte) bool { return false }
	w.start()
	w.run(time.Hour, nil)
	w.client.Hold(w.now, false)
	w.client.Hold(w.now, false)
	if w.run(29*time.Second, nil); w.client.closedErr() != nil {
		t.Errorf("ended early: %v", w.client.closedErr())
	}
	if w.run(2*time.Second, nil); !errors.Is(w.client.closedErr(), ErrTimeout) {
		t.Errorf("%v, want a time-out", w.client.closedErr())
	}
}

// What is carried is shorter than what is not, and one may follow the other
// within a flight.
func TestMTUMayChangeAtAnyTime(t *testing.T) {
	for _, version := range bothVersions {
		for seed := range uint64(60) {
			t.Run(fmt.Sprintf("%x/%d", version, seed), func(t *testing.T) {
				w := newWorldOf(t, seed, version, nil)
				w.loss, w.jitter = 0.15, 30*time.Millisecond
				limit := map[*end]int{}
				w.sent = func(from *end, b []byte) {
					if from.rec == nil && len(b) > limit[from] {
						t.Fatalf("%s: %d bytes, MTU %d", from.name, len(b), limit[from])
					}
				}
				change := func() {
					for _, e := range []*end{w.client, w.server} {
						limit[e] = minMTU + w.rng.IntN(1200)
						e.SetMTU(limit[e])
					}
				}
				change()
				w.start()
				for i := 0; i < 10000 && !w.bothConnected() && w.step(); i++ {
					change()
				}
				if !w.bothConnected() {
					t.Fatalf("client %v, server %v", w.client.events, w.server.events)
				}
				w.checkSecrets()
			})
		}
	}
}

func TestMTUIsBoundedAndForHandOver(t *testing.T) {
	for _, version := range bothVersions {
		w := newWorldOf(t, 3, version, nil)
		w.client.SetMTU(1)
		w.server.SetMTU(1 << 20)
		if a, b := w.client.cfg.MTU, w.server.cfg.MTU; a != minMTU || b != maxMTU {
			t.Errorf("%d and %d", a, b)
		}
		w.client.SetMTU(600)
		w.server.SetMTU(600)
		w.handshake()
		w.client.SetMTU(DefaultMTU)
		w.client.takeRecords()
		w.server.takeRecords()
		if a, b := w.client.maxPlain, w.server.maxPlain; a <= 600 || b >= 600 || w.client.rec.mtu != DefaultMTU || w.server.rec.mtu != 600 {
			t.Errorf("%x: records of %d and %d bytes", version, a, b)
		}
		w.client.SetMTU(600)
		if w.client.rec.mtu != DefaultMTU {
			t.Error("records that are somebody else's have changed")
		}
	}
}
