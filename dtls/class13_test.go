package dtls

import (
	"bytes"
	"encoding/binary"
	"errors"
	mrand "math/rand/v2"
	"runtime"
	"slices"
	"testing"
	"time"
)

// hello13 is a ClientHello of DTLS 1.3 of somebody else, as a datagram.
func hello13(t *testing.T, change func(h *clientHello)) []byte {
	t.Helper()
	_, shares, err := newOffer([]Group{GroupX25519}, keySource{})
	if err != nil {
		t.Fatal(err)
	}
	return foreignHello(func(h *clientHello) {
		h.suites, h.versions, h.shares = []uint16{AES128_GCM_SHA256}, []uint16{VersionDTLS13}, shares
		if change != nil {
			change(h)
		}
	})
}

// noise13 is what anybody can send.
func noise13(t *testing.T) [][]byte {
	return [][]byte{
		hello13(t, nil), foreignHello(nil), laterHello(t),
		hello13(t, func(h *clientHello) { h.shares = []keyShare{} }),
		hello13(t, func(h *clientHello) { h.cookie3 = bytes.Repeat([]byte{1}, 80) }),
		plainRecord(ContentHandshake, newMessage(typeClientHello, 0, []byte{0xfe, 0xfd, 1, 2, 3}).raw),
		plainRecord(ContentAlert, []byte{2, 40}),
		plainRecord(ContentACK, appendACK(nil, []recordNumber{0, 1, 2})),
		append([]byte{0x2e, 0, 0, 0, 40}, make([]byte, 40)...),
		append([]byte{0x2f, 0, 0, 0, 40}, make([]byte, 40)...),
	}
}

// laterHello is one that says it is a second.
func laterHello(t *testing.T) []byte {
	f, _, _ := parseFragment(hello13(t, nil)[headerLen:])
	return plainRecord(ContentHandshake, newMessage(typeClientHello, 1, f.body).raw)
}

func TestClass01_V13SpoofedHelloNeverKillsSession(t *testing.T) {
	noise := noise13(t)
	t.Run("while shaking hands", func(t *testing.T) {
		w := newWorld13(t, 1, nil)
		w.start()
		w.step()
		for i := 0; i < 10 && !w.bothConnected(); i++ {
			for k := 0; k < 50; k++ {
				for _, b := range noise {
					w.server.HandlePacket(w.now, b)
				}
			}
			w.step()
		}
		if !w.bothConnected() {
			t.Fatal(w.client.events, w.server.events)
		}
		w.settle()
		w.checkSecrets()
		w.checkData()
	})
	t.Run("on the live session", func(t *testing.T) {
		for _, handed := range []bool{false, true} {
			w := newWorld13(t, 1, nil)
			w.handshake()
			w.settle()
			if handed {
				w.checkData()
			}
			for i := 0; i < 500; i++ {
				w.now = w.now.Add(time.Second)
				for _, b := range noise {
					w.server.receive(w.now, b)
					w.client.receive(w.now, b)
					if n := len(w.server.transmit(w.now)) + len(w.client.transmit(w.now)); n != 0 {
						t.Fatalf("%x was answered", b[:20])
					}
				}
			}
			w.server.drainEvents()
			if w.server.closedErr() != nil || w.client.closedErr() != nil {
				t.Fatal("session died:", w.server.closedErr())
			}
			w.checkSecrets()
			w.checkData()
		}
	})
	t.Run("with cookies, before the genuine one", func(t *testing.T) {
		w := newWorld13(t, 1, func(c, s *Config) { s.HelloVerify = true })
		w.server.Start(w.now)
		for i := 0; i < 100; i++ {
			for _, b := range noise[:5] {
				w.server.HandlePacket(w.now, b)
				out := w.server.transmit(w.now)
				if len(out) > 1 || len(out) == 1 && len(out[0]) > len(b)+64 {
					t.Fatalf("a hello of %d bytes is answered with %d", len(b), len(out[0]))
				}
			}
		}
		w.handshake()
		w.checkData()
	})
}

