package dtls

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestV13HandshakeWithoutLossTakesThreeFlights(t *testing.T) {
	w := newWorld13(t, 1, nil)
	w.handshake()
	if got := time.Duration(w.now - 1e9); got > 3*w.delay {
		t.Fatalf("took %v, want one and a half round trips", got)
	}
	w.settle()
	if w.client.Stats().Resent+w.server.Stats().Resent != 0 {
		t.Fatal("a flight was repeated for nothing")
	}
	s, c := w.server.State(), w.client.State()
	if s.Version != VersionDTLS13 || s.CipherSuite != AES128_GCM_SHA256 || s.Group != GroupX25519MLKEM768 ||
		s.SRTPProfile != SRTP_AEAD_AES_128_GCM || s.SignatureScheme != ECDSAWithP256AndSHA256 {
		t.Fatalf("negotiated %+v", s)
	}
	if c.Version != s.Version || c.CipherSuite != s.CipherSuite || c.Group != s.Group || c.SignatureScheme != s.SignatureScheme || c.SRTPProfile != s.SRTPProfile {
		t.Fatalf("client believes %+v", c)
	}
	if w.client.Timeout() != 0 || w.server.Timeout() != 0 {
		t.Fatal("a timer runs after the handshake")
	}
	w.checkSecrets()
	w.checkData()
}

func TestV13HandshakeOverBadNetworks(t *testing.T) {
	for _, g := range groups {
		for _, loss := range []float64{0, 0.05, 0.30} {
			for _, mtu := range []int{256, 576, 1200, 1500} {
				t.Run(fmt.Sprintf("%v/loss%.0f/mtu%d", g, 100*loss, mtu), func(t *testing.T) {
					for seed := uint64(0); seed < 6; seed++ {
						w := newWorld13(t, seed, func(c, s *Config) {
							c.MTU, s.MTU = mtu, mtu
							c.Groups, s.Groups = []Group{g, GroupP256}, []Group{g}
							c.MinVersion = VersionDTLS13
							s.MinVersion = VersionDTLS13
							if g == GroupP256 {
								c.Groups = []Group{GroupX25519, g} // HelloRetryRequest
							}
							c.HandshakeTimeout, s.HandshakeTimeout = 2*time.Minute, 2*time.Minute
							s.HelloVerify = seed%4 == 3
						})
						w.loss, w.dup = loss, loss
						w.jitter = time.Duration(seed%3) * 15 * time.Millisecond
						w.handshake()
						w.loss = 0
						w.settle()
						w.checkSecrets()
						w.checkData()
						for _, n := range w.sizes {
							if n > mtu {
								t.Fatalf("datagram of %d bytes", n)
							}
						}
					}
				})
			}
		}
	}
}

func TestV13HandshakeWithEveryKindOfKey(t *testing.T) {
	for _, kc := range []string{"client", "p384", "ed25519", "rsa"} {
		for ks, scheme := range map[string]SignatureScheme{
			"server": ECDSAWithP256AndSHA256, "p384": ECDSAWithP384AndSHA384, "ed25519": Ed25519, "rsa": PSSWithSHA256,
		} {
			w := newWorld13(t, 1, func(c, s *Config) {
				c.Certificate, s.Certificate = testCerts[kc], testCerts[ks]
				c.RemoteFingerprints, s.RemoteFingerprints = fps(testCerts[ks]), fps(testCerts[kc])
			})
			w.handshake()
			w.checkSecrets()
			w.checkData()
			if got := w.client.State().SignatureScheme; got != scheme || w.server.State().SignatureScheme != scheme {
				t.Errorf("%s/%s: scheme %04x", kc, ks, got)
			}
		}
	}
}

