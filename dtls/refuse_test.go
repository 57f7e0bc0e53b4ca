package dtls

import (
	"errors"
	"testing"
)

// clientAt makes a client that has got the messages before the one under test.
func clientAt(t *testing.T, msgs ...message) *end {
	t.Helper()
	c, err := New(Config{Role: Client, Certificate: testCerts["client"], RemoteFingerprints: fps(testCerts["server"])})
	if err != nil {
		t.Fatal(err)
	}
	e := &end{Conn: c}
	c.Start(1e9)
	e.transmit(1e9)
	for _, m := range msgs {
		c.HandlePacket(1e9, plainRecord(ContentHandshake, m.raw))
	}
	e.drainEvents()
	return e
}

func goodServerHello() serverHello {
	return serverHello{version: VersionDTLS12, suite: ECDHE_ECDSA_AES128_GCM_SHA256, ems: true, reneg: []byte{}, points: []byte{0}}
}

func serverHelloMessage(change func(h *serverHello)) message {
	h := goodServerHello()
	if change != nil {
		change(&h)
	}
	return newMessage(typeServerHello, 0, h.append(nil))
}

func TestClientRefusesServerHello(t *testing.T) {
	if e := clientAt(t, serverHelloMessage(nil)); e.closedErr() != nil {
		t.Fatal("twin:", e.closedErr())
	}
	foreign := goodServerHello()
	withALPN := append(foreign.append(nil), 0, 16, 0, 5, 0, 3, 2, 104, 50)
	n := len(withALPN)
	ext := 2 + randomLen + 1 + 2 + 1 // offset of the extensions' length
	withALPN[ext], withALPN[ext+1] = byte((n-ext-2)>>8), byte(n-ext-2)
	for name, tc := range map[string]struct {
		m     message
		alert Alert
		cause error
	}{
		"version":          {serverHelloMessage(func(h *serverHello) { h.version = VersionDTLS10 }), AlertProtocolVersion, ErrVersion},
		"suite":            {serverHelloMessage(func(h *serverHello) { h.suite = 0xc0ac }), AlertIllegalParameter, ErrParameter},
		"compression":      {serverHelloMessage(func(h *serverHello) { h.compression = 1 }), AlertIllegalParameter, ErrParameter},
		"profile":          {serverHelloMessage(func(h *serverHello) { h.profile = SRTP_AES128_CM_HMAC_SHA1_32 }), AlertIllegalParameter, ErrParameter},
		"MKI":              {serverHelloMessage(func(h *serverHello) { h.profile, h.mki = SRTP_AEAD_AES_128_GCM, []byte{1} }), AlertIllegalParameter, ErrParameter},
		"points":           {serverHelloMessage(func(h *serverHello) { h.points = []byte{1} }), AlertIllegalParameter, ErrParameter},
		"renegotiation":    {serverHelloMessage(func(h *serverHello) { h.reneg = []byte{1, 2} }), AlertHandshakeFailure, ErrParameter},
		"no EMS":           {serverHelloMessage(func(h *serverHello) { h.ems = false }), AlertHandshakeFailure, ErrExtendedMasterSecret},
		"foreign":          {newMessage(typeServerHello, 0, withALPN), AlertUnsupportedExtension, ErrParameter},
		"cut":              {newMessage(typeServerHello, 0, []byte{0xfe, 0xfd, 1}), AlertDecodeError, ErrMessage},
		"another message":  {newMessage(typeServerHelloDone, 0, nil), AlertUnexpectedMessage, ErrUnexpected},
		"unknown message":  {newMessage(99, 0, nil), AlertUnexpectedMessage, ErrUnexpected},
		"cut HelloVerify":  {newMessage(typeHelloVerifyRequest, 0, []byte{0xfe}), AlertDecodeError, ErrMessage},
		"a client's hello": {newMessage(typeClientHello, 0, nil), AlertUnexpectedMessage, ErrUnexpected},
	} {
		e := clientAt(t, tc.m)
		if err := e.closedErr(); !isAlert(err, tc.alert, true) || !errors.Is(err, tc.cause) {
			t.Errorf("%s: %v", name, e.events)
			continue
		}
		out := e.transmit(1e9)
		if len(out) != 1 || out[0][0] != ContentAlert || out[0][headerLen] != alertFatal || Alert(out[0][headerLen+1]) != tc.alert {
			t.Errorf("%s: sent %x", name, out)
		}
	}
}