func TestClass02_V13RecordNumbersAreNeverUsedTwice(t *testing.T) {
	w := newWorld13(t, 3, func(c, s *Config) { c.MTU, s.MTU = 300, 300 })
	w.loss, w.dup = 0.3, 0.2
	type key struct {
		p   *protection
		seq uint64
	}
	seen := map[key]bool{}
	repeats := 0
	w.sent = func(from *end, b []byte) {
		for len(b) > 0 {
			rec, rest, ok := SplitRecord(b)
			if !ok {
				t.Fatal("we sent something that is no record")
			}
			if b = rest; !unified(rec) {
				continue
			}
			p := from.records
			if handshakeBits(rec) {
				p = from.hand
			}
			low := slices.Clone(rec[1:3])
			p.seal.mask.apply(low, rec[headerLen13:])
			k := key{p.seal, nearest(p.seal.next, uint64(binary.BigEndian.Uint16(low)), 16)}
			if seen[k] {
				t.Fatalf("record number %d used twice", k.seq)
			}
			seen[k] = true
			repeats++
		}
	}
	w.handshake()
	w.run(time.Minute, nil)
	if w.client.Stats().Resent+w.server.Stats().Resent == 0 || repeats < 10 {
		t.Fatal("nothing was sent again; choose another seed")
	}
	// The twin: what was sealed under one number does not open under another.
	a, b := records13Pair(t, &suites13[0], epochTraffic)
	rec := seal(t, a, []byte("x"))
	rec[2] ^= 1
	if _, _, err := b.Open(make([]byte, 64), rec); err != ErrAuth {
		t.Fatal(err)
	}
}

