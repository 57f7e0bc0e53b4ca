package webrtc

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/stun"
)

// spoilBeside runs a handshake in which byte off of the datagram at is spoilt, if that
// is one of DTLS that goes beside the checks.
func spoilBeside(t *testing.T, how spedHow, at, off int) (w *spedWorld, took time.Duration, spoilt bool) {
	w = newSPEDWorld(t, 1, how)
	w.fault = func(n, _ int, b []byte) ([][]byte, time.Duration) {
		c := slices.Clone(b)
		if n == at && !stun.Is(c) && off < len(c) {
			spoilt = true
			c[off] ^= 0x10
		}
		return [][]byte{c}, 0
	}
	start := w.now
	w.negotiate()
	w.run(40*time.Second, func() bool {
		return w.open() || w.ends[0].closed != nil && w.ends[1].closed != nil
	})
	return w, w.now.Sub(start), spoilt
}

// A datagram beside the checks is spoilt, which nobody notices by itself if it is in
// the clear: the handshake is mended by what comes again, or ends on both sides with
// an alert that says why; it does not wait for its timeout. So does a handshake
// without checks that carry.
func TestClass36_SpoiltDatagramsBesideChecks(t *testing.T) {
	for _, carry := range []bool{true, false} {
		mended, ended := map[uint16]int{}, map[uint16]int{}
		for _, how := range spedHows() {
			how.carry = [2]bool{carry, carry}
			w := newSPEDWorld(t, 1, how)
			w.negotiate()
			w.mustOpen(10 * time.Second)
			for at := range w.sent {
				for off := at * 17 % 101; ; off += 101 {
					w, took, spoilt := spoilBeside(t, how, at, off)
					if !spoilt {
						break
					}
					if w.open() && took < 2*time.Second {
						mended[how.version]++
						continue
					}
					ended[how.version]++
					for _, e := range w.ends {
						if ae := (*dtls.AlertError)(nil); !errors.As(e.closed, &ae) || e.up || took > 5*time.Second {
							t.Errorf("%+v, datagram %d, byte %d: end %d: %v after %v", how, at, off, e.i, e.closed, took)
						}
					}
				}
			}
		}
		t.Logf("carried %v: mended %v, ended %v", carry, mended, ended)
		// All of a flight of 1.2 is in the clear and under one signature. In 1.3 the
		// hellos are, and of these the client's goes in checks, but for the second
		// half of a lite client's.
		if good, bad := mended[dtls.VersionDTLS13], ended[dtls.VersionDTLS13]; carry && good < 10*bad {
			t.Errorf("of DTLS 1.3 %d are mended, %d end", good, bad)
		}
	}
}

// The twin: what is spoilt inside a check is dropped with it, and costs no handshake.
func TestClass36_TwinSpoiltChecksEndNothing(t *testing.T) {
	for _, how := range spedHows() {
		for at := range 6 {
			w := newSPEDWorld(t, 1, how)
			w.fault = func(n, _ int, b []byte) ([][]byte, time.Duration) {
				c := slices.Clone(b)
				if n == at && stun.Is(c) {
					c[len(c)/2] ^= 0x10
				}
				return [][]byte{c}, 0
			}
			w.negotiate()
			w.mustOpen(3 * time.Second)
		}
	}
}