func TestV13HandshakeNegotiates(t *testing.T) {
	pq, x, p256, p384 := GroupX25519MLKEM768, GroupX25519, GroupP256, GroupP384
	for name, tc := range map[string]struct {
		change func(h *clientHello)
		suite  uint16
	}{
		"default":  {func(h *clientHello) {}, AES128_GCM_SHA256},
		"AES-256":  {func(h *clientHello) { h.suites = []uint16{0x1a1a, AES256_GCM_SHA384} }, AES256_GCM_SHA384},
		"ChaCha20": {func(h *clientHello) { h.suites = []uint16{CHACHA20_POLY1305_SHA256} }, CHACHA20_POLY1305_SHA256},
		"GREASE":   {func(h *clientHello) { h.versions = []uint16{0x7a7a, VersionDTLS12, VersionDTLS13} }, AES128_GCM_SHA256},
	} {
		w := newWorld13(t, 1, nil)
		w.startWith(tc.change)
		w.run(time.Minute, w.bothConnected)
		if s := w.server.State(); !w.bothConnected() || s.CipherSuite != tc.suite {
			t.Fatalf("%s: %+v, client %v, server %v", name, s, w.client.events, w.server.events)
		}
		w.settle()
		w.checkSecrets()
		w.checkData()
	}
	for _, tc := range []struct {
		client, server []Group
		want           Group
		flights        int
	}{
		{nil, nil, pq, 3},
		{nil, []Group{x, pq}, x, 3},
		{nil, []Group{p256}, p256, 5},
		{[]Group{p384, x}, []Group{x, p384}, p384, 3}, // a share at hand
		{[]Group{p384, x}, []Group{x}, x, 5},
		{[]Group{x}, []Group{pq, x}, x, 3},
		{[]Group{p256, pq}, []Group{pq}, pq, 5},
	} {
		w := newWorld13(t, 1, func(c, s *Config) {
			c.Groups, s.Groups, s.MinVersion = tc.client, tc.server, VersionDTLS13
		})
		w.handshake()
		if got := w.client.State().Group; got != tc.want || w.server.State().Group != tc.want {
			t.Errorf("%v with %v: %v", tc.client, tc.server, got)
		}
		if n := int(w.now.Sub(1e9) / w.delay); n != tc.flights {
			t.Errorf("%v with %v: %d flights, want %d", tc.client, tc.server, n, tc.flights)
		}
		w.checkSecrets()
		w.checkData()
	}
}

func TestVersionsMeet(t *testing.T) {
	v12, v13 := VersionDTLS12, VersionDTLS13
	type bounds struct{ min, max uint16 }
	only12, both, only13 := bounds{v12, v12}, bounds{v12, v13}, bounds{v13, v13}
	for _, tc := range []struct {
		client, server bounds
		want           uint16
	}{
		{only12, only12, v12}, {only12, both, v12}, {both, only12, v12},
		{both, both, v13}, {only13, both, v13}, {both, only13, v13}, {only13, only13, v13},
		{only12, only13, 0}, {only13, only12, 0},
	} {
		for _, cookie := range []bool{false, true} {
			w := newWorld13(t, 1, func(c, s *Config) {
				c.MinVersion, c.MaxVersion = tc.client.min, tc.client.max
				s.MinVersion, s.MaxVersion = tc.server.min, tc.server.max
				s.HelloVerify = cookie
			})
			w.start()
			w.run(time.Minute, w.bothConnected)
			if tc.want == 0 {
				if !isAlert(w.server.closedErr(), AlertProtocolVersion, true) || !isAlert(w.client.closedErr(), AlertProtocolVersion, false) {
					t.Errorf("%v: client %v, server %v", tc, w.client.events, w.server.events)
				}
				continue
			}
			if !w.bothConnected() || w.client.State().Version != tc.want || w.server.State().Version != tc.want {
				t.Fatalf("%v: client %v, server %v", tc, w.client.events, w.server.events)
			}
			w.settle()
			w.checkSecrets()
			w.checkData()
		}
	}
}