func TestClientRefusesServerFlight(t *testing.T) {
	hello := serverHelloMessage(nil)
	cert := newMessage(typeCertificate, 1, appendCertificate12(nil, testCerts["server"].chain))
	rsaCert := newMessage(typeCertificate, 1, appendCertificate12(nil, testCerts["rsa"].chain))
	ske := func(g Group, s SignatureScheme) message {
		m := serverKeyExchange12{group: g, public: make([]byte, 32), signed: signed{s, []byte("not a signature")}}
		return newMessage(typeServerKeyExchange, 2, m.append(nil))
	}
	for name, tc := range map[string]struct {
		msgs  []message
		alert Alert
	}{
		"RSA key, ECDSA suite": {[]message{hello, rsaCert}, AlertBadCertificate}, // the fingerprint comes first
		"no certificate":       {[]message{hello, newMessage(typeServerKeyExchange, 1, ske(GroupX25519, ECDSAWithP256AndSHA256).body())}, AlertUnexpectedMessage},
		"group":                {[]message{hello, cert, ske(25, ECDSAWithP256AndSHA256)}, AlertIllegalParameter},
		"SHA-1":                {[]message{hello, cert, ske(GroupX25519, 0x0203)}, AlertIllegalParameter},
		"scheme of RSA":        {[]message{hello, cert, ske(GroupX25519, PSSWithSHA256)}, AlertIllegalParameter},
		"signature":            {[]message{hello, cert, ske(GroupX25519, ECDSAWithP256AndSHA256)}, AlertDecryptError},
		"cut key exchange":     {[]message{hello, cert, newMessage(typeServerKeyExchange, 2, []byte{3, 0})}, AlertDecodeError},
		"no key exchange":      {[]message{hello, cert, newMessage(typeServerHelloDone, 2, nil)}, AlertUnexpectedMessage},
	} {
		if e := clientAt(t, tc.msgs...); !isAlert(e.closedErr(), tc.alert, true) {
			t.Errorf("%s: %v", name, e.events)
		}
	}
	// HelloRequest is ignored wherever it comes (RFC 5246 §7.4.1.1).
	if e := clientAt(t, newMessage(typeHelloRequest, 0, nil), newMessage(typeServerHello, 1, hello.body())); e.closedErr() != nil || e.hs.state != stateCertificate {
		t.Error("HelloRequest disturbs:", e.events)
	}
}

