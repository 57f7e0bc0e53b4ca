package srtp

import (
	"bytes"
	"fmt"
	"testing"
)

func TestFanOutLeavesThePayloadAlone(t *testing.T) {
	eachProfile(t, func(t *testing.T, tx, _ *Context) {
		payload := bytes.Repeat([]byte("shared "), 100)
		orig := bytes.Clone(payload)
		var b Batch
		const legs = 20
		dsts := make([][]byte, legs)
		for i := range dsts {
			dsts[i] = make([]byte, 1500)
			header := copy(dsts[i], packet(uint32(i), uint16(1000+i)))
			b.AddSplit(newContext(t, tx.profile, byte(i)), dsts[i], header, payload)
		}
		b.Protect()
		if !bytes.Equal(payload, orig) {
			t.Error("the payload was written")
		}
		if b.Len() != legs {
			t.Errorf("Len is %d", b.Len())
		}
		for i, d := range dsts {
			n, err := b.Result(i)
			if err != nil {
				t.Fatal(err)
			}
			plain := packet(uint32(i), uint16(1000+i), payload...)
			if want := protect(t, newContext(t, tx.profile, byte(i)), plain); !bytes.Equal(d[:n], want) {
				t.Errorf("leg %d differs from Protect", i)
			}
			got, err := unprotect(newContext(t, tx.profile, byte(i)), d[:n])
			if err != nil || !bytes.Equal(got, plain) {
				t.Errorf("leg %d: %v", i, err)
			}
		}
	})
}

func TestBatchMixesProfilesAndErrors(t *testing.T) {
	var b Batch
	var rx []*Context
	closed := newContext(t, AEAD_AES_128_GCM, 9)
	closed.Close()
	buf := make([][]byte, 9)
	for i := range buf {
		buf[i] = make([]byte, 200)
		copy(buf[i], packet(uint32(i), 5))
		p := profiles[i%3]
		tx := newContext(t, p, byte(i))
		rx = append(rx, newContext(t, p, byte(i)))
		b.Add(tx, buf[i], buf[i][:100])
	}
	b.Add(closed, make([]byte, 99), packet(1, 1))
	b.Add(newContext(t, 1, 1), make([]byte, 21), packet(1, 1))
	b.Add(newContext(t, 7, 1), make([]byte, 99), packet(1, 1)[:11])
	b.AddSplit(newContext(t, 7, 1), packet(1, 1, make([]byte, 40)...), 16, []byte{1})
	b.AddSplit(newContext(t, 7, 1), packet(1, 1), -1, nil)
	b.AddSplit(newContext(t, 7, 1), packet(1, 1), 13, nil)
	b.AddSplit(newContext(t, 7, 1), packet(1, 1), 12, nil)
	b.Protect()
	var lens []int
	for i := range buf {
		n, err := b.Result(i)
		if wantErr(t, "good packet", err, nil); n != 100+profiles[i%3].Overhead() {
			t.Errorf("packet %d is %d bytes", i, n)
		}
		lens = append(lens, n)
	}
	for i, want := range []error{ErrClosed, ErrShort, ErrShort, ErrFormat, ErrShort, ErrShort, ErrShort} {
		n, err := b.Result(len(buf) + i)
		if wantErr(t, fmt.Sprint("bad packet ", i), err, want); n != 0 {
			t.Errorf("bad packet %d: length %d", i, n)
		}
	}

	b.Reset()
	for i, d := range buf {
		b.Add(rx[i], d, d[:lens[i]])
	}
	b.Add(closed, buf[0], buf[0])
	b.AddSplit(rx[0], make([]byte, 50), 12, nil)
	b.Unprotect()
	for i, d := range buf {
		n, err := b.Result(i)
		if wantErr(t, "good packet", err, nil); !bytes.Equal(d[:n], append(packet(uint32(i), 5), make([]byte, 88)...)) {
			t.Errorf("packet %d differs", i)
		}
	}
	_, err := b.Result(len(buf))
	wantErr(t, "closed", err, ErrClosed)
	_, err = b.Result(len(buf) + 1)
	wantErr(t, "split", err, ErrFormat)
}

// Duplicates and a wrap within one batch, of a source that is new with it.
func TestBatchWrapAndDuplicatesOfNewSource(t *testing.T) {
	eachProfile(t, func(t *testing.T, tx, rx *Context) {
		seqs := []uint16{65534, 65535, 0, 65535, 1, 0, 65533, 2}
		sealed := map[uint16][]byte{}
		for _, s := range seqs {
			if sealed[s] == nil {
				sealed[s] = protect(t, tx, packet(1, s, []byte("plaintext")...))
			}
		}
		seen := map[uint16]bool{}
		var b Batch
		var bufs [][]byte
		for _, s := range seqs {
			buf := bytes.Clone(sealed[s])
			bufs = append(bufs, buf)
			b.Add(rx, buf, buf)
		}
		b.Unprotect()
		for i, s := range seqs {
			_, err := b.Result(i)
			want := error(nil)
			if seen[s] {
				want = ErrReplay
				if bytes.Contains(bufs[i], []byte("plain")) {
					t.Error("a duplicate's plaintext is left")
				}
			}
			wantErr(t, fmt.Sprint("seq ", s), err, want)
			seen[s] = true
		}
	})
}

// A forgery that leaps ahead must not make the packets behind it fail.
func TestBatchForgeryDoesNotMislead(t *testing.T) {
	eachProfile(t, func(t *testing.T, tx, rx *Context) {
		for round, base := range []uint16{100, 200} { // unknown source, then known
			var b Batch
			for i := range uint16(8) {
				good := protect(t, tx, packet(1, base+i, 1, 2, 3))
				bad := bytes.Clone(good)
				bad[2] += 0x7f + byte(i) // the sequence number leaps
				b.Add(rx, bad, bad)
				b.Add(rx, good, good)
			}
			b.Unprotect()
			for i := range b.Len() {
				want := error(nil)
				if i%2 == 0 {
					want = ErrAuth
				}
				_, err := b.Result(i)
				wantErr(t, fmt.Sprint("round ", round, " packet ", i), err, want)
			}
			forged := protect(t, tx, packet(1, base+8))
			forged[2] += 0x40
			b.Reset()
			b.Add(rx, forged, forged)
			b.Unprotect()
			if s := rx.streams.find(1); s.top != s.ahead {
				t.Errorf("round %d: top is left %d ahead", round, s.top-s.ahead)
			}
		}
	})
}

func TestResetDropsReferences(t *testing.T) {
	var b Batch
	tx := newContext(t, AEAD_AES_128_GCM, 1)
	b.Add(tx, make([]byte, 99), packet(1, 1))
	b.Protect()
	b.Reset()
	for _, it := range b.items[:cap(b.items)] {
		if it.ctx != nil || it.dst != nil || it.pkt != nil {
			t.Error("item kept")
		}
	}
	for _, j := range b.gcm[:cap(b.gcm)] {
		if j.Key != nil || j.Dst != nil || j.Src != nil || j.AAD != nil {
			t.Error("job kept")
		}
	}
}
