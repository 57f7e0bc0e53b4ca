package srtp

import (
	"bytes"
	"math/rand/v2"
	"reflect"
	"testing"
)

func TestNewContextChecksItsArguments(t *testing.T) {
	for p := range Profile(16) {
		_, err := NewContext(p, make([]byte, p.KeyLen()), make([]byte, p.SaltLen()))
		if want := p == 1 || p == 2 || p == 7 || p == 8; want != (err == nil) {
			t.Errorf("profile %d: %v", p, err)
		}
	}
	for _, p := range profiles {
		for n := range 64 {
			if _, err := NewContext(p, make([]byte, n), make([]byte, p.SaltLen())); (n == p.KeyLen()) != (err == nil) {
				t.Errorf("%v: key of %d: %v", p, n, err)
			}
			if _, err := NewContext(p, make([]byte, p.KeyLen()), make([]byte, n)); (n == p.SaltLen()) != (err == nil) {
				t.Errorf("%v: salt of %d: %v", p, n, err)
			}
		}
	}
}

// Header, contributing sources and extension stay in the clear, in place and
// apart, and the original is not touched.
func TestRoundTrip(t *testing.T) {
	eachProfile(t, func(t *testing.T, tx, rx *Context) {
		r := rand.New(rand.NewPCG(1, 1))
		for seq := range 300 {
			plain := packet(7, uint16(seq))
			for range r.IntN(16) {
				plain[0]++
				plain = append(plain, 1, 2, 3, 4)
			}
			if words := r.IntN(5); words > 0 {
				plain[0] |= 0x10
				plain = append(plain, 0xbe, 0xde, 0, byte(words))
				plain = append(plain, make([]byte, 4*words)...)
			}
			header := len(plain)
			plain = append(plain, make([]byte, r.IntN(300))...)
			orig := bytes.Clone(plain)

			sealed := protect(t, tx, plain)
			if !bytes.Equal(plain, orig) || !bytes.Equal(sealed[:header], plain[:header]) {
				t.Fatal("header or original changed")
			}
			dst := make([]byte, len(plain))
			n, err := rx.Unprotect(dst, sealed)
			if err != nil || !bytes.Equal(dst[:n], plain) {
				t.Fatalf("seq %d: %v", seq, err)
			}
		}
	})
}

func TestSendOutOfOrderAroundTheWrap(t *testing.T) {
	eachProfile(t, func(t *testing.T, tx, rx *Context) {
		for _, v := range []struct {
			seq uint16
			roc uint64
		}{{65000, 0}, {65534, 0}, {1, 1}, {65535, 0}, {0, 1}, {65533, 0}, {2, 1}, {30000, 1}, {60000, 1}, {65535, 1}, {0, 2}, {65534, 1}} {
			pkt := protect(t, tx, packet(1, v.seq, 1, 2, 3))
			if _, err := unprotect(rx, pkt); err != nil {
				t.Errorf("seq %d: %v", v.seq, err)
			}
			s := rx.streams.find(1)
			if s.fresh(v.roc<<16 | uint64(v.seq)) {
				t.Errorf("seq %d did not go under rollover counter %d", v.seq, v.roc)
			}
		}
	})
}

// A receiver that joins before the first wrap follows; after it, it cannot
// know the rollover counter (RFC 3711 §3.3.1).
func TestLateJoin(t *testing.T) {
	eachProfile(t, func(t *testing.T, tx, rx *Context) {
		protect(t, tx, packet(1, 20000))
		if _, err := unprotect(rx, protect(t, tx, packet(1, 50000))); err != nil {
			t.Error(err)
		}
		other := newContext(t, tx.profile, 1)
		late := protect(t, tx, packet(1, 100))
		if _, err := unprotect(rx, late); err != nil {
			t.Error(err)
		}
		_, err := unprotect(other, late)
		wantErr(t, "joined after the wrap", err, ErrAuth)
	})
}

