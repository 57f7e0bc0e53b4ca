package srtp

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"
)

// A second packet under one index would repeat an AEAD nonce. The negative
// twin: AES-CM, and a caller who vouches for the bytes.
func TestClass02_NonceReuseRefused(t *testing.T) {
	eachProfile(t, func(t *testing.T, tx, _ *Context) {
		first := protect(t, tx, packet(1, 100, 1, 2, 3))
		protect(t, tx, packet(1, 101))
		protect(t, tx, packet(2, 100)) // another source, another nonce
		buf := make([]byte, 64)
		_, err := tx.Protect(buf, packet(1, 100, 9, 9, 9))
		if !tx.profile.aead() {
			wantErr(t, "AES-CM, repeated", err, nil)
			return
		}
		wantErr(t, "repeated", err, ErrReuse)
		if bytes.IndexFunc(buf, func(r rune) bool { return r != 0 }) >= 0 {
			t.Error("dst was written")
		}
		protect(t, tx, packet(1, 100+Window))
		_, err = tx.Protect(buf, packet(1, 100))
		wantErr(t, "too old to tell", err, ErrReuse)
		tx.AllowRepeats()
		if again := protect(t, tx, packet(1, 100, 1, 2, 3)); !bytes.Equal(again, first) {
			t.Error("a repetition that was vouched for differs")
		}
	})
}

func TestClass12_SpoofedSourcesLeaveNothing(t *testing.T) {
	eachProfile(t, func(t *testing.T, tx, rx *Context) {
		pkt := protect(t, tx, packet(0, 1, 5, 5, 5))
		rtcp := protectRTCP(t, tx, report(0, 2))
		n := uint32(1_000_000)
		if testing.Short() {
			n = 10_000
		}
		var b Batch
		for ssrc := uint32(1); ssrc <= n; ssrc++ {
			binary.BigEndian.PutUint32(pkt[8:], ssrc)
			binary.BigEndian.PutUint32(rtcp[4:], ssrc)
			switch ssrc % 4 {
			case 0:
				if _, err := rx.Unprotect(pkt, pkt); err != ErrAuth {
					t.Fatal(err)
				}
			case 1:
				if _, err := rx.UnprotectRTCP(rtcp, rtcp); err != ErrAuth {
					t.Fatal(err)
				}
			default:
				b.Reset()
				b.Add(rx, pkt, pkt)
				b.Unprotect()
				if _, err := b.Result(0); err != ErrAuth {
					t.Fatal(err)
				}
			}
		}
		if rx.Sources() != 0 || rx.streams.slots != nil || rx.reports.slots != nil {
			t.Errorf("%d sources kept", rx.Sources())
		}
		// The negative twin: an authentic packet makes state.
		if _, err := unprotect(rx, protect(t, tx, packet(7, 1))); err != nil || rx.Sources() != 1 {
			t.Errorf("authentic packet: %v, %d sources", err, rx.Sources())
		}
	})
}

func TestClass13_UnencryptedSRTCPRefused(t *testing.T) {
	eachProfile(t, func(t *testing.T, tx, rx *Context) {
		pkt := protectRTCP(t, tx, report(9, 3))
		at := len(pkt) - indexLen
		if !tx.profile.aead() {
			at -= cmTag
		}
		pkt[at] &^= 0x80
		_, err := unprotectRTCP(rx, pkt)
		wantErr(t, "E=0", err, ErrPlain)
		pkt[at] |= 0x80
		got, err := unprotectRTCP(rx, pkt)
		if err != nil || !bytes.Equal(got, report(9, 3)) {
			t.Errorf("E=1: %x, %v", got, err)
		}
	})
}

