package dtls

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"
	"testing"

	aead "github.com/sluicertc/sluice/crypto"
)

// RFC 8448 §3, whose labels have the prefix of TLS.
func TestKeyScheduleOfRFC8448(t *testing.T) {
	s := suites13[0]
	s.prefix = "tls13 "
	check := func(name string, got []byte, want string) {
		t.Helper()
		if !bytes.Equal(got, unhex(want)) {
			t.Errorf("%s is %x, want %s", name, got, want)
		}
	}
	hs := s.handshakeSecret(unhex("8bd4054fb55b9d63fdfbacf9f04b9f0d35e6d63f537563efd46272900f89492d"))
	check("handshake secret", hs, "1dc826e93606aa6fdc0aadc12f741b01046aa6b99f691ed221a9f0ca043fbeac")
	master := s.masterSecret(hs)
	check("master secret", master, "18df06843d13a08bf2a449844c5f8a478001bc4d4c627984d5a41da8d0402919")
	finished := unhex("9608102a0f1ccc6db6250b7b7e417b1a000eaada3daae4777a7686c9ff83df13")
	check("client traffic", s.derive(master, "c ap traffic", finished), "9e40646ce79a7f9dc05af8889bce6552875afa0b06df0087f792ebb7c17504a5")
	server := s.derive(master, "s ap traffic", finished)
	check("server traffic", server, "a11af9f05531f856ad47116b45a950328204b4f44bfb6b3a4b4f1f3fcb631643")
	check("exporter", s.derive(master, "exp master", finished), "fe22f881176eda18eb8f44529e6792c50c9a3f89452f68d8ae311b4309d3cf50")
	check("key", s.expand(server, "key", nil, 16), "9f02283b6c9c07efc26bb9f2ac92e356")
	check("iv", s.expand(server, "iv", nil, 12), "cf782b88dd83549aadf1e984")
}

// RFC 9001 §A.2 and §A.5: QUIC's header protection is the same function.
func TestNumberMaskOfRFC9001(t *testing.T) {
	for _, v := range []struct {
		chacha            bool
		key, sample, mask string
	}{
		{false, "9f50449e04a0e810283a1e9933adedd2", "d1b1c98dd7689fb8ec11d242b123dc9b", "437b9aec36"},
		{true, "25a282b9e82f06f21f488917a4fc8f1b73573685608597d0efcb076b0ab7a7a4", "5e5cd55c41f69080575d7999c25a5bfb", "aefefe7d03"},
	} {
		m, err := newNumberMask(v.chacha, unhex(v.key))
		if err != nil {
			t.Fatal(err)
		}
		got := make([]byte, 5)
		if m.apply(got, unhex(v.sample)); !bytes.Equal(got, unhex(v.mask)) {
			t.Errorf("mask %x, want %s", got, v.mask)
		}
	}
}

func TestNearestSequenceNumber(t *testing.T) {
	for _, c := range []struct {
		next, low uint64
		bits      uint
		want      uint64
	}{
		{0, 0, 8, 0}, {0, 255, 8, 255}, {1, 0, 8, 0}, {200, 10, 8, 266}, {256, 255, 8, 255}, {256, 0, 8, 256},
		{0x1ff, 0, 8, 0x200}, {0x10000, 0xffff, 16, 0xffff}, {0xfff0, 5, 16, 0x10005}, {5, 0xfff0, 16, 0xfff0},
		{1 << 47, 0, 16, 1 << 47}, {1<<47 - 1, 3, 16, 1<<47 + 3},
	} {
		if got := nearest(c.next, c.low, c.bits); got != c.want {
			t.Errorf("nearest(%x, %x, %d) = %x, want %x", c.next, c.low, c.bits, got, c.want)
		}
	}
}

// records13Pair is both ends of an epoch.
func records13Pair(t testing.TB, s *suite13, epoch uint16) (a, b *Records) {
	t.Helper()
	k1, k2 := bytes.Repeat([]byte{1}, s.hashLen), bytes.Repeat([]byte{2}, s.hashLen)
	a, err := newRecords13(s, epoch, k1, k2)
	if err != nil {
		t.Fatal(err)
	}
	if b, err = newRecords13(s, epoch, k2, k1); err != nil {
		t.Fatal(err)
	}
	return a, b
}

