package dtls

import (
	"bytes"
	"crypto/mlkem"
	"slices"
	"testing"
	"time"
)

func TestV13ServerRefusesHello(t *testing.T) {
	share := func(g Group, n int) func(h *clientHello) {
		return func(h *clientHello) { h.shares = []keyShare{{g, make([]byte, n)}} }
	}
	badML := bytes.Repeat([]byte{0xff}, mlkem.EncapsulationKeySize768+x25519Len)
	for name, tc := range map[string]struct {
		change func(h *clientHello)
		alert  Alert
		cause  error
	}{
		"no suite":            {func(h *clientHello) { h.suites = []uint16{0x1304, ECDHE_ECDSA_AES128_GCM_SHA256} }, AlertHandshakeFailure, ErrNegotiation},
		"no group":            {func(h *clientHello) { h.groups, h.shares = []Group{25, 0x6399}, []keyShare{} }, AlertHandshakeFailure, ErrNegotiation},
		"no scheme":           {func(h *clientHello) { h.schemes = []SignatureScheme{PKCS1WithSHA256, 0x0203} }, AlertHandshakeFailure, ErrNegotiation},
		"another curve":       {func(h *clientHello) { h.schemes = []SignatureScheme{ECDSAWithP384AndSHA384} }, AlertHandshakeFailure, ErrNegotiation},
		"no schemes":          {func(h *clientHello) { h.schemes = nil }, AlertMissingExtension, ErrParameter},
		"no groups":           {func(h *clientHello) { h.groups = nil }, AlertMissingExtension, ErrParameter},
		"no shares":           {func(h *clientHello) { h.shares = nil }, AlertMissingExtension, ErrParameter},
		"legacy cookie":       {func(h *clientHello) { h.cookie = []byte{1} }, AlertIllegalParameter, ErrParameter},
		"compression":         {func(h *clientHello) { h.compressions = []byte{0, 1} }, AlertIllegalParameter, ErrParameter},
		"share not a group":   {func(h *clientHello) { h.groups = []Group{GroupP384} }, AlertIllegalParameter, ErrParameter},
		"X25519 of zeros":     {share(GroupX25519, 32), AlertIllegalParameter, ErrParameter},
		"X25519 short":        {share(GroupX25519, 31), AlertIllegalParameter, ErrParameter},
		"P-256 off the curve": {share(GroupP256, 65), AlertIllegalParameter, ErrParameter},
		"hybrid short":        {share(GroupX25519MLKEM768, 1215), AlertIllegalParameter, ErrParameter},
		"hybrid, zeros":       {share(GroupX25519MLKEM768, 1216), AlertIllegalParameter, ErrParameter},
		"a share twice":       {func(h *clientHello) { h.shares = []keyShare{h.shares[1], h.shares[1]} }, AlertIllegalParameter, ErrParameter},
		"a PSK and no modes":  {func(h *clientHello) { h.psk = true }, AlertMissingExtension, ErrParameter},
		"hybrid, modulus":     {func(h *clientHello) { h.shares = []keyShare{{GroupX25519MLKEM768, badML}} }, AlertIllegalParameter, ErrParameter},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld13(t, 1, nil)
			w.startWith(tc.change)
			w.run(time.Minute, nil)
			if err := w.server.closedErr(); !isAlert(err, tc.alert, true) || err.(*AlertError).Cause != tc.cause {
				t.Fatalf("server: %v", err)
			}
			if err := w.client.closedErr(); !isAlert(err, tc.alert, false) {
				t.Fatalf("client: %v", err)
			}
		})
	}
	for name, change := range map[string]func(h *clientHello){
		"the same share twice": func(h *clientHello) { h.shares = []keyShare{h.shares[1], h.shares[1]} },
		"PSK not at the end":   func(h *clientHello) { h.psk = true },
	} {
		h := clientHello{version: VersionDTLS12, suites: []uint16{0x1301}, compressions: []byte{0}, versions: []uint16{VersionDTLS13}}
		_, h.shares, _ = newOffer([]Group{GroupP256, GroupX25519}, keySource{})
		change(&h)
		b := h.append(nil)
		if h.psk { // behind it, another
			ext := len(b)
			b = append(b, 0, 0x2a, 0, 0)
			at := 2 + randomLen + 1 + 1 + 2 + 2 + 2
			b[at], b[at+1] = byte((ext+4-at-2)>>8), byte(ext+4-at-2)
		}
		if h, ok := parseClientHello(new(lists), b); !ok || !h.illegal {
			t.Errorf("%s: %v", name, ok)
		}
	}
}

