package sctp

import (
	"testing"
	"time"
)

// Where packets may be longer than every path carries, messages go in fragments
// that fill them; one that goes alone, and that every path carries, does not.
func TestLoneMessageGoesInOneChunk(t *testing.T) {
	for _, interleave := range []bool{false, true} {
		ab, ba := plain()
		p := newPair(t, Config{Interleave: interleave}, ab, ba).connect()
		p.Sleep(10 * time.Second)
		p.write(0, 1, make([]byte, 20_000), SendOptions{}) // so that probes are worth it
		if !p.Run(time.Minute, func() bool { return p.a[0].Stats().MTU == DefaultMaxMTU }) {
			t.Fatalf("%+v", p.a[0].Stats())
		}
		p.Sleep(10 * time.Second)
		chunks := func(sizes ...int) uint64 {
			before := p.a[0].Stats().ChunksSent
			for _, n := range sizes {
				p.write(0, 1, make([]byte, n), SendOptions{})
			}
			p.Sleep(10 * time.Second)
			return p.a[0].Stats().ChunksSent - before
		}
		most := p.a[0].tx.wholeFrag
		if most <= p.a[0].tx.maxFrag || most > DefaultMTU-headerLen-p.a[0].tx.head {
			t.Fatalf("%d bytes, %d in fragments", most, p.a[0].tx.maxFrag)
		}
		for n, want := range map[int]uint64{1: 1, 1024: 1, most: 1, most + 1: 2} {
			if got := chunks(n); got != want {
				t.Errorf("%d bytes go in %d chunks", n, got)
			}
		}
		if got := chunks(1024, 1024, 1024, 1024, 1024, 1024, 1024, 1024); got < 12 {
			t.Errorf("eight messages together go in %d chunks, and fill no packet", got)
		}
	}
}