// Somebody between the peers takes 1.3 out of the hello. In 1.2 as well as in 1.3
// the transcripts would differ, but the sentinel tells it before the server has
// proved anything (RFC 8446 §4.1.3).
func TestDowngradeIsDetected(t *testing.T) {
	for _, forged := range []bool{true, false} {
		w := newWorld13(t, 1, func(c, s *Config) { c.MTU, s.MTU = 4000, 4000 })
		w.server.Start(w.now)
		w.client.Start(w.now)
		w.flush()
		w.filter = func(to *end, b []byte) bool {
			f, _, ok := parseFragment(b[min(len(b), headerLen):])
			if !forged || to != w.server || !ok || f.typ != typeClientHello {
				return true
			}
			h, ok := parseClientHello(new(lists), f.body)
			if !ok {
				t.Fatal("hello does not parse")
			}
			h.versions, h.shares = []uint16{VersionDTLS12}, nil
			to.receive(w.now, plainRecord(ContentHandshake, newMessage(typeClientHello, f.seq, h.append(nil)).raw))
			return false
		}
		w.run(time.Minute, w.bothConnected)
		if !forged {
			if !w.bothConnected() {
				t.Fatal("twin:", w.client.events)
			}
			continue
		}
		if err := w.client.closedErr(); !isAlert(err, AlertIllegalParameter, true) || !errors.Is(err, ErrDowngrade) {
			t.Fatal(w.client.events)
		}
		if !isAlert(w.server.closedErr(), AlertIllegalParameter, false) {
			t.Fatal(w.server.events)
		}
	}
}

// A client that says it has tried more than DTLS 1.2 and failed is told that 1.3 is
// spoken here (RFC 7507); a server of 1.2 alone takes it.
func TestFallbackIsRefused(t *testing.T) {
	for _, most := range []uint16{VersionDTLS13, VersionDTLS12} {
		w := newWorldOf(t, 1, VersionDTLS13, func(c, s *Config) { c.MaxVersion, s.MaxVersion = VersionDTLS12, most })
		w.startWith(func(h *clientHello) { h.suites = append(slices.Clone(h.suites), scsvFallback) })
		w.run(10*time.Second, w.bothConnected)
		if most == VersionDTLS12 {
			if !w.bothConnected() {
				t.Error("twin:", w.server.events)
			}
			continue
		}
		if err := w.server.closedErr(); !isAlert(err, AlertInappropriateFallback, true) || !errors.Is(err, ErrDowngrade) {
			t.Error(w.server.events)
		}
		if err := w.client.closedErr(); !isAlert(err, AlertInappropriateFallback, false) {
			t.Error(w.client.events)
		}
	}
}

func TestV13CookieIsStatelessAndBound(t *testing.T) {
	w := newWorld13(t, 1, func(c, s *Config) { s.HelloVerify = true })
	w.handshake()
	if got := int(w.now.Sub(1e9) / w.delay); got != 5 {
		t.Fatalf("%d flights", got)
	}
	w.checkSecrets()
	secret := []byte("0123456789abcdef0123456789abcdef")
	mk := func(context string) *world {
		return newWorld13(t, 1, func(c, s *Config) {
			s.HelloVerify, s.CookieSecret, s.CookieContext = true, secret, []byte(context)
		})
	}
	for context, good := range map[string]bool{"192.0.2.1:1": true, "192.0.2.2:1": false} {
		// The second hello reaches another Conn than the first.
		w, other := mk("192.0.2.1:1"), mk(context)
		other.server.Start(w.now)
		w.start()
		w.step() // HelloRetryRequest is under way
		w.step() // and the second hello
		w.server = other.server
		for i := range w.flying {
			if w.flying[i].to != w.client {
				w.flying[i].to = w.server
			}
		}
		w.run(time.Minute, w.bothConnected)
		if w.bothConnected() != good {
			t.Fatalf("%s: client %v, server %v", context, w.client.events, w.server.events)
		}
		if good {
			w.checkSecrets()
		} else if !isAlert(w.client.closedErr(), AlertUnexpectedMessage, true) {
			t.Fatal(w.client.events)
		}
	}
}

