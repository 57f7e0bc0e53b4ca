package dtls

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestHandshakeOverBadNetworks(t *testing.T) {
	for _, loss := range []float64{0, 0.05, 0.30} {
		for _, mtu := range []int{256, 576, 1200, 1500} {
			t.Run(fmt.Sprintf("loss%.0f/mtu%d", 100*loss, mtu), func(t *testing.T) {
				for seed := uint64(0); seed < 12; seed++ {
					w := newWorld(t, seed, func(c, s *Config) {
						c.MTU, s.MTU = mtu, mtu
						c.HandshakeTimeout, s.HandshakeTimeout = time.Minute, time.Minute
						s.HelloVerify = seed%4 == 3
						s.Groups = slices.Concat(groups[1+seed%3:], groups[:1+seed%3])
						if seed%2 == 1 { // 1.3 is offered, in two datagrams and more
							c.MaxVersion = VersionDTLS13
						}
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

func TestHandshakeWithoutLossTakesFourFlights(t *testing.T) {
	w := newWorld(t, 1, nil)
	w.handshake()
	if got := time.Duration(w.now - 1e9); got > 4*w.delay {
		t.Fatalf("took %v, want two round trips", got)
	}
	if w.client.Stats().Resent+w.server.Stats().Resent != 0 {
		t.Fatal("a flight was repeated for nothing")
	}
	s := w.server.State()
	if s.Version != VersionDTLS12 || s.CipherSuite != ECDHE_ECDSA_AES128_GCM_SHA256 ||
		s.Group != GroupX25519 || s.SRTPProfile != SRTP_AEAD_AES_128_GCM || !s.ExtendedMasterSecret {
		t.Fatalf("negotiated %+v", s)
	}
	if c := w.client.State(); c.CipherSuite != s.CipherSuite || c.Group != s.Group || c.SignatureScheme != s.SignatureScheme {
		t.Fatalf("client believes %+v", c)
	}
	if !bytes.Equal(s.PeerCertificates[0], testCerts["client"].Chain()[0]) {
		t.Fatal("server has another certificate of the client")
	}
	if w.client.Timeout() != 0 || w.server.Timeout() != 0 {
		t.Fatal("a timer runs after the handshake")
	}
}

func TestHandshakeWithEveryKindOfKey(t *testing.T) {
	for _, kc := range []string{"client", "p384", "ed25519", "rsa"} {
		for _, ks := range []string{"server", "p384", "ed25519", "rsa"} {
			w := newWorld(t, 1, func(c, s *Config) {
				c.Certificate, s.Certificate = testCerts[kc], testCerts[ks]
				c.RemoteFingerprints, s.RemoteFingerprints = fps(testCerts[ks]), fps(testCerts[kc])
			})
			w.handshake()
			w.checkSecrets()
			w.checkData()
			want := ECDHE_ECDSA_AES128_GCM_SHA256
			if ks == "rsa" {
				want = ECDHE_RSA_AES128_GCM_SHA256
			}
			if got := w.client.State().CipherSuite; got != want {
				t.Errorf("%s/%s: suite %04x", kc, ks, got)
			}
		}
	}
}

// rewriteHello changes the client's offer before it starts.
func (w *world) startWith(change func(h *clientHello)) {
	w.server.Start(w.now)
	w.client.Start(w.now)
	c := w.client.Conn
	change(&c.hs.hello)
	c.hs.seq, c.hs.transcript = 0, nil
	c.send(w.now, c.hs.say(typeClientHello, c.hs.hello.append(nil)))
	w.flush()
}

func TestHandshakeNegotiates(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(h *clientHello)
		suite  uint16
		group  Group
	}{
		"suite 256":  {func(h *clientHello) { h.suites = []uint16{0x1301, ECDHE_ECDSA_AES256_GCM_SHA384} }, ECDHE_ECDSA_AES256_GCM_SHA384, GroupX25519},
		"P-256":      {func(h *clientHello) { h.groups = []Group{0x11ec, GroupP256} }, ECDHE_ECDSA_AES128_GCM_SHA256, GroupP256},
		"ChaCha20":   {func(h *clientHello) { h.suites = []uint16{ECDHE_ECDSA_CHACHA20_POLY1305_SHA256} }, ECDHE_ECDSA_CHACHA20_POLY1305_SHA256, GroupX25519},
		"no groups":  {func(h *clientHello) { h.groups = nil }, ECDHE_ECDSA_AES128_GCM_SHA256, GroupP256},
		"SCSV":       {func(h *clientHello) { h.reneg = nil; h.suites = append(h.suites, scsvRenegotiation) }, ECDHE_ECDSA_AES128_GCM_SHA256, GroupX25519},
		"no reneg":   {func(h *clientHello) { h.reneg = nil }, ECDHE_ECDSA_AES128_GCM_SHA256, GroupX25519},
		"1.3 and us": {func(h *clientHello) { h.versions = []uint16{0x7a7a, VersionDTLS13, VersionDTLS12} }, ECDHE_ECDSA_AES128_GCM_SHA256, GroupX25519},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, nil)
			w.startWith(tc.change)
			w.run(time.Minute, w.bothConnected)
			if !w.bothConnected() {
				t.Fatalf("client %v, server %v", w.client.events, w.server.events)
			}
			w.checkSecrets()
			w.checkData()
			if s := w.server.State(); s.CipherSuite != tc.suite || s.Group != tc.group {
				t.Fatalf("negotiated %+v", s)
			}
		})
	}
}

func TestHandshakeRefusesHello(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(h *clientHello)
		alert  Alert
		cause  error
	}{
		"only 1.3":      {func(h *clientHello) { h.versions = []uint16{VersionDTLS13} }, AlertProtocolVersion, ErrVersion},
		"only 1.0":      {func(h *clientHello) { h.version = VersionDTLS10 }, AlertProtocolVersion, ErrVersion},
		"TLS":           {func(h *clientHello) { h.version = 0x0303 }, AlertProtocolVersion, ErrVersion},
		"no suite":      {func(h *clientHello) { h.suites = []uint16{0x1301, 0xc014} }, AlertHandshakeFailure, ErrNegotiation},
		"RSA only":      {func(h *clientHello) { h.suites = []uint16{ECDHE_RSA_AES128_GCM_SHA256} }, AlertHandshakeFailure, ErrNegotiation},
		"no group":      {func(h *clientHello) { h.groups = []Group{0x11ec, 25} }, AlertHandshakeFailure, ErrNegotiation},
		"our curve":     {func(h *clientHello) { h.groups = []Group{GroupX25519, GroupP384} }, AlertHandshakeFailure, ErrNegotiation},
		"no scheme":     {func(h *clientHello) { h.schemes = []SignatureScheme{0x0203} }, AlertHandshakeFailure, ErrNegotiation},
		"schemes gone":  {func(h *clientHello) { h.schemes = nil }, AlertHandshakeFailure, ErrNegotiation},
		"no EMS":        {func(h *clientHello) { h.ems = false }, AlertHandshakeFailure, ErrExtendedMasterSecret},
		"renegotiation": {func(h *clientHello) { h.reneg = []byte{1} }, AlertHandshakeFailure, ErrParameter},
		"compression":   {func(h *clientHello) { h.compressions = []byte{1} }, AlertIllegalParameter, ErrParameter},
		"point format":  {func(h *clientHello) { h.points = []byte{1} }, AlertIllegalParameter, ErrParameter},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 1, nil)
			w.startWith(tc.change)
			w.run(time.Minute, nil)
			if err := w.server.closedErr(); !isAlert(err, tc.alert, true) || !errors.Is(err, tc.cause) {
				t.Fatalf("server: %v", err)
			}
			if err := w.client.closedErr(); !isAlert(err, tc.alert, false) {
				t.Fatalf("client: %v", err)
			}
			if w.client.connected() || w.server.connected() {
				t.Fatal("connected")
			}
		})
	}
}