// The second hello must be what the HelloRetryRequest asked for.
func TestV13ServerRefusesSecondHello(t *testing.T) {
	for name, change := range map[string]func(h *clientHello){
		"another group": func(h *clientHello) { _, h.shares, _ = newOffer([]Group{GroupX25519}, keySource{}) },
		"two shares":    func(h *clientHello) { _, h.shares, _ = newOffer([]Group{GroupP384, GroupX25519}, keySource{}) },
		"no share":      func(h *clientHello) { h.shares = []keyShare{} },
		"another suite": func(h *clientHello) { h.suites = []uint16{AES256_GCM_SHA384} },
	} {
		w := newWorld13(t, 1, func(c, s *Config) { s.Groups = []Group{GroupP384} })
		w.start()
		w.run(time.Second, func() bool { return w.client.hs13.retried != nil })
		w.flying = nil
		c := w.client.Conn
		change(&c.hs.hello)
		c.hs.seq, c.hs.transcript = 1, nil
		c.send(w.now, c.hs.say(typeClientHello, c.hs.hello.append(nil)))
		w.flush()
		w.run(10*time.Second, nil)
		if !isAlert(w.server.closedErr(), AlertIllegalParameter, true) {
			t.Errorf("%s: server %v", name, w.server.events)
		}
	}
}

func body13(h serverHello) []byte { return h.append(nil) }

// lie13 replaces the body of a message; alert is what must come of it.
type lie13 struct {
	typ    uint8
	change func(body []byte) []byte
	alert  Alert
}

// lie replaces a message of a side's flight the moment it exists.
func (w *world) lie(e *end, typ uint8, change func(body []byte) []byte) {
	done := false
	for i := 0; i < 100 && !done; i++ {
		for k := range e.out.items {
			m := &e.out.items[k]
			if m.contentType == ContentHandshake && m.raw[0] == typ && !m.done {
				f, _, _ := parseFragment(m.raw)
				m.raw = newMessage(typ, f.seq, change(slices.Clone(f.body))).raw
				done = true
			}
		}
		if !done && !w.stepThenLie() {
			break
		}
	}
	if !done {
		w.t.Fatal("nothing to replace")
	}
	w.flush()
	w.run(10*time.Second, nil)
}

// stepThenLie is step without flush: what is queued can still be changed.
func (w *world) stepThenLie() bool {
	next := w.next()
	if next == 0 {
		return false
	}
	for _, e := range []*end{w.client, w.server} {
		for _, b := range e.transmit(w.now) {
			w.inject(w.peer(e), b)
		}
	}
	next = w.next()
	w.now = max(w.now, next)
	due := w.flying
	w.flying = nil
	for _, f := range due {
		if f.at.After(w.now) {
			w.flying = append(w.flying, f)
		} else {
			f.to.receive(w.now, f.b)
		}
	}
	return true
}