func TestClass09_CutMessagesNeitherParseNorPanic(t *testing.T) {
	ch := clientHello{
		version: VersionDTLS12, suites: []uint16{1}, compressions: []byte{0}, groups: groups[:], points: []byte{0},
		schemes: allSchemes, profiles: defaultProfiles[:], ems: true, reneg: []byte{}, versions: []uint16{VersionDTLS12},
	}
	sh, hv := goodServerHello(), helloVerify{VersionDTLS10, []byte("cookie")}
	ske := serverKeyExchange12{group: GroupX25519, public: make([]byte, 32), signed: signed{0x0403, make([]byte, 70)}}
	cr := certificateRequest12{types: []byte{1}, schemes: allSchemes}
	cv := signed{0x0403, []byte("signature")}
	for name, tc := range map[string]struct {
		whole []byte
		parse func(b []byte) bool
		short int // a prefix that is a message by itself: a hello without extensions
	}{
		"ClientHello":        {ch.append(nil), func(b []byte) bool { _, ok := parseClientHello(new(lists), b); return ok }, 2 + 32 + 2 + 4 + 2},
		"ServerHello":        {sh.append(nil), func(b []byte) bool { _, ok := parseServerHello(b); return ok }, 2 + 32 + 1 + 3},
		"HelloVerify":        {hv.append(nil), func(b []byte) bool { _, ok := parseHelloVerify(b); return ok }, -1},
		"ServerKeyExchange":  {ske.append(nil), func(b []byte) bool { _, ok := parseServerKeyExchange12(b); return ok }, -1},
		"ClientKeyExchange":  {appendVec8(nil, make([]byte, 32)), func(b []byte) bool { _, ok := parseClientKeyExchange12(b); return ok }, -1},
		"CertificateRequest": {cr.append(nil), func(b []byte) bool { _, ok := parseCertificateRequest12(new(lists), b); return ok }, -1},
		"CertificateVerify":  {cv.append(nil), func(b []byte) bool { _, ok := parseCertificateVerify12(b); return ok }, -1},
		"Certificate":        {appendCertificate12(nil, testCerts["rsa"].chain), func(b []byte) bool { _, ok := parseCertificate12(b); return ok }, -1},
	} {
		if !tc.parse(tc.whole) {
			t.Errorf("%s: whole message refused", name)
		}
		for n := range tc.whole {
			if tc.parse(tc.whole[:n]) != (n == tc.short) {
				t.Errorf("%s: %d of %d bytes: wrong verdict", name, n, len(tc.whole))
			}
		}
		if tc.parse(append(tc.whole[:len(tc.whole):len(tc.whole)], 0)) {
			t.Errorf("%s: accepted with a byte too many", name)
		}
	}
}

func TestHelloExtensionsComeOnceAndAreFew(t *testing.T) {
	h := clientHello{version: VersionDTLS12, suites: []uint16{1}, compressions: []byte{0}}
	base := h.append(nil)
	with := func(exts ...byte) bool {
		b := append(append([]byte(nil), base[:len(base)-2]...), byte(len(exts)>>8), byte(len(exts)))
		_, ok := parseClientHello(new(lists), append(b, exts...))
		return ok
	}
	if !with(0x0a, 0x0a, 0, 0, 0, 23, 0, 0) {
		t.Error("GREASE refused")
	}
	if with(0, 23, 0, 0, 0, 23, 0, 0) {
		t.Error("an extension twice")
	}
	var many []byte
	for i := 0; i <= maxExtensions; i++ {
		many = append(many, 0x7f, byte(i), 0, 0)
	}
	if with(many...) || !with(many[4:]...) {
		t.Error("the bound on extensions is off")
	}
}

func TestFingerprintSyntax(t *testing.T) {
	f := fps(testCerts["client"])[0]
	for _, s := range []string{f.String(), " " + f.String() + " ", "SHA-256" + f.String()[7:]} {
		if g, err := ParseFingerprint(s); err != nil || !g.matches(testCerts["client"].chain[0]) || g.matches(testCerts["other"].chain[0]) {
			t.Errorf("%q: %v", s, err)
		}
	}
	for _, s := range []string{"", "sha-256", "sha-1 00:11", "sha-256 00:11", f.String() + ":00", "sha-256 " + f.String()[9:], "md5" + f.String()[7:]} {
		if _, err := ParseFingerprint(s); err != ErrFingerprintSyntax {
			t.Errorf("%q: %v", s, err)
		}
	}
}

func TestCertificatesAreChecked(t *testing.T) {
	own := testCerts["client"]
	if _, err := NewCertificate(own.chain, testCerts["other"].signer); err != ErrCertificate {
		t.Error("another's key:", err)
	}
	if _, err := NewCertificate(nil, own.signer); err != ErrCertificate {
		t.Error("no chain:", err)
	}
	if _, err := NewCertificate([][]byte{{1}}, own.signer); err != ErrCertificate {
		t.Error("no certificate:", err)
	}
	if _, err := own.Fingerprint("sha-1"); err != ErrFingerprintSyntax {
		t.Error(err)
	}
}