// Every length from 0 to 64, of every direction, with guards around dst.
func TestClass14_ShortPackets(t *testing.T) {
	eachProfile(t, func(t *testing.T, tx, rx *Context) {
		for n := range 65 {
			for _, first := range []byte{0x80, 0x8f, 0x90, 0x9f, 0xbf, 0x00, 0xff} {
				pkt := bytes.Repeat([]byte{0xff}, n)
				if n > 0 {
					pkt[0] = first
				}
				for room := 0; room <= n+24; room++ {
					buf := make([]byte, room+8)
					for name, f := range map[string]func(dst, pkt []byte) (int, error){
						"Protect": tx.Protect, "ProtectRTCP": tx.ProtectRTCP, "Unprotect": rx.Unprotect, "UnprotectRTCP": rx.UnprotectRTCP,
					} {
						tx.repeats = true
						got, err := f(buf[:room:room], pkt)
						if got > room || (err != nil && got != 0) {
							t.Fatalf("%s of %d bytes into %d: %d, %v", name, n, room, got, err)
						}
					}
					if !bytes.Equal(buf[room:], make([]byte, 8)) {
						t.Fatalf("%d bytes into %d: written beyond", n, room)
					}
				}
			}
		}
		// The negative twin: the shortest there are.
		if _, err := unprotect(rx, protect(t, tx, packet(3, 1))); err != nil {
			t.Error(err)
		}
		if _, err := unprotectRTCP(rx, protectRTCP(t, tx, report(3, 0))); err != nil {
			t.Error(err)
		}
	})
}

func TestClass15_FlippedBitNeverDelivered(t *testing.T) {
	eachProfile(t, func(t *testing.T, tx, rx *Context) {
		plain := packet(0x01020304, 1000, []byte("a payload of some bytes")...)
		pkt := protect(t, tx, plain)
		var b Batch
		for bit := range 8 * len(pkt) {
			bad := bytes.Clone(pkt)
			bad[bit/8] ^= 1 << (bit % 8)
			b.Reset()
			b.Add(rx, bytes.Clone(bad), bad)
			b.Unprotect()
			if _, err := b.Result(0); err == nil {
				t.Fatalf("bit %d: the batch delivers it", bit)
			}
			dst := bytes.Clone(bad)
			if _, err := rx.Unprotect(dst, bad); err == nil || bytes.Contains(dst, []byte("load")) {
				t.Fatalf("bit %d: %v, %q", bit, err, dst)
			}
		}
		if rx.Sources() != 0 {
			t.Error("a forgery made state")
		}
		if got, err := unprotect(rx, pkt); err != nil || !bytes.Equal(got, plain) {
			t.Errorf("the packet itself: %v", err)
		}

		rtcp := protectRTCP(t, tx, report(5, 6))
		for bit := range 8 * len(rtcp) {
			bad := bytes.Clone(rtcp)
			bad[bit/8] ^= 1 << (bit % 8)
			if _, err := unprotectRTCP(rx, bad); err == nil {
				t.Fatalf("RTCP bit %d is accepted", bit)
			}
		}
		if got, err := unprotectRTCP(rx, rtcp); err != nil || !bytes.Equal(got, report(5, 6)) {
			t.Errorf("the report itself: %v", err)
		}
	})
}

func TestClass16_ForgeriesDoNotEndTheSession(t *testing.T) {
	eachProfile(t, func(t *testing.T, tx, rx *Context) {
		if _, err := unprotect(rx, protect(t, tx, packet(1, 65000, 1))); err != nil {
			t.Fatal(err)
		}
		good := protect(t, tx, packet(1, 65001, 1))
		n := 1_000_000
		if testing.Short() {
			n = 10_000
		}
		r := rand.New(rand.NewPCG(1, 2))
		forged := make([]byte, len(good))
		for range n {
			copy(forged, good)
			binary.BigEndian.PutUint16(forged[2:], uint16(r.Uint32()))
			forged[len(forged)-1] ^= 1
			if _, err := rx.Unprotect(forged, forged); err == nil {
				t.Fatal("forgery accepted")
			}
		}
		if _, err := unprotect(rx, good); err != nil {
			t.Errorf("after %d forgeries: %v", n, err)
		}
	})
}