// everyFault runs a handshake with one datagram lost, duplicated, delayed, or
// corrupted, for each datagram of each flight.
func TestEveryDatagramLostRepeatedDelayedOrCorrupted(t *testing.T) {
	for _, version := range []uint16{VersionDTLS12, VersionDTLS13} {
		for _, mtu := range []int{256, 700, 1200} {
			for _, fault := range []string{"lost", "repeated", "delayed", "corrupted"} {
				for nth := 0; ; nth++ {
					w := newWorldOf(t, 9, version, func(c, s *Config) {
						c.MTU, s.MTU = mtu, mtu
						s.HelloVerify = mtu == 700
					})
					i := -1
					w.filter = func(to *end, b []byte) bool {
						if i++; i != nth {
							return true
						}
						switch fault {
						case "lost":
							return false
						case "repeated":
							to.receive(w.now, b)
						case "delayed":
							w.flying = append(w.flying, wire{w.now.Add(3 * w.delay), to, b})
							return false
						case "corrupted":
							c := append([]byte(nil), b...)
							c[len(c)-1] ^= 0x40
							// What is plaintext is believed; only the sealed and
							// the unparsable are harmless to corrupt.
							if unified(c) || Epoch(c) != 0 {
								to.receive(w.now, c)
							}
							return false
						}
						return true
					}
					w.handshake()
					w.settle()
					w.run(10*time.Second, nil)
					w.checkSecrets()
					w.checkData()
					if w.client.closedErr() != nil || w.server.closedErr() != nil || w.client.Timeout() != 0 || w.server.Timeout() != 0 {
						t.Fatalf("%04x, mtu %d, datagram %d %s: %v %v", version, mtu, nth, fault, w.client.events, w.server.events)
					}
					if i < nth {
						break
					}
				}
			}
		}
	}
}

// One datagram of the server's flight is lost: its neighbours are acknowledged,
// and it alone comes again (RFC 9147 §7.2).
func TestV13OnlyTheMissingIsSentAgain(t *testing.T) {
	w := newWorld13(t, 1, func(c, s *Config) { c.MTU, s.MTU = 256, 256 })
	lost, count, resent := 0, 0, 0
	w.filter = func(to *end, b []byte) bool {
		if to != w.client {
			return true
		}
		if count++; count == 7 {
			lost = len(b)
			return false
		}
		if lost > 0 && unified(b) && w.server.Stats().Resent > 0 {
			resent += len(b)
		}
		return true
	}
	w.handshake()
	if lost == 0 || resent == 0 || resent > lost+2*headerLen {
		t.Fatalf("%d bytes were lost, %d sent again", lost, resent)
	}
	if w.server.Stats().Resent != 1 || w.client.Stats().Resent != 0 {
		t.Fatalf("server %+v, client %+v", w.server.Stats(), w.client.Stats())
	}
}

func TestV13LastFlightOrItsAckLost(t *testing.T) {
	for _, handed := range []bool{false, true} {
		for _, what := range []string{"flight", "ack"} {
			w := newWorld13(t, 1, nil)
			dropping := true
			w.filter = func(to *end, b []byte) bool {
				fin := unified(b) && to == w.server && w.client.connected()
				ack := unified(b) && to == w.client && w.server.connected()
				return !dropping || !(what == "flight" && fin || what == "ack" && ack)
			}
			w.start()
			w.run(time.Minute, w.client.connected)
			if handed {
				w.client.takeRecords()
			}
			w.run(2*time.Second, nil)
			if what == "ack" && !w.server.connected() || what == "flight" && w.server.connected() {
				t.Fatal("the filter is wrong")
			}
			if handed && w.server.connected() {
				w.server.takeRecords()
			}
			if w.client.Timeout() == 0 || w.client.Stats().Resent == 0 {
				t.Fatal("the last flight is not repeated")
			}
			dropping = false
			w.run(20*time.Second, nil)
			if !w.bothConnected() || w.client.Timeout() != 0 || w.server.Timeout() != 0 {
				t.Fatalf("%s, handed over %v: client %v, server %v", what, handed, w.client.events, w.server.events)
			}
			w.checkSecrets()
			w.checkData()
		}
	}
}