func TestV13RecordsOfEverySuiteAndLength(t *testing.T) {
	for i := range suites13 {
		a, b := records13Pair(t, &suites13[i], epochTraffic)
		for _, n := range []int{0, 1, 15, 16, 17, 100, 1200, maxFragment} {
			msg := bytes.Repeat([]byte{byte(n + 1)}, n)
			for where := 0; where < 3; where++ {
				dst := make([]byte, n+RecordOverhead)
				src := msg
				if where < 2 && n > 0 {
					src = dst[where*a.Headroom():][:n]
					copy(src, msg)
				}
				k, err := a.Seal(dst, src)
				if err != nil || k != n+a.Overhead() {
					t.Fatal(k, err)
				}
				rec, rest, ok := SplitRecord(append(dst[:k:k], 9))
				if !ok || len(rec) != k || len(rest) != 1 || Epoch(rec) != 3 || !b.Owns(rec) {
					t.Fatal("does not split")
				}
				into := rec
				switch where {
				case 1:
					into = rec[min(len(rec), RecordHeadroom):]
				case 2:
					into = make([]byte, k)
				}
				m, typ, err := b.Open(into, rec)
				if err != nil || typ != ContentApplicationData || !bytes.Equal(into[:m], msg) {
					t.Fatalf("%04x, %d bytes, case %d: %d %v", suites13[i].id, n, where, m, err)
				}
				if _, _, err := b.Open(make([]byte, k), dst[:k]); err == nil {
					t.Fatal("opened twice")
				}
			}
		}
		if _, err := a.Seal(make([]byte, 2*maxFragment), make([]byte, maxFragment+1)); err != ErrTooLong {
			t.Fatal(err)
		}
		if _, err := a.Seal(make([]byte, overhead13), []byte{1}); err != ErrShortBuffer {
			t.Fatal(err)
		}
	}
}

// foreign13 seals as another implementation may: with any header and padding.
func foreign13(p *protection, seq uint64, contentType uint8, msg []byte, wide, length bool, padding int) []byte {
	inner := append(append(slices.Clone(msg), contentType), make([]byte, padding)...)
	h := []byte{unifiedMark | byte(p.epoch&3)}
	if wide {
		h[0] |= unifiedSeq16
		h = append(h, byte(seq>>8))
	}
	h = append(h, byte(seq))
	number := len(h) - 1
	if length {
		h[0] |= unifiedLength
		h = binary.BigEndian.AppendUint16(h, uint16(len(inner)+tagLen))
	}
	out := append(slices.Clone(h), make([]byte, len(inner)+tagLen)...)
	job := aead.GCMJob{Key: p.gcm, Nonce: p.nonce(seq), AAD: h, Src: inner, Dst: out[len(h):]}
	if p.gcm == nil {
		p.sealSlow(&job)
	} else {
		aead.SealBatch([]aead.GCMJob{job})
	}
	p.mask.apply(out[1:1+number], out[len(h):])
	return out
}

func TestV13RecordsOfEveryHeaderForm(t *testing.T) {
	for i := range suites13 {
		for form := 0; form < 4; form++ {
			a, b := records13Pair(t, &suites13[i], epochTraffic)
			for seq := uint64(0); seq < 600; seq += 1 + seq%3 {
				rec := foreign13(a.seal, seq, ContentApplicationData, []byte("message"), form&1 != 0, form&2 != 0, int(seq%40))
				if got, rest, ok := SplitRecord(rec); !ok || len(got) != len(rec) || len(rest) != 0 {
					t.Fatal("does not split")
				}
				dst := make([]byte, len(rec))
				n, _, err := b.Open(dst, rec)
				if err != nil || string(dst[:n]) != "message" {
					t.Fatalf("form %d, sequence number %d: %v", form, seq, err)
				}
			}
		}
	}
}

