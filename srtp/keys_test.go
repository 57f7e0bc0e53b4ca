package srtp

import (
	"bytes"
	"math"
	"testing"
)

// keyed makes a context with an MKI.
func keyed(t testing.TB, p Profile, n byte, mki string) *Context {
	t.Helper()
	c := newContext(t, p, n)
	if err := c.SetMKI([]byte(mki)); err != nil {
		t.Fatal(err)
	}
	return c
}

func addKey(t testing.TB, c *Context, n byte, mki string) {
	t.Helper()
	p := c.Profile()
	if err := c.AddKey([]byte(mki), bytes.Repeat([]byte{n}, p.KeyLen()), bytes.Repeat([]byte{^n}, p.SaltLen())); err != nil {
		t.Fatal(err)
	}
}

// RFC 3711 §3.1 and §3.4, RFC 7714 §8 and §9: where the identifier stands.
func TestMKIStandsBeforeTheTagOfCMAndBehindThatOfGCM(t *testing.T) {
	for _, p := range profiles {
		with, without := keyed(t, p, 1, "ABC"), newContext(t, p, 1)
		pkt, rep := packet(7, 9, 1, 2, 3, 4, 5), report(7, 2)
		insert := func(b []byte, tag int) []byte {
			at := len(b)
			if !p.aead() {
				at -= tag
			}
			return append(append(bytes.Clone(b[:at]), "ABC"...), b[at:]...)
		}
		got, want := protectGrown(t, with, pkt), insert(protect(t, without, pkt), p.TagLen())
		if !bytes.Equal(got, want) {
			t.Errorf("%v: RTP %x\nwant %x", p, got, want)
		}
		b := make([]byte, len(rep)+with.OverheadRTCP())
		n := must(with.ProtectRTCP(b, rep))(t)
		if want := insert(protectRTCP(t, without, rep), p.TagLenRTCP()); n != len(b) || !bytes.Equal(b, want) {
			t.Errorf("%v: RTCP %x\nwant %x", p, b, want)
		}
		rx := keyed(t, p, 1, "ABC")
		if back, err := unprotect(rx, got); err != nil || !bytes.Equal(back, pkt) {
			t.Errorf("%v: RTP opened %x, %v", p, back, err)
		}
		if back, err := unprotectRTCP(rx, b); err != nil || !bytes.Equal(back, rep) {
			t.Errorf("%v: RTCP opened %x, %v", p, back, err)
		}
	}
}

// A change of the key in the middle of a stream: packets of both are on their
// way at once, the replay window is one, and the old key can be taken away.
func TestRekeyingLosesNoPacketAndForgetsNoReplay(t *testing.T) {
	for _, p := range profiles {
		for _, cryptex := range []Cryptex{CryptexOff, CryptexOn} {
			tx, rx := keyed(t, p, 1, "a"), keyed(t, p, 1, "a")
			tx.SetCryptex(cryptex)
			rx.SetCryptex(cryptex)
			addKey(t, tx, 2, "b")
			addKey(t, rx, 2, "b")
			var sent [][]byte
			var batch Batch
			for seq := range uint16(20) {
				if seq == 10 {
					if err := tx.UseKey([]byte("b")); err != nil {
						t.Fatal(err)
					}
				}
				b := make([]byte, 200)
				batch.Add(tx, b, append(packet(7, 65530+seq), 1, 2, 3))
				batch.Protect()
				sent = append(sent, b[:must(batch.Result(0))(t)])
				batch.Reset()
			}
			order := []int{0, 11, 15, 9, 1, 10, 2, 14, 3, 12, 4, 13, 5, 16, 6, 17, 7, 18, 8, 19}
			out := make([][]byte, len(sent))
			for _, i := range order {
				out[i] = make([]byte, 200)
				batch.Add(rx, out[i], sent[i])
			}
			batch.Unprotect()
			for k, i := range order {
				n, err := batch.Result(k)
				if err != nil || !bytes.Equal(out[i][:n], append(packet(7, 65530+uint16(i)), 1, 2, 3)) {
					t.Errorf("%v: packet %d: %v", p, i, err)
				}
			}
			for i := range sent {
				_, err := unprotect(rx, sent[i])
				wantErr(t, "a packet again", err, ErrReplay)
			}
			if err := rx.UseKey([]byte("b")); err != nil {
				t.Fatal(err)
			}
			if err := rx.RemoveKey([]byte("a")); err != nil {
				t.Fatal(err)
			}
			if err := tx.UseKey([]byte("a")); err != nil {
				t.Fatal(err)
			}
			late := protectGrown(t, tx, packet(7, 100, 1))
			_, err := unprotect(rx, late)
			wantErr(t, "a packet under a key taken away", err, ErrMKI)
		}
	}
}