func TestV13ServerThatNeverAcknowledgesIsPutUpWith(t *testing.T) {
	w := newWorld13(t, 1, nil)
	w.filter = func(to *end, b []byte) bool { return !(unified(b) && w.server.connected() && to == w.client) }
	w.handshake()
	w.run(5*time.Minute, nil)
	if w.client.closedErr() != nil || w.client.Timeout() != 0 {
		t.Fatal(w.client.events)
	}
	w.checkData()
}

func TestV13EarlyDataIsKeptUntilHandOver(t *testing.T) {
	w := newWorld13(t, 1, nil)
	w.start()
	w.run(time.Minute, w.client.connected)
	w.client.takeRecords()
	buf := make([]byte, 256)
	n, _ := w.client.rec.Seal(buf, []byte("INIT")) // overtakes the last flight
	w.server.HandlePacket(w.now, buf[:n])
	if w.server.EarlyData(buf) != 0 {
		t.Fatal("data before Connected")
	}
	w.run(time.Minute, w.server.connected)
	w.server.takeRecords()
	if fmt.Sprintf("%s", w.server.data) != "[INIT]" {
		t.Fatalf("got %q", w.server.data)
	}
}

func TestV13CloseNotifyIsAnswered(t *testing.T) {
	for _, handed := range []bool{false, true} {
		w := newWorld13(t, 1, nil)
		w.handshake()
		w.settle()
		if handed {
			w.client.takeRecords()
			w.server.takeRecords()
		}
		w.client.Close(w.now)
		w.flush()
		w.settle()
		if w.client.closedErr() != ErrClosed || w.server.closedErr() != ErrCloseNotify {
			t.Fatal(w.client.events, w.server.events)
		}
		if _, err := w.server.ExportKeyingMaterial("EXPORTER-test", nil, 1); err != ErrNotConnected {
			t.Fatal("exports after the end:", err)
		}
	}
}

func TestV13KeysAreUpdated(t *testing.T) {
	for _, loss := range []float64{0, 0.4} {
		for _, handed := range []bool{false, true} {
			for seed := uint64(0); seed < 4; seed++ {
				w := newWorld13(t, seed, nil)
				w.handshake()
				w.run(10*time.Second, nil)
				if handed {
					w.checkData()
				}
				w.loss, w.jitter = loss, 30*time.Millisecond
				for round := 0; round < 6; round++ {
					from := []*end{w.client, w.server}[round%2]
					if err := from.UpdateKeys(w.now, round%3 == 0); err != nil {
						t.Fatal(err)
					}
					w.flush()
					w.run(time.Minute, nil)
				}
				w.loss = 0
				w.run(time.Minute, nil)
				for _, e := range []*end{w.client, w.server} {
					if e.closedErr() != nil || e.Timeout() != 0 || e.records.seal.epoch < 6 || e.records.seal.epoch != e.writeEpoch {
						t.Fatalf("loss %v, handed %v, seed %d: %s in epoch %d, %v", loss, handed, seed, e.name, e.records.seal.epoch, e.events)
					}
				}
				w.checkSecrets()
				w.checkData()
			}
		}
	}
	w := newWorld(t, 1, nil)
	if err := w.client.UpdateKeys(w.now, true); err != ErrNotConnected {
		t.Fatal(err)
	}
	w.handshake()
	if err := w.client.UpdateKeys(w.now, true); err != ErrVersion {
		t.Fatal(err)
	}
}