func TestV13RecordsRefuse(t *testing.T) {
	s := &suites13[0]
	a, b := records13Pair(t, s, epochTraffic)
	good := func() []byte { return foreign13(a.seal, 5, ContentApplicationData, []byte("x"), true, true, 0) }
	cid := good()
	cid[0] |= unifiedCID
	epoch := good()
	epoch[0] ^= 2
	for name, c := range map[string]struct {
		rec []byte
		err error
	}{
		"empty":         {[]byte{}, ErrRecord},
		"connection ID": {cid, ErrRecord},
		"another epoch": {epoch, ErrEpoch},
		"short":         {[]byte{0x2f, 0, 0, 0, 16, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, ErrRecord},
		"cut":           {good()[:20], ErrRecord},
		"plaintext":     {plainRecord(ContentApplicationData, []byte("x")), ErrEpoch},
		"far too long":  {foreign13(a.seal, 9, ContentApplicationData, make([]byte, maxFragment+256), true, true, 0), ErrRecord},
	} {
		if _, _, err := b.Open(make([]byte, 2*maxFragment), c.rec); err != c.err {
			t.Errorf("%s: %v, want %v", name, err, c.err)
		}
	}
	for name, c := range map[string]struct { // which Conn ends the association for
		rec []byte
		typ uint8
	}{
		"all padding":      {foreign13(a.seal, 16, 0, nil, true, true, 3), contentNone},
		"unknown type":     {foreign13(a.seal, 17, 99, []byte("x"), true, true, 0), 99},
		"ChangeCipherSpec": {foreign13(a.seal, 18, ContentChangeCipherSpec, []byte{1}, true, true, 0), ContentChangeCipherSpec},
		"too long":         {foreign13(a.seal, 19, ContentApplicationData, make([]byte, maxFragment+1), true, true, 0), contentOverflow},
	} {
		if _, typ, err := b.Open(make([]byte, 2*maxFragment), c.rec); err != nil || typ != c.typ {
			t.Errorf("%s: %d, %v", name, typ, err)
		}
	}
	for bit := 0; bit < 8*len(good()); bit++ {
		rec := good()
		rec[bit/8] ^= 1 << (bit % 8)
		if _, _, err := b.Open(make([]byte, 64), rec); err == nil {
			t.Fatalf("bit %d is not protected", bit)
		}
	}
	if n, _, err := b.Open(make([]byte, 64), good()); n != 1 || err != nil {
		t.Fatal("twin:", err)
	}
	if _, _, err := b.Open(make([]byte, 64), good()); err != ErrReplay {
		t.Fatal(err)
	}
	if _, _, err := b.Open(nil, foreign13(a.seal, 10, ContentApplicationData, nil, true, true, 0)); err != ErrShortBuffer {
		t.Fatal(err)
	}
}

func TestV13LimitsOfKeys(t *testing.T) {
	a, b := records13Pair(t, &suites13[0], epochTraffic)
	buf := make([]byte, 100)
	a.seal.blocks = maxSealBlocks/4*3 - 1
	if a.WantsUpdate() {
		t.Fatal("too early")
	}
	a.seal.blocks += 2
	if !a.WantsUpdate() || a.Exhausted() {
		t.Fatal("too late")
	}
	a.seal.blocks = maxSealBlocks
	if _, err := a.Seal(buf, []byte("x")); err != ErrKeyExhausted {
		t.Fatal(err)
	}
	c, _ := records13Pair(t, &suites13[2], epochTraffic)
	c.seal.blocks = maxSealBlocks // ChaCha20-Poly1305 has no such limit (RFC 9147 §4.5.3)
	if _, err := c.Seal(buf, []byte("x")); err != nil {
		t.Fatal(err)
	}
	c.seal.next = maxSequence + 1
	if _, err := c.Seal(buf, []byte("x")); err != ErrKeyExhausted {
		t.Fatal(err)
	}
	b.stats.Forged = maxForgeries
	if _, _, err := b.Open(make([]byte, 100), foreign13(a.seal, 1, ContentApplicationData, nil, true, true, 0)); err != ErrKeyExhausted || !b.Exhausted() {
		t.Fatal(err)
	}
}

// A batch of associations of every kind opens as it was sealed, in order, in
// place and elsewhere.
func TestBatchOfEveryVersion(t *testing.T) {
	type link struct{ a, b *Records }
	var links []link
	for i := range suites13 {
		a, b := records13Pair(t, &suites13[i], epochTraffic)
		links = append(links, link{a, b})
	}
	for _, chacha := range []bool{false, true} {
		k, iv := bytes.Repeat([]byte{7}, 32), make([]byte, ivLen)
		a, err := newRecords12(chacha, k, k, iv, iv)
		b, err2 := newRecords12(chacha, k, k, iv, iv)
		if err != nil || err2 != nil {
			t.Fatal(err, err2)
		}
		links = append(links, link{a, b})
	}
	var batch Batch
	for round := 0; round < 4; round++ {
		var seal, open []RecordJob
		for i := 0; i < 20; i++ {
			l := links[i%len(links)]
			msg := []byte(fmt.Sprintf("message %d of round %d", i, round))
			cell := make([]byte, len(msg)+l.a.Overhead())
			at := cell[l.a.Headroom():][:copy(cell[l.a.Headroom():], msg)]
			seal = append(seal, RecordJob{Records: l.a, Dst: cell, Src: at})
		}
		batch.SealBatch(seal)
		for i, j := range seal {
			if j.Err != nil || j.N != len(j.Dst) {
				t.Fatal(i, j.N, j.Err)
			}
			o := RecordJob{Records: links[i%len(links)].b, Src: j.Dst}
			if round%2 == 1 {
				o.Dst = make([]byte, 100)
			}
			open = append(open, o)
			if i == 7 { // the twin: once more, and damaged
				bad := slices.Clone(j.Dst)
				bad[len(bad)-1] ^= 1
				open = append(open, RecordJob{Records: o.Records, Src: slices.Clone(j.Dst)}, RecordJob{Records: o.Records, Src: bad})
			}
		}
		batch.OpenBatch(open)
		i := 0
		for k, j := range open {
			if k == 8 || k == 9 {
				if j.Err == nil || j.N != 0 {
					t.Fatalf("job %d: %v", k, j.Err)
				}
				continue
			}
			if want := fmt.Sprintf("message %d of round %d", i, round); j.Err != nil || string(j.Dst[:j.N]) != want {
				t.Fatalf("job %d: %v %q", k, j.Err, j.Dst[:j.N])
			}
			i++
		}
	}
}

func TestV13RecordsAllocateNothing(t *testing.T) {
	for i := range suites13 {
		if chachaAllocates && suites13[i].id == CHACHA20_POLY1305_SHA256 {
			continue
		}
		a, b := records13Pair(t, &suites13[i], epochTraffic)
		buf, msg := make([]byte, 1300), make([]byte, 1200)
		var batch Batch
		jobs := make([]RecordJob, 8)
		cells := make([][]byte, len(jobs))
		for k := range cells {
			cells[k] = make([]byte, 1300)
		}
		if n := testing.AllocsPerRun(200, func() {
			n, err := a.Seal(buf, msg)
			if err == nil {
				_, _, err = b.Open(buf, buf[:n])
			}
			if err != nil {
				t.Fatal(err)
			}
			for k := range jobs {
				jobs[k] = RecordJob{Records: a, Dst: cells[k], Src: cells[k][a.Headroom():][:1200]}
			}
			batch.SealBatch(jobs)
			for k := range jobs {
				jobs[k] = RecordJob{Records: b, Src: cells[k][:jobs[k].N]}
			}
			batch.OpenBatch(jobs)
			for k := range jobs {
				if jobs[k].Err != nil {
					t.Fatal(jobs[k].Err)
				}
			}
		}); n != 0 {
			t.Errorf("%04x: %v allocations", suites13[i].id, n)
		}
	}
}

func TestV13KeyUpdateOfRecords(t *testing.T) {
	for i := range suites13 {
		a, b := records13Pair(t, &suites13[i], epochTraffic)
		buf, dst := make([]byte, 100), make([]byte, 100)
		for epoch := epochTraffic; epoch < epochTraffic+9; epoch++ {
			n, _ := a.Seal(buf, []byte("overtaken"))
			late := slices.Clone(buf[:n])
			seq := a.seal.next
			n, err := a.SealAs(buf, ContentHandshake, newMessage(typeKeyUpdate, epoch, []byte{0}).raw)
			if err != nil || !a.updating {
				t.Fatal(err)
			}
			m, typ, err := b.Open(dst, buf[:n])
			if err != nil || typ != ContentHandshake || binary.BigEndian.Uint64(dst[m-numberLen:]) != uint64(epoch)<<48|seq {
				t.Fatal(typ, err)
			}
			// An ACK of anything else changes nothing.
			for _, other := range []recordNumber{0, recordNumber(epoch) << 48, recordNumber(epoch+1)<<48 | recordNumber(seq), recordNumber(epoch)<<48 | recordNumber(seq+1)} {
				if a.acknowledged(appendACK(nil, []recordNumber{other})); seq != 0 && a.seal.epoch != epoch {
					t.Fatalf("ACK of %x changed the key", other)
				}
			}
			k, _ := b.SealAs(buf, ContentACK, appendACK(nil, []recordNumber{recordNumber(epoch)<<48 | recordNumber(seq)}))
			if _, typ, err := a.Open(dst, buf[:k]); err != nil || typ != ContentACK {
				t.Fatal(typ, err)
			}
			if a.seal.epoch != epoch+1 || a.updating {
				t.Fatal("the key is still the old one")
			}
			n, _ = a.Seal(buf, []byte("new"))
			if m, _, err := b.Open(dst, buf[:n]); err != nil || string(dst[:m]) != "new" {
				t.Fatal(err)
			}
			// The same message again, because the ACK reached Conn after Records.
			if _, err := a.SealAs(buf, ContentHandshake, newMessage(typeKeyUpdate, epoch, []byte{0}).raw); err != nil || a.updating {
				t.Fatal("a repeated KeyUpdate counts twice")
			}
			if m, _, err := b.Open(dst, late); err != nil || string(dst[:m]) != "overtaken" {
				t.Fatal(err)
			}
		}
	}
}
