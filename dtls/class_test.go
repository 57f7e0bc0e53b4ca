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

// hello is a ClientHello of somebody else, as a datagram.
func foreignHello(change func(h *clientHello)) []byte {
	h := clientHello{
		version: VersionDTLS12, suites: []uint16{ECDHE_ECDSA_AES128_GCM_SHA256}, compressions: []byte{0},
		groups: groups[:], schemes: allSchemes, ems: true,
	}
	h.random[0] = 0xee
	if change != nil {
		change(&h)
	}
	return plainRecord(ContentHandshake, newMessage(typeClientHello, 0, h.append(nil)).raw)
}

func TestClass01_SpoofedHelloNeverKillsSession(t *testing.T) {
	only13 := foreignHello(func(h *clientHello) { h.versions = []uint16{VersionDTLS13} })
	garbage := plainRecord(ContentHandshake, newMessage(typeClientHello, 0, []byte{0xfe, 0xfd, 1, 2, 3}).raw)
	longer := plainRecord(ContentHandshake, appendFragment(nil, fragment{typ: 1, length: 9000, body: make([]byte, 100)}))

	t.Run("before the genuine one", func(t *testing.T) {
		w := newWorld(t, 1, nil)
		w.server.Start(w.now)
		for i := 0; i < 1000; i++ {
			w.server.HandlePacket(w.now, garbage)
			w.server.HandlePacket(w.now, longer)
		}
		w.handshake()
		w.checkData()
	})
	t.Run("while shaking hands", func(t *testing.T) {
		w := newWorld(t, 1, nil)
		w.start()
		w.step() // the genuine hello has arrived
		for i := 0; i < 10 && !w.bothConnected(); i++ {
			for k := 0; k < 100; k++ {
				for _, b := range [][]byte{foreignHello(nil), only13, garbage, longer} {
					w.server.HandlePacket(w.now, b)
				}
			}
			w.step()
		}
		if !w.bothConnected() {
			t.Fatal(w.client.events, w.server.events)
		}
		if n := w.server.Stats().Resent; n > 2 {
			t.Fatalf("spoofed hellos made the server send %d flights", n)
		}
		w.checkSecrets()
		w.checkData()
	})
	t.Run("on the live session", func(t *testing.T) {
		for _, handed := range []bool{false, true} {
			w := newWorld(t, 1, nil)
			w.handshake()
			w.settle()
			if handed {
				w.checkData()
			}
			for i := 0; i < 1000; i++ {
				w.now = w.now.Add(time.Second)
				for _, b := range [][]byte{foreignHello(nil), only13, garbage, longer} {
					w.server.HandlePacket(w.now, b)
					if n := len(w.server.transmit(w.now)); n != 0 {
						t.Fatal("a late hello was answered")
					}
				}
			}
			w.server.drainEvents()
			if w.server.closedErr() != nil {
				t.Fatal("session died:", w.server.closedErr())
			}
			w.checkSecrets()
			w.checkData()
		}
	})
	t.Run("twin: an incompatible genuine hello is answered", func(t *testing.T) {
		w := newWorld(t, 1, nil)
		w.server.Start(w.now)
		w.server.HandlePacket(w.now, only13)
		w.server.drainEvents()
		if !isAlert(w.server.closedErr(), AlertProtocolVersion, true) || len(w.server.transmit(w.now)) != 1 {
			t.Fatal(w.server.events)
		}
	})
}

func TestClass02_ExplicitNonceIsEpochAndSequence(t *testing.T) {
	w := newWorld(t, 3, func(c, s *Config) { c.MTU, s.MTU = 300, 300 })
	w.loss, w.dup = 0.3, 0.2 // so that Finished is sealed several times
	seen := map[*end]map[uint64]bool{w.client: {}, w.server: {}}
	check := func(from *end, b []byte) {
		for len(b) > 0 {
			rec, rest, ok := SplitRecord(b)
			if !ok {
				t.Fatal("we sent something that is no record")
			}
			if b = rest; Epoch(rec) == 0 {
				continue
			}
			nonce := binary.BigEndian.Uint64(rec[headerLen:])
			if nonce != binary.BigEndian.Uint64(rec[3:]) || nonce>>48 != 1 {
				t.Fatalf("nonce %016x in record %x", nonce, rec[:headerLen])
			}
			if seen[from][nonce] {
				t.Fatalf("nonce %016x used twice", nonce)
			}
			seen[from][nonce] = true
		}
	}
	w.sent = check
	w.handshake()
	if len(seen[w.client]) < 2 {
		t.Fatal("Finished was sealed but once; choose another seed")
	}
	buf := make([]byte, 64)
	for _, e := range []*end{w.client, w.server} {
		e.takeRecords()
		for i := 0; i < 10_000; i++ {
			n, err := e.rec.Seal(buf, []byte("x"))
			if err != nil {
				t.Fatal(err)
			}
			check(e, buf[:n])
		}
	}
	// The twin: a record sealed with the nonce of another does not open.
	rec := seal(t, w.client.rec, []byte("x"))
	binary.BigEndian.PutUint64(rec[headerLen:], 1<<48)
	if _, _, err := w.server.rec.Open(buf, rec); err != ErrAuth {
		t.Fatal(err)
	}
}