func TestLegacyMasterSecretOnlyWhenAllowed(t *testing.T) {
	w := newWorld(t, 1, func(c, s *Config) { c.AllowLegacyMasterSecret, s.AllowLegacyMasterSecret = true, true })
	w.startWith(func(h *clientHello) { h.ems = false })
	w.run(time.Minute, w.bothConnected)
	if !w.bothConnected() || w.client.State().ExtendedMasterSecret {
		t.Fatal("legacy peer was not accepted although allowed")
	}
	w.checkSecrets()

	w = newWorld(t, 1, func(c, s *Config) { s.AllowLegacyMasterSecret = true })
	w.startWith(func(h *clientHello) { h.ems = false })
	w.run(time.Minute, nil)
	if err := w.client.closedErr(); !isAlert(err, AlertHandshakeFailure, true) || !errors.Is(err, ErrExtendedMasterSecret) {
		t.Fatalf("client: %v", err)
	}
}

func TestSRTPServerPrefersItsOrder(t *testing.T) {
	cm, g128, g256 := SRTP_AES128_CM_HMAC_SHA1_80, SRTP_AEAD_AES_128_GCM, SRTP_AEAD_AES_256_GCM
	for _, tc := range []struct {
		client, server []SRTPProfile
		want           SRTPProfile
	}{
		{[]SRTPProfile{cm, g256, g128}, nil, g128}, // Chromium's order
		{[]SRTPProfile{cm, g256}, nil, g256},
		{[]SRTPProfile{cm}, nil, cm},
		{nil, []SRTPProfile{cm}, cm},
		{[]SRTPProfile{SRTP_AES128_CM_HMAC_SHA1_32}, []SRTPProfile{g128}, 0},
		{[]SRTPProfile{}, nil, 0},
	} {
		w := newWorld(t, 1, func(c, s *Config) { c.SRTPProfiles, s.SRTPProfiles = tc.client, tc.server })
		w.handshake()
		if got := w.client.State().SRTPProfile; got != tc.want || w.server.State().SRTPProfile != tc.want {
			t.Errorf("%v with %v: %v", tc.client, tc.server, got)
		}
		w.checkSecrets()
		if _, _, _, _, _, err := w.client.SRTPKeys(); (err != nil) != (tc.want == 0) {
			t.Errorf("SRTPKeys: %v", err)
		}
	}
	w := newWorld(t, 1, func(c, s *Config) { s.DisableSRTP = true })
	w.handshake()
	if w.client.State().SRTPProfile != 0 {
		t.Error("DisableSRTP has no effect")
	}
}