// lies13 are messages of a server's flight that are wrong, and the alerts they
// deserve.
func lies13(t *testing.T) map[string]lie13 {
	hello := func(change func(h *serverHello)) func([]byte) []byte {
		return func(b []byte) []byte {
			h, ok := parseServerHello(b)
			if !ok {
				t.Fatal("our ServerHello does not parse")
			}
			change(&h)
			return body13(h)
		}
	}
	whole := func(b ...byte) func([]byte) []byte { return func([]byte) []byte { return b } }
	certificate := func(m certificate13) func([]byte) []byte { return func([]byte) []byte { return m.append(nil) } }
	verify := func(s SignatureScheme) func([]byte) []byte {
		return func(b []byte) []byte { b[0], b[1] = byte(s>>8), byte(s); return b }
	}
	flip := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	cut := func(b []byte) []byte { return b[:len(b)-1] }
	longer := func(b []byte) []byte { return append(b, 0) }
	return map[string]lie13{
		"flipped proof":           {typeCertificateVerify, flip, AlertDecryptError},
		"version 1.2 by number":   {typeServerHello, hello(func(h *serverHello) { h.selected = VersionDTLS12 }), AlertIllegalParameter},
		"legacy version":          {typeServerHello, hello(func(h *serverHello) { h.version = VersionDTLS10 }), AlertIllegalParameter},
		"session id":              {typeServerHello, hello(func(h *serverHello) { h.sessionID = []byte{1} }), AlertIllegalParameter},
		"suite of 1.2":            {typeServerHello, hello(func(h *serverHello) { h.suite = ECDHE_ECDSA_AES128_GCM_SHA256 }), AlertIllegalParameter},
		"unknown suite":           {typeServerHello, hello(func(h *serverHello) { h.suite = 0x1304 }), AlertIllegalParameter},
		"compression":             {typeServerHello, hello(func(h *serverHello) { h.compression = 1 }), AlertIllegalParameter},
		"SRTP in the clear":       {typeServerHello, hello(func(h *serverHello) { h.profile = SRTP_AEAD_AES_128_GCM }), AlertIllegalParameter},
		"EMS":                     {typeServerHello, hello(func(h *serverHello) { h.ems = true }), AlertIllegalParameter},
		"no share":                {typeServerHello, hello(func(h *serverHello) { h.share = keyShare{} }), AlertMissingExtension},
		"share not offered":       {typeServerHello, hello(func(h *serverHello) { h.share.group = GroupP384 }), AlertIllegalParameter},
		"share of wrong length":   {typeServerHello, hello(func(h *serverHello) { h.share.public = h.share.public[1:] }), AlertIllegalParameter},
		"X25519 of zeros":         {typeServerHello, hello(func(h *serverHello) { clear(h.share.public[1088:]) }), AlertIllegalParameter},
		"cookie":                  {typeServerHello, hello(func(h *serverHello) { h.cookie = []byte{1} }), AlertIllegalParameter},
		"cut hello":               {typeServerHello, cut, AlertDecodeError},
		"1.2 with a share":        {typeServerHello, hello(func(h *serverHello) { h.selected, h.suite = 0, ECDHE_ECDSA_AES128_GCM_SHA256 }), AlertIllegalParameter},
		"retry for nothing":       {typeServerHello, hello(func(h *serverHello) { h.random, h.share = retryRandom, keyShare{} }), AlertIllegalParameter},
		"retry for what is there": {typeServerHello, hello(func(h *serverHello) { h.random, h.share = retryRandom, keyShare{group: GroupX25519} }), AlertIllegalParameter},
		"retry for the unknown":   {typeServerHello, hello(func(h *serverHello) { h.random, h.share = retryRandom, keyShare{group: 25} }), AlertIllegalParameter},

		"no extensions at all":    {typeEncryptedExtensions, whole(), AlertDecodeError},
		"trailing byte":           {typeEncryptedExtensions, longer, AlertDecodeError},
		"key share, encrypted":    {typeEncryptedExtensions, whole(0, 4, 0, 51, 0, 0), AlertIllegalParameter},
		"ALPN not offered":        {typeEncryptedExtensions, whole(0, 9, 0, 16, 0, 5, 0, 3, 2, 104, 50), AlertUnsupportedExtension},
		"the same twice":          {typeEncryptedExtensions, whole(0, 8, 0, 99, 0, 0, 0, 99, 0, 0), AlertDecodeError},
		"SRTP profile":            {typeEncryptedExtensions, whole(0, 9, 0, 14, 0, 5, 0, 2, 0, 2, 0), AlertIllegalParameter},
		"two SRTP profiles":       {typeEncryptedExtensions, whole(0, 11, 0, 14, 0, 7, 0, 4, 0, 7, 0, 8, 0), AlertDecodeError},
		"MKI":                     {typeEncryptedExtensions, whole(0, 10, 0, 14, 0, 6, 0, 2, 0, 7, 1, 1), AlertIllegalParameter},
		"request without schemes": {typeCertificateRequest, whole(0, 0, 0), AlertMissingExtension},
		"request with context":    {typeCertificateRequest, whole(1, 1, 0, 8, 0, 13, 0, 4, 0, 2, 4, 3), AlertIllegalParameter},
		"request for others":      {typeCertificateRequest, whole(0, 0, 8, 0, 13, 0, 4, 0, 2, 8, 4), AlertHandshakeFailure},
		"cut request":             {typeCertificateRequest, cut, AlertDecodeError},
		"no certificate":          {typeCertificate, certificate(certificate13{}), AlertDecodeError},
		"context":                 {typeCertificate, certificate(certificate13{context: []byte{1}, chain: testCerts["server"].chain}), AlertIllegalParameter},
		"another certificate":     {typeCertificate, certificate(certificate13{chain: testCerts["other"].chain}), AlertBadCertificate},
		"not a certificate":       {typeCertificate, certificate(certificate13{chain: [][]byte{{1, 2}}}), AlertBadCertificate},
		"certificate extension":   {typeCertificate, func(b []byte) []byte { b = append(b, 0, 5, 0, 0); b[len(b)-5] = 4; b[3] += 4; return b }, AlertUnsupportedExtension},
		"cut certificate":         {typeCertificate, cut, AlertDecodeError},
		"PKCS #1":                 {typeCertificateVerify, verify(PKCS1WithSHA256), AlertIllegalParameter},
		"wrong curve":             {typeCertificateVerify, verify(ECDSAWithP384AndSHA384), AlertIllegalParameter},
		"unknown scheme":          {typeCertificateVerify, verify(0x0203), AlertIllegalParameter},
		"cut proof":               {typeCertificateVerify, cut, AlertDecodeError},
		"finished":                {typeFinished, flip, AlertDecryptError},
		"short finished":          {typeFinished, cut, AlertDecodeError},
	}
}