func TestReceivedSourcesAreBounded(t *testing.T) {
	eachProfile(t, func(t *testing.T, tx, rx *Context) {
		old := protect(t, tx, packet(0, 1, 1))
		for ssrc := range uint32(MaxReceived + 10) {
			if ssrc > 0 {
				if _, err := unprotect(rx, protect(t, tx, packet(ssrc, 1))); err != nil {
					t.Fatal(ssrc, err)
				}
			} else if _, err := unprotect(rx, old); err != nil {
				t.Fatal(err)
			}
			// Source 1 is never the one that was silent for longest.
			if _, err := unprotect(rx, protect(t, tx, packet(1, uint16(ssrc+2)))); err != nil {
				t.Fatal(ssrc, err)
			}
		}
		if rx.Sources() != MaxReceived {
			t.Errorf("%d sources", rx.Sources())
		}
		if rx.streams.find(1) == nil || rx.streams.find(0) != nil || rx.streams.find(MaxReceived+9) == nil {
			t.Error("the wrong source was evicted")
		}
		for ssrc := range uint32(MaxReceived + 10) {
			if want := ssrc == 1 || ssrc > 10; want != (rx.streams.find(ssrc) != nil) {
				t.Errorf("source %d: kept is %v", ssrc, !want)
			}
		}
	})
}

func TestSentSourcesAreRefusedBeyondTheLimit(t *testing.T) {
	tx := newContext(t, AEAD_AES_128_GCM, 1)
	buf := make([]byte, 64)
	for ssrc := range uint32(MaxSent) {
		if _, err := tx.Protect(buf, packet(ssrc, 1)); err != nil {
			t.Fatal(err)
		}
	}
	_, err := tx.Protect(buf, packet(MaxSent, 1))
	wantErr(t, "one source too many", err, ErrLimit)
	_, err = tx.Protect(buf, packet(0, 2))
	wantErr(t, "a source already there", err, nil)
}

func TestCloseForgetsEverything(t *testing.T) {
	eachProfile(t, func(t *testing.T, tx, rx *Context) {
		pkt, rtcp := protect(t, tx, packet(1, 1)), protectRTCP(t, tx, report(1, 1))
		tx.Close()
		tx.Close()
		want := Context{profile: tx.profile, closed: true}
		if !reflect.DeepEqual(*tx, want) {
			t.Error("something is left")
		}
		buf := make([]byte, 100)
		for _, f := range []func(dst, pkt []byte) (int, error){tx.Protect, tx.Unprotect, tx.ProtectRTCP, tx.UnprotectRTCP} {
			_, err := f(buf, pkt)
			wantErr(t, "after Close", err, ErrClosed)
		}
		if _, err := unprotect(rx, pkt); err != nil {
			t.Error(err)
		}
		if _, err := unprotectRTCP(rx, rtcp); err != nil {
			t.Error(err)
		}
	})
}

func TestNothingAllocatesAfterTheFirstPacket(t *testing.T) {
	eachProfile(t, func(t *testing.T, tx, rx *Context) {
		const legs = 8
		buf, payload, head := make([]byte, 1500), make([]byte, 1200), packet(1, 0)
		rtcp := report(1, 5)
		var txs [legs]*Context
		var rxs [legs]*Context
		var dsts [legs][]byte
		for i := range legs {
			txs[i], rxs[i], dsts[i] = newContext(t, tx.profile, byte(i)), newContext(t, tx.profile, byte(i)), make([]byte, 1300)
		}
		var b Batch
		seq := uint16(0)
		once := func() {
			seq++
			head[2], head[3] = byte(seq>>8), byte(seq)
			n := copy(buf, head)
			n, err := tx.Protect(buf, buf[:n+1000])
			if err == nil {
				_, err = rx.Unprotect(buf, buf[:n])
			}
			if err != nil {
				t.Fatal(err)
			}
			n = copy(buf, rtcp)
			if n, err = tx.ProtectRTCP(buf, buf[:n]); err == nil {
				_, err = rx.UnprotectRTCP(buf, buf[:n])
			}
			if err != nil {
				t.Fatal(err)
			}
			b.Reset()
			for i, d := range dsts {
				copy(d, head)
				b.AddSplit(txs[i], d, 12, payload)
			}
			b.Protect()
			var lens [legs]int
			for i := range lens {
				lens[i], _ = b.Result(i)
			}
			b.Reset()
			for i, d := range dsts {
				b.Add(rxs[i], d, d[:lens[i]])
			}
			b.Unprotect()
			for i := range lens {
				if _, err := b.Result(i); err != nil {
					t.Fatal(err)
				}
			}
		}
		once()
		if n := testing.AllocsPerRun(200, once); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