func TestHelloVerifyCostsOneRoundTripAndNoState(t *testing.T) {
	w := newWorld(t, 1, func(c, s *Config) { s.HelloVerify = true })
	w.handshake()
	if got := time.Duration(w.now - 1e9); got > 6*w.delay {
		t.Fatalf("took %v, want three round trips", got)
	}
	w.checkSecrets()
}

func TestHelloVerifyCookieIsBound(t *testing.T) {
	secret := []byte("0123456789abcdef0123456789abcdef")
	mk := func(context string) *Conn {
		c, err := New(Config{
			Role: Server, Certificate: testCerts["server"], AwaitFingerprints: true,
			HelloVerify: true, CookieSecret: secret, CookieContext: []byte(context),
		})
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	h := clientHello{version: VersionDTLS12, suites: []uint16{1}, compressions: []byte{0}}
	a, b, other := mk("192.0.2.1:1"), mk("192.0.2.1:1"), mk("192.0.2.2:1")
	h.cookie, _ = a.cookie(&h)
	if !a.cookieValid(&h) || !b.cookieValid(&h) {
		t.Fatal("a cookie is not good at another Conn of the same secret and address")
	}
	if other.cookieValid(&h) {
		t.Fatal("a cookie is good for another address")
	}
	changed := h
	changed.random[3] ^= 1
	if a.cookieValid(&changed) {
		t.Fatal("a cookie is good for another hello")
	}
}

// A server whose first HelloVerifyRequest was for a Conn that is gone.
func TestHelloVerifySurvivesSecondRound(t *testing.T) {
	w := newWorld(t, 1, func(c, s *Config) { s.HelloVerify = true })
	w.start()
	w.step() // hello arrives
	w.server.cfg.CookieSecret = []byte("another secret altogether, 32 by")
	w.run(time.Minute, w.bothConnected)
	if !w.bothConnected() {
		t.Fatalf("client %v, server %v", w.client.events, w.server.events)
	}
	w.checkSecrets()
}

func TestClientObeysFewHelloVerifyRequests(t *testing.T) {
	w := newWorld(t, 1, nil)
	w.client.Start(w.now)
	w.client.transmit(w.now)
	for i := uint16(0); i <= maxHelloVerify; i++ {
		v := helloVerify{version: VersionDTLS10, cookie: []byte{byte(i)}}
		w.client.HandlePacket(w.now, plainRecord(ContentHandshake, newMessage(typeHelloVerifyRequest, i, v.append(nil)).raw))
		w.client.transmit(w.now)
	}
	w.client.drainEvents()
	if !isAlert(w.client.closedErr(), AlertUnexpectedMessage, true) {
		t.Fatalf("%v", w.client.events)
	}
}

// plainRecord makes a record of epoch 0.
func plainRecord(contentType uint8, payload []byte) []byte {
	b := make([]byte, headerLen, headerLen+len(payload))
	putHeader(b, contentType, 77, len(payload))
	return append(b, payload...)
}

func TestFlightTimerDoublesAndHandshakeTimesOut(t *testing.T) {
	w := newWorld(t, 1, nil)
	w.loss = 1
	var at []time.Duration
	w.server.Start(w.now)
	w.client.Start(w.now)
	start := w.now
	for w.client.closedErr() == nil {
		for range w.client.transmit(w.now) {
			at = append(at, w.now.Sub(start))
		}
		w.now = w.client.Timeout()
		w.client.HandleTimeout(w.now)
		w.client.drainEvents()
	}
	ms := time.Millisecond
	want := []time.Duration{0, 250 * ms, 750 * ms, 1750 * ms, 3750 * ms, 7750 * ms, 11750 * ms, 15750 * ms, 19750 * ms, 23750 * ms, 27750 * ms}
	if fmt.Sprint(at) != fmt.Sprint(want) {
		t.Fatalf("flights at %v, want %v", at, want)
	}
	if err := w.client.closedErr(); err != ErrTimeout || w.now.Sub(start) != 30*time.Second {
		t.Fatalf("%v after %v", err, w.now.Sub(start))
	}
	if w.client.Timeout() != 0 {
		t.Fatal("a timer survives the end")
	}
}

// Whoever begins with the second of RFC 6347 §4.2.4.1 gets its bound, too.
func TestSlowFlightTimerDoublesUpToAMinute(t *testing.T) {
	both(t, func(t *testing.T, v uint16) {
		w := newWorldOf(t, 1, v, func(c, s *Config) { c.FlightInterval, c.HandshakeTimeout = time.Second, time.Hour })
		w.client.Start(w.now)
		start, at := w.now, time.Duration(0)
		for _, gap := range []time.Duration{0, 1, 2, 4, 8, 16, 32, 60, 60, 60} {
			at += gap * time.Second
			if gap > 0 {
				w.now = w.client.Timeout()
				w.client.HandleTimeout(w.now)
			}
			if w.now.Sub(start) != at || len(w.client.transmit(w.now)) == 0 {
				t.Fatalf("%v after the start, not %v", w.now.Sub(start), at)
			}
		}
	})
}

func TestServerTimesOutWithoutHello(t *testing.T) {
	w := newWorld(t, 1, nil)
	w.server.Start(w.now)
	w.server.HandleTimeout(w.now.Add(30*time.Second - 1))
	w.server.drainEvents()
	if w.server.closedErr() != nil {
		t.Fatal("too early")
	}
	w.server.HandleTimeout(w.now.Add(30 * time.Second))
	w.server.drainEvents()
	if w.server.closedErr() != ErrTimeout {
		t.Fatal("not closed")
	}
}

func TestCloseNotifyIsAnswered(t *testing.T) {
	for _, handed := range []bool{false, true} {
		w := newWorld(t, 1, nil)
		w.handshake()
		w.settle()
		if handed {
			w.client.takeRecords()
			w.server.takeRecords()
		}
		w.client.Close(w.now)
		w.client.Close(w.now)
		w.flush()
		if w.client.closedErr() != ErrClosed {
			t.Fatal("client:", w.client.events)
		}
		w.settle()
		if w.server.closedErr() != ErrCloseNotify {
			t.Fatal("server:", w.server.events)
		}
		if n := len(w.server.events) + len(w.client.events); n != 4 {
			t.Fatalf("%d events", n)
		}
		if _, err := w.server.ExportKeyingMaterial("EXPORTER-test", nil, 1); err != ErrNotConnected {
			t.Fatal("exports after the end:", err)
		}
		if err := w.server.HandlePacket(w.now, []byte{1}); err != ErrClosed {
			t.Fatal(err)
		}
	}
}

func TestCloseDuringHandshake(t *testing.T) {
	w := newWorld(t, 1, nil)
	w.start()
	w.step()
	w.client.Close(w.now)
	w.flush()
	w.run(time.Minute, nil)
	if w.client.closedErr() != ErrClosed || !isAlert(w.server.closedErr(), AlertCloseNotify, false) {
		t.Fatal(w.client.events, w.server.events)
	}
}

func TestPlainAlertNeedsSilenceToBeBelieved(t *testing.T) {
	fatalAlert := plainRecord(ContentAlert, []byte{alertFatal, byte(AlertHandshakeFailure)})
	w := newWorld(t, 1, nil)
	w.start()
	for i := 0; i < 4; i++ { // forged alerts all along
		w.client.HandlePacket(w.now, fatalAlert)
		w.server.HandlePacket(w.now, fatalAlert)
		w.step()
	}
	if !w.bothConnected() {
		t.Fatal("a forged alert ended the handshake:", w.client.events, w.server.events)
	}
	w.server.HandlePacket(w.now, fatalAlert)
	w.run(time.Minute, nil)
	if w.server.closedErr() != nil {
		t.Fatal("a forged alert ended the connection")
	}

	w = newWorld(t, 1, nil)
	w.loss = 1
	w.start()
	w.client.HandlePacket(w.now, plainRecord(ContentAlert, []byte{alertWarning, byte(AlertUserCanceled)}))
	w.client.HandlePacket(w.now, fatalAlert)
	start := w.now
	w.run(time.Minute, func() bool { return w.client.closedErr() != nil })
	if !isAlert(w.client.closedErr(), AlertHandshakeFailure, false) || w.now.Sub(start) != alertGrace {
		t.Fatalf("%v after %v", w.client.closedErr(), w.now.Sub(start))
	}
}

func TestRenegotiationIsRefused(t *testing.T) {
	w := newWorld(t, 1, nil)
	w.handshake()
	w.settle()
	w.checkData()
	ask := func(from *end, typ uint8) (warnings int) {
		buf := make([]byte, 256)
		n, _ := from.rec.SealAs(buf, ContentHandshake, newMessage(typ, 9, nil).raw)
		w.peer(from).receive(w.now, buf[:n])
		plain := make([]byte, 64)
		for n, ct := w.peer(from).TransmitRecord(w.now, plain); n > 0; n, ct = w.peer(from).TransmitRecord(w.now, plain) {
			if ct != ContentAlert || plain[0] != alertWarning || Alert(plain[1]) != AlertNoRenegotiation {
				t.Fatalf("answered with type %d: %x", ct, plain[:n])
			}
			warnings++
		}
		return warnings
	}
	for from, typ := range map[*end]uint8{w.client: typeClientHello, w.server: typeHelloRequest} {
		if got := []int{ask(from, typ), ask(from, typ)}; got[0] != 1 || got[1] != 0 {
			t.Fatalf("%s: %v warnings", from.name, got)
		}
	}
	w.now = w.now.Add(warnInterval)
	if ask(w.client, typeClientHello) != 1 {
		t.Fatal("no warning after a second")
	}
	w.checkData()
}

func TestEarlyDataIsKeptUntilHandOver(t *testing.T) {
	w := newWorld(t, 1, nil)
	w.start()
	w.run(time.Minute, w.server.connected)
	w.server.takeRecords()
	buf := make([]byte, 256)
	// Overtakes the server's last flight, which is under way.
	for _, s := range []string{"INIT", "more"} {
		n, _ := w.server.rec.Seal(buf, []byte(s))
		w.client.HandlePacket(w.now, buf[:n])
	}
	if w.client.EarlyData(buf) != 0 {
		t.Fatal("data before Connected")
	}
	w.run(time.Minute, w.client.connected)
	w.client.takeRecords()
	if fmt.Sprintf("%s", w.client.data) != "[INIT more]" {
		t.Fatalf("got %q", w.client.data)
	}
}

func TestSealedRecordsAfterHandOverAreNotConns(t *testing.T) {
	w := newWorld(t, 1, nil)
	w.handshake()
	w.settle()
	w.checkData()
	buf := make([]byte, 64)
	n, _ := w.client.rec.Seal(buf, []byte("x"))
	if err := w.server.HandlePacket(w.now, buf[:n]); err != ErrHandedOver {
		t.Fatal(err)
	}
}

func TestConfigIsChecked(t *testing.T) {
	ok := Config{Certificate: testCerts["client"], AwaitFingerprints: true}
	if _, err := New(ok); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(c *Config){
		"no certificate": func(c *Config) { c.Certificate = nil },
		"no check":       func(c *Config) { c.AwaitFingerprints = false },
		"weak":           func(c *Config) { c.RemoteFingerprints = []Fingerprint{{"sha-1", make([]byte, 20)}} },
		"short":          func(c *Config) { c.RemoteFingerprints = []Fingerprint{{"sha-256", make([]byte, 31)}} },
		"mtu":            func(c *Config) { c.MTU = 255 },
		"role":           func(c *Config) { c.Role = 2 },
		"profile":        func(c *Config) { c.SRTPProfiles = []SRTPProfile{9} },
		"time":           func(c *Config) { c.FlightInterval = -1 },
	} {
		c := ok
		spoil(&c)
		if _, err := New(c); !errors.Is(err, ErrConfig) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKeyLog(t *testing.T) {
	var got [2][]byte
	w := newWorld(t, 1, func(c, s *Config) {
		for i, cfg := range []*Config{c, s} {
			cfg.KeyLog = func(label string, random, secret []byte) {
				if label != "CLIENT_RANDOM" || len(random) != 32 || len(secret) != 48 {
					t.Errorf("%s %d %d", label, len(random), len(secret))
				}
				got[i] = append(append([]byte(nil), random...), secret...)
			}
		}
	})
	w.handshake()
	if got[0] == nil || !bytes.Equal(got[0], got[1]) {
		t.Fatal("key logs differ")
	}
}

func TestExporterRefusesReservedLabels(t *testing.T) {
	w := newWorld(t, 1, nil)
	if _, err := w.client.ExportKeyingMaterial("EXPORTER-x", nil, 10); err != ErrNotConnected {
		t.Fatal(err)
	}
	w.handshake()
	for _, l := range reservedLabels {
		if _, err := w.client.ExportKeyingMaterial(l, nil, 10); err != ErrExport {
			t.Fatal(l, err)
		}
	}
	for _, n := range []int{0, -1, maxExport + 1} {
		if _, err := w.client.ExportKeyingMaterial("EXPORTER-x", nil, n); err != ErrExport {
			t.Fatal(n, err)
		}
	}
	w13 := newWorld13(t, 1, nil)
	w13.handshake()
	if _, err := w13.client.ExportKeyingMaterial(strings.Repeat("x", 250), nil, 10); err != ErrExport {
		t.Fatal(err)
	}
	if b, err := w13.client.ExportKeyingMaterial(strings.Repeat("x", 249), nil, maxExport); err != nil || len(b) != maxExport {
		t.Fatal(err)
	}
	none, _ := w.client.ExportKeyingMaterial("EXPORTER-x", nil, 20)
	empty, _ := w.client.ExportKeyingMaterial("EXPORTER-x", []byte{}, 20)
	if bytes.Equal(none, empty) {
		t.Fatal("an empty context counts as none (RFC 5705 §4)")
	}
}

// The random of a server which knows 1.2 only ends in no downgrade sentinel,
// which a browser that offered 1.3 would take for an attack (RFC 8446 §4.1.3).
func TestServerRandomHasNoSentinel(t *testing.T) {
	w := newWorld(t, 1, nil)
	w.startWith(func(h *clientHello) { h.versions = []uint16{VersionDTLS13, VersionDTLS12} })
	w.run(time.Minute, w.bothConnected)
	tail := binary.BigEndian.Uint64(w.server.sess.serverRandom[24:])
	if tail>>8 == 0x444f574e475244 {
		t.Fatalf("server random ends in %016x", tail)
	}
}