func TestClass03_V13ApplicationDataOnlyInItsEpoch(t *testing.T) {
	plain := plainRecord(ContentApplicationData, []byte("plain"))
	w := newWorld13(t, 1, nil)
	w.start()
	buf := make([]byte, 64)
	for i := 0; i < 4; i++ {
		for _, e := range []*end{w.client, w.server} {
			if err := e.HandlePacket(w.now, plain); err != ErrEpoch {
				t.Fatal(err)
			}
		}
		w.step()
	}
	w.settle()
	w.checkData()
	for _, byServer := range []bool{false, true} { // authentic, but in the handshake's epoch
		w := newWorld13(t, 1, nil)
		w.start()
		w.run(time.Second, func() bool { return w.client.connected() })
		liar, victim := w.client, w.server
		if byServer {
			liar, victim = victim, liar
		}
		n, err := liar.hand.Seal(buf, []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		victim.HandlePacket(w.now, buf[:n])
		victim.drainEvents()
		if !isAlert(victim.closedErr(), AlertUnexpectedMessage, true) || victim.EarlyData(buf) != 0 {
			t.Fatal(victim.events)
		}
	}
}

func TestClass04_V13ProofOfPossessionIsDemanded(t *testing.T) {
	stolen := func(of string) *Certificate {
		own := testCerts["other"]
		return &Certificate{chain: testCerts[of].chain, signer: own.signer, kind: own.kind}
	}
	w := newWorld13(t, 1, func(c, s *Config) { c.Certificate = stolen("client") })
	w.start()
	w.run(time.Minute, nil)
	if err := w.server.closedErr(); !isAlert(err, AlertDecryptError, true) || !errors.Is(err, ErrSignature) || w.server.connected() {
		t.Fatal("thief of a client certificate:", w.server.events)
	}
	if !isAlert(w.client.closedErr(), AlertDecryptError, false) {
		t.Fatal("the thief was not told:", w.client.events)
	}
	w = newWorld13(t, 1, func(c, s *Config) { s.Certificate = stolen("server") })
	w.start()
	w.run(time.Minute, nil)
	if err := w.client.closedErr(); !isAlert(err, AlertDecryptError, true) || !errors.Is(err, ErrSignature) || w.client.connected() {
		t.Fatal("thief of a server certificate:", w.client.events)
	}
}

func TestClass05_06_V13WrongFingerprintNeverConnects(t *testing.T) {
	wrong := fps(testCerts["other"])
	for _, role := range []Role{Client, Server} {
		for _, when := range []string{"known", "late", "changed"} {
			w := newWorld13(t, 1, func(c, s *Config) {
				cfg := map[Role]*Config{Client: c, Server: s}[role]
				switch when {
				case "known":
					cfg.RemoteFingerprints = wrong
				case "late":
					cfg.RemoteFingerprints, cfg.AwaitFingerprints = nil, true
				}
			})
			e := map[Role]*end{Client: w.client, Server: w.server}[role]
			w.start()
			w.run(5*time.Second, func() bool { return e.closedErr() != nil || w.bothConnected() })
			if when != "known" {
				w.settle()
				if when == "late" && (e.connected() || e.Records() != nil) {
					t.Fatalf("%v connected without fingerprints", role)
				}
				if _, err := e.ExportKeyingMaterial(labelSRTP, nil, 60); when == "late" && err != ErrNotConnected {
					t.Fatalf("%v exports keys of an unverified peer", role)
				}
				e.SetRemoteFingerprints(wrong)
				w.flush()
			}
			w.run(5*time.Second, nil)
			if err := e.closedErr(); !isAlert(err, AlertBadCertificate, true) || !errors.Is(err, ErrFingerprint) {
				t.Fatalf("%v, %s: %v", role, when, e.events)
			}
			if when != "changed" && e.connected() {
				t.Fatalf("%v, %s: connected", role, when)
			}
			if err := w.peer(e).closedErr(); !isAlert(err, AlertBadCertificate, false) {
				t.Fatalf("%v, %s: peer got %v", role, when, w.peer(e).events)
			}
		}
	}
}

func TestClass07_33_V13HalfOpenConnHoldsLittle(t *testing.T) {
	const n = 50
	conns := make([]*Conn, n)
	b := make([]byte, 1200)
	hello := hello13(t, nil)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range conns {
		role := Role(i % 2)
		c, err := New(Config{Role: role, MaxVersion: VersionDTLS13, Certificate: testCerts["server"], AwaitFingerprints: true})
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = c
		c.Start(1)
		if role == Server {
			c.HandlePacket(1, hello)
		}
		for k := 0; k < 500; k++ {
			f := fragment{typ: 2, seq: uint16(k % 20), length: maxMessage, offset: k, body: b}
			c.HandlePacket(1, plainRecord(ContentHandshake, appendFragment(nil, f)))
			c.HandlePacket(1, append([]byte{0x2e + byte(k%2), 0, byte(k), 4, 176}, b...))
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n; each > maxReassembly+maxEarlyBytes+24<<10 {
		t.Fatalf("%d bytes for each half-open Conn", each)
	}
	runtime.KeepAlive(conns)
}

// Everything that was ever sent arrives again, at either side, in any order,
// damaged or not: nothing of it ends, changes or stalls the session.
func TestClass36_LateAndUndecryptablePackets(t *testing.T) {
	for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
		for seed := uint64(0); seed < 10; seed++ {
			w := newWorldOf(t, seed, version, func(c, s *Config) { c.MTU, s.MTU = 400, 400 })
			var all [][]byte
			w.sent = func(_ *end, b []byte) { all = append(all, slices.Clone(b)) }
			w.handshake()
			w.settle()
			w.sent = nil
			if seed%2 == 0 {
				w.checkData()
			}
			rng := mrand.New(mrand.NewPCG(seed, 2))
			for i := 0; i < 2000; i++ {
				b := slices.Clone(all[rng.IntN(len(all))])
				switch rng.IntN(3) {
				case 0:
					b[rng.IntN(len(b))] ^= byte(1 + rng.IntN(255))
				case 1:
					b = b[:rng.IntN(len(b)+1)]
				}
				e := []*end{w.client, w.server}[rng.IntN(2)]
				e.receive(w.now, b)
				w.now = w.now.Add(time.Duration(rng.IntN(20)) * time.Millisecond)
				w.client.transmit(w.now)
				w.server.transmit(w.now)
				w.client.HandleTimeout(w.now)
				w.server.HandleTimeout(w.now)
			}
			w.client.drainEvents()
			w.server.drainEvents()
			if len(w.client.events)+len(w.server.events) != 2 {
				t.Fatalf("%04x, seed %d: client %v, server %v", version, seed, w.client.events, w.server.events)
			}
			w.checkSecrets()
			w.checkData()
		}
	}
}

// A sealed datagram that reaches Conn after hand-over is named as such, so that
// its owner can be given it; what is Conn's own is not (it would go to and fro).
func TestV13HandOverKnowsWhoseRecordsAre(t *testing.T) {
	w := newWorld13(t, 1, nil)
	w.start()
	w.run(time.Second, w.client.connected)
	hand := w.client.hand
	w.run(time.Second, w.bothConnected)
	w.settle()
	w.checkData()
	data := seal(t, w.client.rec, []byte("x"))
	buf := make([]byte, 64)
	n, _ := hand.SealAs(buf, ContentHandshake, newMessage(typeFinished, 4, nil).raw)
	late := buf[:n]
	if err := w.server.HandlePacket(w.now, data); err != ErrHandedOver || !w.server.rec.Owns(data) {
		t.Fatal(err)
	}
	if err := w.server.HandlePacket(w.now, append(slices.Clone(late), data...)); err != ErrHandedOver {
		t.Fatal(err)
	}
	for epoch := byte(0); epoch < 4; epoch++ {
		rec := slices.Clone(data)
		rec[0] = rec[0]&^3 | epoch
		if owns, err := w.server.rec.Owns(rec), w.server.HandlePacket(w.now, rec); owns == (err != ErrHandedOver) {
			t.Fatalf("epoch bits %d: owned by Records: %v, and Conn says %v", epoch, owns, err)
		}
	}
}