func TestEveryKeyHasItsOwnLimit(t *testing.T) {
	tx := keyed(t, AEAD_AES_128_GCM, 1, "a")
	addKey(t, tx, 2, "b")
	tx.sent = MaxRTP
	_, err := tx.Protect(make([]byte, 100), packet(7, 1))
	wantErr(t, "a key at its limit", err, ErrLimit)
	if err := tx.UseKey([]byte("b")); err != nil {
		t.Fatal(err)
	}
	if _, err := tx.Protect(make([]byte, 100), packet(7, 1)); err != nil {
		t.Errorf("a fresh key: %v", err)
	}
	if err := tx.UseKey([]byte("a")); err != nil {
		t.Fatal(err)
	}
	_, err = tx.Protect(make([]byte, 100), packet(7, 2))
	wantErr(t, "the first key again", err, ErrLimit)
}

func TestKeysThatDoNotFitAreRefused(t *testing.T) {
	p := AEAD_AES_128_GCM
	key, salt := make([]byte, p.KeyLen()), make([]byte, p.SaltLen())
	c := newContext(t, p, 1)
	wantErr(t, "AddKey without MKI", c.AddKey([]byte("b"), key, salt), ErrKeys)
	wantErr(t, "UseKey without MKI", c.UseKey(nil), ErrKeys)
	wantErr(t, "empty MKI", c.SetMKI(nil), ErrKeys)
	wantErr(t, "long MKI", c.SetMKI(make([]byte, MaxMKI+1)), ErrKeys)
	wantErr(t, "MKI", c.SetMKI([]byte("aa")), nil)
	wantErr(t, "a second MKI", c.SetMKI([]byte("bb")), ErrKeys)
	wantErr(t, "MKI of another length", c.AddKey([]byte("b"), key, salt), ErrKeys)
	wantErr(t, "MKI in use", c.AddKey([]byte("aa"), key, salt), ErrKeys)
	wantErr(t, "short key", c.AddKey([]byte("bb"), key[1:], salt), ErrKeyLen)
	wantErr(t, "unknown key", c.UseKey([]byte("bb")), ErrKeys)
	wantErr(t, "key in use", c.RemoveKey([]byte("aa")), ErrKeys)
	for i := range MaxKeys - 1 {
		wantErr(t, "a further key", c.AddKey([]byte{'k', byte(i)}, key, salt), nil)
	}
	wantErr(t, "one too many", c.AddKey([]byte("zz"), key, salt), ErrKeys)
	for _, pkt := range [][]byte{packet(1, 1), packet(1, 1, 1, 2), packet(1, 1, make([]byte, 40)...)} {
		if _, err := unprotect(c, pkt); err == nil {
			t.Errorf("%d bytes without a tag are taken", len(pkt))
		}
	}
	for n := range 30 {
		if _, err := unprotectRTCP(c, report(1, 10)[:n]); err == nil {
			t.Errorf("RTCP of %d bytes is taken", n)
		}
	}
	other := c.others[0].rtp.gcm
	c.Close()
	wantErr(t, "after Close", c.SetMKI([]byte("aa")), ErrKeys)
	defer func() {
		if recover() == nil {
			t.Error("a key lives on after Close")
		}
	}()
	s := session{gcm: other, tag: gcmTag}
	x := &Context{profile: p, rtp: s}
	x.streams.seed = 1
	_, _ = x.Protect(make([]byte, 100), packet(1, 1))
}