func TestClass03_PlaintextApplicationDataIsNeverAccepted(t *testing.T) {
	plain := plainRecord(ContentApplicationData, []byte("plain"))
	w := newWorld(t, 1, nil)
	w.start()
	buf := make([]byte, 64)
	for i := 0; i < 6; i++ {
		for _, e := range []*end{w.client, w.server} {
			if err := e.HandlePacket(w.now, plain); err != ErrEpoch {
				t.Fatal(err)
			}
		}
		w.step()
	}
	if !w.bothConnected() || w.client.EarlyData(buf)+w.server.EarlyData(buf) != 0 {
		t.Fatal("plaintext was kept")
	}
	w.checkData()
	if _, _, err := w.server.rec.Open(buf, plain); err != ErrEpoch {
		t.Fatal(err)
	}
	for _, typ := range []uint8{ContentAlert, ContentHandshake, ContentChangeCipherSpec} {
		if _, _, err := w.server.rec.Open(buf, plainRecord(typ, []byte{2, 40})); err != ErrEpoch {
			t.Fatal(err)
		}
	}
}

// Possession: the certificate is right, the signature is another key's.
func TestClass04_ProofOfPossessionIsDemanded(t *testing.T) {
	stolen := func(of string) *Certificate {
		own := testCerts["other"]
		return &Certificate{chain: testCerts[of].chain, signer: own.signer, kind: own.kind}
	}
	w := newWorld(t, 1, func(c, s *Config) { c.Certificate = stolen("client") })
	w.start()
	w.run(time.Minute, nil)
	if err := w.server.closedErr(); !isAlert(err, AlertDecryptError, true) || !errors.Is(err, ErrSignature) || w.server.connected() {
		t.Fatal("thief of a client certificate:", w.server.events)
	}
	w = newWorld(t, 1, func(c, s *Config) { s.Certificate = stolen("server") })
	w.start()
	w.run(time.Minute, nil)
	if err := w.client.closedErr(); !isAlert(err, AlertDecryptError, true) || !errors.Is(err, ErrSignature) || w.client.connected() {
		t.Fatal("thief of a server certificate:", w.client.events)
	}
}

func TestClass04_ClientWithoutCertificateIsRefused(t *testing.T) {
	for name, tc := range map[string]struct {
		m     message
		alert Alert
	}{
		"empty chain":    {newMessage(typeCertificate, 1, appendCertificate12(nil, nil)), AlertHandshakeFailure},
		"no certificate": {newMessage(typeClientKeyExchange, 1, []byte{1, 9}), AlertUnexpectedMessage},
		"not a chain":    {newMessage(typeCertificate, 1, []byte{0, 0, 9, 1}), AlertDecodeError},
		"not X.509":      {newMessage(typeCertificate, 1, appendCertificate12(nil, [][]byte{{0x30, 0}})), AlertBadCertificate},
	} {
		w := newWorld(t, 1, func(c, s *Config) { s.RemoteFingerprints, s.AwaitFingerprints = nil, true })
		w.server.Start(w.now)
		w.server.HandlePacket(w.now, foreignHello(nil))
		w.server.transmit(w.now)
		w.server.HandlePacket(w.now, plainRecord(ContentHandshake, tc.m.raw))
		w.server.drainEvents()
		if !isAlert(w.server.closedErr(), tc.alert, true) {
			t.Errorf("%s: %v", name, w.server.events)
		}
	}
}