func TestClass18_ReplayWindowEdges(t *testing.T) {
	eachProfile(t, func(t *testing.T, tx, rx *Context) {
		tx.AllowRepeats()
		const top = 1<<16 + 5 // just past the wrap
		var pkts [top + 1][]byte
		for i := 60000; i <= top; i++ {
			pkts[i] = protect(t, tx, packet(1, uint16(i), 1))
		}
		check := func(what string, i int, want error) {
			t.Helper()
			_, err := unprotect(rx, pkts[i])
			wantErr(t, what, err, want)
		}
		check("first", 60000, nil)
		check("after the wrap", top, nil)
		check("again", top, ErrReplay)
		check("oldest in the window", top-Window+1, nil)
		check("oldest, again", top-Window+1, ErrReplay)
		check("one too old", top-Window, ErrReplay)
		check("within, across the wrap", 65535, nil)
		check("across the wrap, again", 65535, ErrReplay)
		check("newest of all, again", top, ErrReplay)
		for i := top - Window + 2; i < top; i++ {
			want := error(nil)
			if i == 65535 {
				want = ErrReplay
			}
			check("inside", i, want)
		}
	})
}

func TestClass18_ReplayedReportRefused(t *testing.T) {
	eachProfile(t, func(t *testing.T, tx, rx *Context) {
		a, b := protectRTCP(t, tx, report(1, 1)), protectRTCP(t, tx, report(1, 1))
		for _, v := range []struct {
			pkt  []byte
			want error
		}{{b, nil}, {b, ErrReplay}, {a, nil}, {a, ErrReplay}} {
			_, err := unprotectRTCP(rx, v.pkt)
			wantErr(t, "report", err, v.want)
		}
		tx.sentRTCP += Window
		if _, err := unprotectRTCP(rx, protectRTCP(t, tx, report(1, 1))); err != nil {
			t.Fatal(err)
		}
		if _, err := unprotectRTCP(rx, a); err != ErrReplay {
			t.Errorf("too old: %v", err)
		}
	})
}

func TestClass20_KeyLimits(t *testing.T) {
	eachProfile(t, func(t *testing.T, tx, rx *Context) {
		const last = MaxRTP - 1
		for _, c := range []*Context{tx, rx} {
			s := c.streams.add(1)
			s.accept(last - 1)
			s.top = s.ahead
		}
		buf := make([]byte, 64)
		final := protect(t, tx, packet(1, 65535))
		_, err := tx.Protect(buf, packet(1, 0))
		wantErr(t, "index 2^48", err, ErrLimit)

		wrapped := bytes.Clone(final)
		binary.BigEndian.PutUint16(wrapped[2:], 0)
		_, err = unprotect(rx, wrapped)
		wantErr(t, "received index 2^48", err, ErrLimit)
		_, err = unprotect(rx, final)
		wantErr(t, "received index 2^48-1", err, nil)

		tx.sent = MaxRTP - 1
		protect(t, tx, packet(2, 1))
		_, err = tx.Protect(buf, packet(2, 2))
		wantErr(t, "packet 2^48", err, ErrLimit)

		tx.sentRTCP = MaxRTCP - 1
		if _, err := unprotectRTCP(rx, protectRTCP(t, tx, report(1, 1))); err != nil {
			t.Errorf("last report: %v", err)
		}
		_, err = tx.ProtectRTCP(buf, report(1, 1))
		wantErr(t, "report 2^31", err, ErrLimit)
	})
}

// Packets as long as a datagram go through, longer ones are refused.
func TestClass28_JumboPackets(t *testing.T) {
	eachProfile(t, func(t *testing.T, tx, rx *Context) {
		most := MaxPacket - tx.profile.Overhead()
		plain := packet(1, 1, make([]byte, most-12)...)
		got, err := unprotect(rx, protect(t, tx, plain))
		if err != nil || !bytes.Equal(got, plain) {
			t.Errorf("%d bytes: %v", most, err)
		}
		buf := make([]byte, 1<<17)
		_, err = tx.Protect(buf, packet(1, 2, make([]byte, most-11)...))
		wantErr(t, "too long to protect", err, ErrFormat)
		_, err = rx.Unprotect(buf, packet(1, 2, make([]byte, 1<<16)...))
		wantErr(t, "too long to unprotect", err, ErrFormat)
		_, err = tx.ProtectRTCP(buf, make([]byte, 1<<16))
		wantErr(t, "report too long", err, ErrFormat)
		_, err = rx.UnprotectRTCP(buf, append(report(1, 0), make([]byte, 1<<16)...))
		if err == nil {
			t.Error("report too long is accepted")
		}
	})
}
