package srtp

import (
	"bytes"
	"testing"
)

// Whatever arrives neither panics nor is accepted nor makes state; and what was
// protected comes back.
func FuzzUnprotect(f *testing.F) {
	f.Add([]byte{}, uint8(0))
	f.Add(packet(1, 2, make([]byte, 40)...), uint8(1))
	f.Add(report(1, 9), uint8(2))
	f.Add(append([]byte{0x9f}, bytes.Repeat([]byte{0xff}, 90)...), uint8(1))
	f.Fuzz(func(t *testing.T, pkt []byte, which uint8) {
		p := profiles[int(which)%len(profiles)]
		tx, rx := newContext(t, p, 1), newContext(t, p, 1)
		if _, err := unprotect(rx, pkt); err == nil {
			t.Fatal("RTP accepted")
		}
		if _, err := unprotectRTCP(rx, pkt); err == nil {
			t.Fatal("RTCP accepted")
		}
		var b Batch
		b.Add(rx, bytes.Clone(pkt), pkt)
		b.Add(rx, bytes.Clone(pkt), pkt)
		b.Unprotect()
		for i := range 2 {
			if _, err := b.Result(i); err == nil {
				t.Fatal("batch accepted it")
			}
		}
		if rx.Sources() != 0 {
			t.Fatal("state was made")
		}

		buf := make([]byte, len(pkt)+32)
		if n, err := tx.Protect(buf, pkt); err == nil {
			got, err := unprotect(rx, buf[:n])
			if err != nil || !bytes.Equal(got, pkt) {
				t.Fatalf("RTP does not come back: %v", err)
			}
		}
		if n, err := tx.ProtectRTCP(buf, pkt); err == nil {
			got, err := unprotectRTCP(rx, buf[:n])
			if err != nil || !bytes.Equal(got, pkt) {
				t.Fatalf("RTCP does not come back: %v", err)
			}
		}
	})
}

// A batch gives each packet what it would have had alone, whatever sequence
// numbers, repetitions and forgeries come together.
func FuzzBatchEqualsSingle(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x80\x80\x01\xff\xff\x01\x00\x00\x00"), uint8(1))
	f.Add([]byte("\xff\xfe\x00\xff\xff\x00\x00\x00\x00\x00\x01\x00\x7f\xff\x01"), uint8(0))
	f.Fuzz(func(t *testing.T, script []byte, which uint8) {
		p := profiles[int(which)%len(profiles)]
		tx, one, many := newContext(t, p, 1), newContext(t, p, 1), newContext(t, p, 1)
		tx.AllowRepeats()
		var b Batch
		var want []error
		flush := func() {
			b.Unprotect()
			for i, w := range want {
				if _, err := b.Result(i); err != w {
					t.Fatalf("packet %d: %v in a batch, %v alone", i, err, w)
				}
			}
			b.Reset()
			want = want[:0]
		}
		for ; len(script) >= 3; script = script[3:] {
			op := script[2]
			pkt := packet(uint32(op&3)*64, uint16(script[0])<<8|uint16(script[1]), op)
			buf := make([]byte, len(pkt)+p.Overhead())
			if _, err := tx.Protect(buf, pkt); err != nil {
				t.Fatal(err)
			}
			if op&4 != 0 {
				buf[len(buf)-1] ^= 1
			}
			_, err := unprotect(one, buf)
			want = append(want, err)
			b.Add(many, buf, buf)
			if op&0xf0 == 0xf0 {
				flush()
			}
		}
		flush()
	})
}