func TestV13PostHandshakeMessages(t *testing.T) {
	ticket := unhex("00000e100000000004aabbccdd0004010203040000")
	for name, tc := range map[string]struct {
		toClient bool
		m        message
		alert    Alert // 0: acknowledged and ignored
	}{
		"ticket":                {true, newMessage(typeNewSessionTicket, 0, ticket), 0},
		"cut ticket":            {true, newMessage(typeNewSessionTicket, 0, ticket[:9]), AlertDecodeError},
		"ticket from a client":  {false, newMessage(typeNewSessionTicket, 0, ticket), AlertUnexpectedMessage},
		"key update":            {false, newMessage(typeKeyUpdate, 0, []byte{0}), 0},
		"long key update":       {false, newMessage(typeKeyUpdate, 0, []byte{0, 0}), AlertDecodeError},
		"unknown key update":    {false, newMessage(typeKeyUpdate, 0, []byte{2}), AlertIllegalParameter},
		"hello":                 {false, newMessage(typeClientHello, 0, nil), AlertUnexpectedMessage},
		"certificate request":   {true, newMessage(typeCertificateRequest, 0, []byte{0, 0, 0}), AlertUnexpectedMessage},
		"request connection id": {true, newMessage(9, 0, []byte{1}), AlertUnexpectedMessage},
		"finished":              {true, newMessage(typeFinished, 0, make([]byte, 32)), AlertUnexpectedMessage},
	} {
		w := newWorld13(t, 1, nil)
		w.handshake()
		w.settle()
		from, to := w.client, w.server
		if tc.toClient {
			from, to = to, from
		}
		w.checkData()
		buf := make([]byte, 256)
		binary.BigEndian.PutUint16(tc.m.raw[4:], from.nextSeq)
		n, _ := from.rec.SealAs(buf, ContentHandshake, tc.m.raw)
		to.receive(w.now, buf[:n])
		acks := 0
		w.sent = func(e *end, b []byte) { acks++ }
		w.flush()
		w.settle()
		if tc.alert == 0 && (to.closedErr() != nil || acks == 0) ||
			tc.alert != 0 && (!isAlert(to.closedErr(), tc.alert, true) || !isAlert(from.closedErr(), tc.alert, false)) {
			t.Errorf("%s: %v, %v, %d acks", name, to.events, from.events, acks)
		}
	}
}

func TestV13KeyLog(t *testing.T) {
	got := [2]map[string]string{{}, {}}
	w := newWorld13(t, 1, func(c, s *Config) {
		for i, cfg := range []*Config{c, s} {
			cfg.KeyLog = func(label string, random, secret []byte) {
				got[i][label] = fmt.Sprintf("%x %x", random, secret)
			}
		}
	})
	w.handshake()
	for _, label := range []string{"CLIENT_HANDSHAKE_TRAFFIC_SECRET", "SERVER_HANDSHAKE_TRAFFIC_SECRET",
		"CLIENT_TRAFFIC_SECRET_0", "SERVER_TRAFFIC_SECRET_0", "EXPORTER_SECRET"} {
		if a, b := got[0][label], got[1][label]; a == "" || a != b || len(a) != 64+1+64 {
			t.Errorf("%s: %q, %q", label, a, b)
		}
	}
	if len(got[0]) != 5 {
		t.Errorf("%d labels", len(got[0]))
	}
}

func TestV13AwaitsFingerprints(t *testing.T) {
	w := newWorld13(t, 1, func(c, s *Config) {
		c.RemoteFingerprints, c.AwaitFingerprints = nil, true
		s.RemoteFingerprints, s.AwaitFingerprints = nil, true
	})
	w.start()
	w.run(time.Second, nil)
	if w.client.connected() || w.server.connected() {
		t.Fatal("connected without a fingerprint")
	}
	w.client.SetRemoteFingerprints(fps(testCerts["server"]))
	w.server.SetRemoteFingerprints(fps(testCerts["client"]))
	w.flush()
	w.run(time.Second, nil)
	if !w.bothConnected() {
		t.Fatal(w.client.events, w.server.events)
	}
	w.checkSecrets()
	w.checkData()
}