// What a successor takes over: no packet is taken twice, none that is new is
// refused, no index is used twice.
func TestStateGoesOverToASuccessor(t *testing.T) {
	pair := func(p Profile) (tx, rx *Context) {
		tx, rx = keyed(t, p, 1, "a"), keyed(t, p, 1, "a")
		addKey(t, tx, 2, "b")
		addKey(t, rx, 2, "b")
		return tx, rx
	}
	for _, p := range profiles {
		tx, rx := pair(p)
		must(0, tx.UseKey([]byte("b")))(t)
		var old, waiting [][]byte
		seq := uint16(0)
		for i := range 30000 { // three times around
			ssrc := uint32(i % 3)
			if ssrc == 0 {
				seq += 20
			}
			b := protectGrown(t, tx, packet(ssrc, seq, byte(i)))
			if i > 29900 && i%11 == 0 {
				waiting = append(waiting, b)
				continue
			}
			if _, err := unprotect(rx, b); err != nil {
				t.Fatal(err)
			}
			old = append(old, b)
		}
		for i := range uint32(5) {
			b := make([]byte, 100)
			b = b[:must(tx.ProtectRTCP(b, report(i, 1)))(t)]
			if _, err := unprotectRTCP(rx, b); err != nil {
				t.Fatal(err)
			}
		}
		txState, rxState := tx.AppendState(nil), rx.AppendState([]byte("x"))[1:]
		tx2, rx2 := pair(p)
		must(0, tx2.RestoreState(txState))(t)
		must(0, rx2.RestoreState(rxState))(t)
		if again := tx2.AppendState(nil); !bytes.Equal(again, txState) {
			t.Errorf("%v: the sender's state changes on its way", p)
		}
		if again := rx2.AppendState(nil); !bytes.Equal(again, rxState) {
			t.Errorf("%v: the receiver's state changes on its way", p)
		}
		for _, b := range old[len(old)-500:] {
			_, err := unprotect(rx2, b)
			wantErr(t, "a packet again", err, ErrReplay)
		}
		for _, b := range waiting {
			if _, err := unprotect(rx2, b); err != nil {
				t.Errorf("%v: a packet that was on its way: %v", p, err)
			}
		}
		pkt := packet(1, seq+1, 1)
		a, b := protectGrown(t, tx, pkt), protectGrown(t, tx2, pkt)
		if !bytes.Equal(a, b) {
			t.Errorf("%v: the successor protects differently", p)
		}
		if _, err := unprotect(rx2, b); err != nil {
			t.Errorf("%v: %v", p, err)
		}
		wantErr(t, "a state for a used context", tx2.RestoreState(txState), ErrState)
	}
}

func TestStateOfAnotherContextIsRefused(t *testing.T) {
	tx := newContext(t, AEAD_AES_128_GCM, 1)
	protect(t, tx, packet(1, 1, 1))
	state := tx.AppendState(nil)
	bad := map[string]*Context{
		"profile": newContext(t, AEAD_AES_256_GCM, 1),
		"MKI":     keyed(t, AEAD_AES_128_GCM, 1, "a"),
	}
	for what, c := range bad {
		wantErr(t, what, c.RestoreState(state), ErrState)
	}
	closed := newContext(t, AEAD_AES_128_GCM, 1)
	closed.Close()
	wantErr(t, "closed", closed.RestoreState(state), ErrState)
	for n := range state {
		wantErr(t, "cut short", newContext(t, AEAD_AES_128_GCM, 1).RestoreState(state[:n]), ErrState)
	}
	longMKI := append(bytes.Clone(state[:stateHead]), bytes.Repeat([]byte{255}, 1+255+8)...)
	wantErr(t, "a master key identifier of 255 bytes", newContext(t, AEAD_AES_128_GCM, 1).RestoreState(longMKI), ErrState)
	wantErr(t, "with something behind", newContext(t, AEAD_AES_128_GCM, 1).RestoreState(append(bytes.Clone(state), 0)), ErrState)
	twice := append(bytes.Clone(state), state[len(state)-stateStream:]...)
	twice[15] = 2
	wantErr(t, "a source twice", newContext(t, AEAD_AES_128_GCM, 1).RestoreState(twice), ErrState)
	wantErr(t, "whole", newContext(t, AEAD_AES_128_GCM, 1).RestoreState(state), nil)
}

func FuzzRestoreState(f *testing.F) {
	tx := newContext(f, AEAD_AES_128_GCM, 1)
	f.Add(tx.AppendState(nil))
	protect(f, tx, packet(1, 1, 1))
	f.Add(tx.AppendState(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		c := newContext(t, AEAD_AES_128_GCM, 1)
		if err := c.RestoreState(b); err != nil {
			if c.Sources() != 0 || c.sent != 0 || c.sentRTCP != 0 {
				t.Fatal("a refused state leaves traces")
			}
			return
		}
		// Streams come out by age, and those of one age do not exist.
		if again := c.AppendState(nil); !bytes.Equal(again, b) {
			t.Fatalf("%x\nbecame %x", b, again)
		}
		for _, s := range c.streams.byAge() {
			if s.ahead > math.MaxInt64 {
				t.Fatal("index out of range")
			}
		}
	})
}