func TestClass05_06_WrongFingerprintNeverConnects(t *testing.T) {
	wrong := fps(testCerts["other"])
	for _, role := range []Role{Client, Server} {
		for _, when := range []string{"known", "late", "changed"} {
			w := newWorld(t, 1, func(c, s *Config) {
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

func TestClass05_06_TwinLateFingerprintsConnect(t *testing.T) {
	for _, late := range []time.Duration{0, 15 * time.Millisecond, 25 * time.Millisecond, time.Second, 20 * time.Second} {
		w := newWorld(t, 1, func(c, s *Config) {
			c.RemoteFingerprints, s.RemoteFingerprints = nil, nil
			c.AwaitFingerprints, s.AwaitFingerprints = true, true
		})
		w.start()
		w.run(late, nil)
		if w.client.connected() || w.server.connected() {
			t.Fatal("connected without fingerprints")
		}
		many := append(fps(testCerts["other"]), fps(testCerts["server"])...)
		w.client.SetRemoteFingerprints(nil)
		w.client.SetRemoteFingerprints(many)
		strong, _ := testCerts["client"].Fingerprint("SHA-512")
		w.server.SetRemoteFingerprints([]Fingerprint{strong})
		w.flush()
		w.run(5*time.Second, w.bothConnected)
		if !w.bothConnected() {
			t.Fatalf("after %v: %v %v", late, w.client.events, w.server.events)
		}
		w.checkSecrets()
		w.checkData()
	}
}

func TestClass05_VerifyPeerDecides(t *testing.T) {
	for _, refuse := range []bool{false, true} {
		calls := 0
		w := newWorld(t, 1, func(c, s *Config) {
			s.RemoteFingerprints = nil
			s.VerifyPeer = func(leaf []byte) error {
				calls++
				if refuse || !bytes.Equal(leaf, testCerts["client"].Chain()[0]) {
					return errors.New("no")
				}
				return nil
			}
		})
		w.start()
		w.run(5*time.Second, w.bothConnected)
		if calls != 1 || w.server.connected() == refuse {
			t.Fatalf("%d calls, events %v", calls, w.server.events)
		}
		if refuse && !errors.Is(w.server.closedErr(), ErrPeerRefused) {
			t.Fatal(w.server.closedErr())
		}
	}
}

func TestClass07_HalfOpenConnHoldsLittle(t *testing.T) {
	const n = 100
	conns := make([]*Conn, n)
	b := make([]byte, 1200)
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for i := range conns {
		c, err := New(Config{Role: Server, Certificate: testCerts["server"], AwaitFingerprints: true})
		if err != nil {
			t.Fatal(err)
		}
		conns[i] = c
		c.Start(1)
		for k := 0; k < 500; k++ {
			f := fragment{typ: 1, seq: uint16(k % 20), length: maxMessage, offset: k, body: b}
			c.HandlePacket(1, plainRecord(ContentHandshake, appendFragment(nil, f)))
			rec := plainRecord(ContentApplicationData, b)
			rec[4] = 1
			c.HandlePacket(1, rec)
		}
	}
	runtime.GC()
	runtime.ReadMemStats(&after)
	if each := (int64(after.HeapAlloc) - int64(before.HeapAlloc)) / n; each > maxReassembly+maxEarlyBytes+16<<10 {
		t.Fatalf("%d bytes each", each)
	}
	runtime.KeepAlive(conns)
}

func TestClass16_36_GarbageNeverKillsSession(t *testing.T) {
	for _, handed := range []bool{false, true} {
		w := newWorld(t, 1, nil)
		w.handshake()
		w.settle()
		if handed {
			w.checkData()
		}
		rng := mrand.New(mrand.NewPCG(16, 36))
		for i := 0; i < 100_000; i++ {
			e := w.client
			if i&1 == 0 {
				e = w.server
			}
			n := rng.IntN(120)
			b := make([]byte, n)
			for k := range b {
				b[k] = byte(rng.Uint32())
			}
			if n >= headerLen && i%4 != 0 { // most look like records
				putHeader(b, uint8(20+rng.IntN(4)), uint64(rng.IntN(3))<<48|rng.Uint64N(1<<48), n-headerLen)
			}
			w.now = w.now.Add(time.Millisecond)
			e.receive(w.now, b)
			if i%1000 == 0 {
				w.flush()
				w.flying = nil
			}
		}
		w.flush()
		if w.client.closedErr() != nil || w.server.closedErr() != nil {
			t.Fatal(w.client.events, w.server.events)
		}
		w.checkSecrets()
		w.checkData()
		if handed && w.server.rec.Stats().Forged == 0 {
			t.Fatal("no forgery got as far as the key")
		}
	}
}

func TestClass18_ReplayedRecordsAreDropped(t *testing.T) {
	a, b := recordPair(t)
	var recs [][]byte
	for i := 0; i < 600; i++ {
		recs = append(recs, seal(t, a, []byte{byte(i)}))
	}
	buf := make([]byte, 64)
	open := func(i int) error {
		_, _, err := b.Open(buf, recs[i])
		return err
	}
	// Window edge, old ones, and the same ones again.
	for _, tc := range []struct {
		seq int
		err error
	}{{5, nil}, {5, ErrReplay}, {4, nil}, {300, nil}, {299, nil}, {4, ErrReplay}, {20, ErrReplay}, {108, nil}, {108, ErrReplay}, {599, nil}, {300, ErrReplay}} {
		if err := open(tc.seq); err != tc.err {
			t.Fatalf("record %d: %v, want %v", tc.seq, err, tc.err)
		}
	}
	// A forged record far ahead does not move the window.
	forged := slices.Clone(recs[598])
	binary.BigEndian.PutUint64(forged[3:], 1<<48|1<<40)
	if _, _, err := b.Open(buf, forged); err != ErrAuth {
		t.Fatal(err)
	}
	if err := open(598); err != nil {
		t.Fatal("a forgery moved the window:", err)
	}
}

// The server's last flight is lost; the client repeats flight 5 after the server
// has handed its record layer over.
func TestClass36_LostLastFlightIsRepeatedAfterHandOver(t *testing.T) {
	for _, via := range []string{"flight 5", "sealed"} {
		w := newWorld(t, 1, nil)
		drop := true
		w.filter = func(to *end, b []byte) bool {
			if to == w.client && w.server.connected() && drop {
				return false
			}
			rec, _, _ := SplitRecord(b)
			return to == w.client || w.server.rec == nil || via != "sealed" || Epoch(rec) == 1
		}
		w.start()
		w.run(time.Minute, w.server.connected)
		w.server.takeRecords()
		w.settle()
		drop = false
		if via == "sealed" { // the client's datagram holds both; keep its Finished only
			w.run(200*time.Millisecond, nil)
			w.client.onlyFinished(t, w)
		}
		start := w.now
		w.run(20*time.Second, w.client.connected)
		if !w.client.connected() {
			t.Fatalf("%s: client never connected: %+v", via, w.server.Stats())
		}
		if w.now.Sub(start) > time.Second {
			t.Fatalf("%s: took %v", via, w.now.Sub(start))
		}
		w.checkSecrets()
		w.checkData()
	}
}

// onlyFinished sends the last message of the client's flight 5 alone.
func (e *end) onlyFinished(t *testing.T, w *world) {
	t.Helper()
	if !e.out.again(w.now, 0) {
		t.Fatal("client has no flight")
	}
	for i := range e.out.items[:len(e.out.items)-1] {
		e.out.items[i].done = true
	}
	w.flush()
}

func TestRepeatedLastFlightIsBounded(t *testing.T) {
	w := newWorld(t, 1, nil)
	w.handshake()
	w.settle()
	w.checkData()
	forged := plainRecord(ContentHandshake, newMessage(typeClientKeyExchange, 2, []byte{1, 2}).raw)
	sent := 0
	start := w.now
	for w.now.Sub(start) < 10*time.Second {
		w.server.HandlePacket(w.now, forged)
		sent += len(w.server.transmit(w.now))
		w.now = w.now.Add(time.Millisecond)
	}
	if sent == 0 || sent > 2*80 { // twice per 250 ms, a CCS and a Finished each
		t.Fatalf("%d packets in 10 s", sent)
	}
	w.now = start.Add(lastFlightLinger)
	w.server.HandlePacket(w.now, forged)
	if n := len(w.server.transmit(w.now)); n != 0 {
		t.Fatal("the last flight is repeated for ever")
	}
	w.checkData()
}

// Every bit of every record matters: none can be flipped unnoticed.
func TestClass15_FlippedBitsAreNeverDelivered(t *testing.T) {
	a, b := recordPair(t)
	rec := seal(t, a, []byte("payload"))
	buf := make([]byte, 64)
	for bit := 0; bit < 8*len(rec); bit++ {
		bad := slices.Clone(rec)
		bad[bit/8] ^= 1 << (bit % 8)
		if _, _, err := b.Open(buf, bad); err == nil {
			t.Fatalf("bit %d flipped and accepted", bit)
		}
	}
	if _, _, err := b.Open(buf, rec); err != nil {
		t.Fatal(err)
	}
}

// Counters of years: a clock near the end of its range, and long pauses.
func TestClass40_LateClockWorks(t *testing.T) {
	w := newWorld(t, 1, nil)
	w.now = 1 << 61
	w.loss = 0.2
	w.handshake()
	w.loss = 0
	w.settle()
	w.checkSecrets()
	w.checkData()
}