func TestV13ClientRefusesServerFlight(t *testing.T) {
	for name, tc := range lies13(t) {
		w := newWorld13(t, 1, func(c, s *Config) { c.MTU, s.MTU = 4000, 4000 })
		w.server.Start(w.now)
		w.client.Start(w.now)
		w.lie(w.server, tc.typ, tc.change)
		if err := w.client.closedErr(); !isAlert(err, tc.alert, true) {
			t.Errorf("%s: client %v", name, w.client.events)
		}
		if err := w.server.closedErr(); !isAlert(err, tc.alert, false) {
			t.Errorf("%s: server %v", name, w.server.events)
		}
		if w.client.connected() || w.server.connected() {
			t.Errorf("%s: connected", name)
		}
	}
}

func TestV13ServerRefusesClientFlight(t *testing.T) {
	flip := func(b []byte) []byte { b[len(b)-1] ^= 1; return b }
	cut := func(b []byte) []byte { return b[:len(b)-1] }
	certificate := func(m certificate13) func([]byte) []byte { return func([]byte) []byte { return m.append(nil) } }
	for name, tc := range map[string]struct {
		typ    uint8
		change func([]byte) []byte
		alert  Alert
	}{
		"no certificate":      {typeCertificate, certificate(certificate13{}), AlertCertificateRequired},
		"another certificate": {typeCertificate, certificate(certificate13{chain: testCerts["other"].chain}), AlertBadCertificate},
		"context":             {typeCertificate, certificate(certificate13{context: []byte{1}, chain: testCerts["client"].chain}), AlertIllegalParameter},
		"cut certificate":     {typeCertificate, cut, AlertDecodeError},
		"proof":               {typeCertificateVerify, flip, AlertDecryptError},
		"scheme":              {typeCertificateVerify, func(b []byte) []byte { b[0] = 8; b[1] = 7; return b }, AlertIllegalParameter},
		"cut proof":           {typeCertificateVerify, cut, AlertDecodeError},
		"finished":            {typeFinished, flip, AlertDecryptError},
		"short finished":      {typeFinished, cut, AlertDecodeError},
	} {
		w := newWorld13(t, 1, func(c, s *Config) { c.MTU, s.MTU = 4000, 4000 })
		w.server.Start(w.now)
		w.client.Start(w.now)
		w.lie(w.client, tc.typ, tc.change)
		if err := w.server.closedErr(); !isAlert(err, tc.alert, true) || w.server.connected() {
			t.Errorf("%s: server %v", name, w.server.events)
		}
		if err := w.client.closedErr(); !isAlert(err, tc.alert, false) {
			t.Errorf("%s: client %v", name, w.client.events)
		}
	}
}

// Messages in an impossible order, each sealed as it should be.
func TestV13OrderOfMessages(t *testing.T) {
	for name, skip := range map[string]uint8{
		"no extensions":     typeEncryptedExtensions,
		"no certificate":    typeCertificate,
		"no proof":          typeCertificateVerify,
		"finished, early":   typeFinished,
		"certificate first": typeCertificateRequest,
	} {
		w := newWorld13(t, 1, func(c, s *Config) { c.MTU, s.MTU = 4000, 4000 })
		w.server.Start(w.now)
		w.client.Start(w.now)
		for len(w.server.out.items) == 0 {
			w.stepThenLie()
		}
		items := w.server.out.items
		i := slices.IndexFunc(items, func(m outMessage) bool { return m.raw[0] == skip })
		if skip == typeFinished { // straight after the extensions
			body := items[i].raw[messageHeaderLen:]
			items[2].raw = newMessage(typeFinished, 2, body).raw
		} else if skip == typeCertificateRequest { // twice
			items[i+1].raw = newMessage(typeCertificateRequest, 3, items[i].raw[messageHeaderLen:]).raw
		} else {
			for k := i; k+1 < len(items); k++ {
				items[k].raw = newMessage(items[k+1].raw[0], uint16(k), items[k+1].raw[messageHeaderLen:]).raw
			}
		}
		w.flush()
		w.run(10*time.Second, nil)
		if !isAlert(w.client.closedErr(), AlertUnexpectedMessage, true) || !isAlert(w.server.closedErr(), AlertUnexpectedMessage, false) {
			t.Errorf("%s: client %v, server %v", name, w.client.events, w.server.events)
		}
	}
}
