package dtls

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// flightTypes are the messages of a handshake after the ClientHello, and who sends
// them.
func flightTypes(v uint16) (server, client []uint8) {
	if v == VersionDTLS13 {
		return []uint8{typeServerHello, typeEncryptedExtensions, typeCertificateRequest, typeCertificate, typeCertificateVerify, typeFinished},
			[]uint8{typeCertificate, typeCertificateVerify, typeFinished}
	}
	return []uint8{typeServerHello, typeCertificate, typeServerKeyExchange, typeCertificateRequest, typeServerHelloDone},
		[]uint8{typeCertificate, typeClientKeyExchange, typeCertificateVerify, typeFinished}
}

// refused runs a handshake in which one message of a side is another, and returns
// how the other side ended. The alert must have reached the liar.
func refused(t *testing.T, v uint16, byServer bool, typ uint8, as uint8, change func([]byte) []byte) error {
	t.Helper()
	w := newWorldOf(t, 1, v, func(c, s *Config) { c.MTU, s.MTU = 4000, 4000 })
	w.server.Start(w.now)
	w.client.Start(w.now)
	liar, victim := w.client, w.server
	if byServer {
		liar, victim = w.server, w.client
	}
	done := false
	for i := 0; i < 100 && !done; i++ {
		for k := range liar.out.items {
			m := &liar.out.items[k]
			if m.contentType == ContentHandshake && m.raw[0] == typ && !m.done {
				f, _, _ := parseFragment(m.raw)
				m.raw = newMessage(as, f.seq, change(slices.Clone(f.body))).raw
				done = true
			}
		}
		if !done && !w.stepThenLie() {
			break
		}
	}
	if !done {
		t.Fatal("nothing to replace")
	}
	w.flush()
	w.run(10*time.Second, nil)
	if victim.connected() {
		t.Errorf("%x: message %d as %d: connected", v, typ, as)
	}
	return victim.closedErr()
}

// Every message cut at many places, and with a byte too many: decode_error (RFC 5246
// §7.2.2, RFC 8446 §6.2).
func TestClass09_EveryMessageCutOrTooLong(t *testing.T) {
	both(t, func(t *testing.T, v uint16) {
		server, client := flightTypes(v)
		for side, types := range [][]uint8{client, server} {
			for _, typ := range types {
				size := 0
				try := func(name string, change func([]byte) []byte, want ...Alert) {
					err := refused(t, v, side == 1, typ, typ, func(b []byte) []byte { size = len(b); return change(b) })
					if !slices.ContainsFunc(want, func(a Alert) bool { return isAlert(err, a, true) }) {
						t.Errorf("message %d of %d, %s: %v", typ, side, name, err)
					}
				}
				try("a byte more", func(b []byte) []byte { return append(b, 0) }, AlertDecodeError)
				for _, n := range []int{0, 1, 2, 3, 4, 7, size / 4, size / 3, size / 2, size - 40, size - 5, size - 2, size - 1} {
					if n < 0 || n >= size {
						continue
					}
					want := []Alert{AlertDecodeError}
					if typ == typeServerHello && n == 2+randomLen+1+2+1 { // without extensions it is one of old
						want = []Alert{AlertHandshakeFailure, AlertProtocolVersion, AlertIllegalParameter}
					}
					try(fmt.Sprintf("%d of %d bytes", n, size), func(b []byte) []byte { return b[:min(n, len(b)-1)] }, want...)
				}
			}
		}
	})
}

// Every message in the place of every other: unexpected_message (RFC 5246 §7.2.2).
func TestEveryMessageInThePlaceOfAnother(t *testing.T) {
	all := []uint8{
		typeClientHello, typeServerHello, typeNewSessionTicket, 5, typeEncryptedExtensions, typeRequestConnectionID, typeNewConnectionID,
		typeCertificate, typeServerKeyExchange, typeCertificateRequest, typeServerHelloDone, typeCertificateVerify,
		typeClientKeyExchange, typeFinished, 21, 22, 23, typeKeyUpdate, 67, 254, 255,
	}
	same := func(b []byte) []byte { return b }
	both(t, func(t *testing.T, v uint16) {
		server, client := flightTypes(v)
		for side, types := range [][]uint8{client, server} {
			for _, typ := range types {
				for _, as := range all {
					if as == typ {
						continue
					}
					if err := refused(t, v, side == 1, typ, as, same); !isAlert(err, AlertUnexpectedMessage, true) && !tolerated(v, typ, as, err) {
						t.Errorf("message %d of %d as %d: %v", typ, side, as, err)
					}
				}
			}
		}
	})
}

// tolerated are those that are in their place and wrong for what they say.
func tolerated(v uint16, typ, as uint8, err error) bool {
	switch {
	case v == VersionDTLS12 && typ == typeCertificateRequest && as == typeServerHelloDone, // a server may ask for none
		v == VersionDTLS13 && typ == typeCertificateRequest && as == typeCertificate:
		return isAlert(err, AlertDecodeError, true)
	case typ == typeServerHello && as == typeHelloVerifyRequest:
		return true
	}
	return false
}

// What RFC 5246, RFC 8422 and RFC 7627 forbid in the flights of DTLS 1.2.
func TestV12FlightsAreRefused(t *testing.T) {
	flip := func(at int) func([]byte) []byte {
		return func(b []byte) []byte { b[(at+len(b))%len(b)] ^= 1; return b }
	}
	put := func(at int, v ...byte) func([]byte) []byte {
		return func(b []byte) []byte { copy(b[at:], v); return b }
	}
	whole := func(b ...byte) func([]byte) []byte { return func([]byte) []byte { return b } }
	chain := func(c ...[]byte) func([]byte) []byte {
		return func([]byte) []byte { return appendCertificate12(nil, c) }
	}
	for name, tc := range map[string]struct {
		byServer bool
		typ      uint8
		change   func([]byte) []byte
		alert    Alert
	}{
		"explicit curve":                   {true, typeServerKeyExchange, put(0, 1), AlertDecodeError},
		"unknown group":                    {true, typeServerKeyExchange, put(1, 0, 25), AlertIllegalParameter},
		"hybrid group":                     {true, typeServerKeyExchange, put(1, 0x11, 0xec), AlertIllegalParameter},
		"group of another share":           {true, typeServerKeyExchange, put(1, 0, 23), AlertDecryptError},
		"flipped share":                    {true, typeServerKeyExchange, flip(10), AlertDecryptError},
		"flipped signature":                {true, typeServerKeyExchange, flip(-1), AlertDecryptError},
		"scheme not offered":               {true, typeServerKeyExchange, put(36, 2, 3), AlertIllegalParameter},
		"scheme of another key":            {true, typeServerKeyExchange, put(36, 8, 7), AlertIllegalParameter},
		"empty share":                      {true, typeServerKeyExchange, whole(3, 0, 29, 0, 4, 3, 0, 1, 1), AlertDecodeError},
		"no certificate":                   {true, typeCertificate, chain(), AlertHandshakeFailure},
		"another certificate":              {true, typeCertificate, chain(testCerts["other"].chain[0]), AlertBadCertificate},
		"empty certificate":                {true, typeCertificate, whole(0, 0, 3, 0, 0, 0), AlertDecodeError},
		"eleven certificates":              {true, typeCertificate, chain(slices.Repeat(testCerts["server"].chain, maxCertificates+1)...), AlertDecodeError},
		"no certificate types":             {true, typeCertificateRequest, whole(0, 0, 2, 4, 3, 0, 0), AlertDecodeError},
		"no schemes":                       {true, typeCertificateRequest, whole(1, 64, 0, 0, 0, 0), AlertDecodeError},
		"half a scheme":                    {true, typeCertificateRequest, whole(1, 64, 0, 1, 4, 0, 0), AlertDecodeError},
		"schemes of others":                {true, typeCertificateRequest, whole(1, 64, 0, 2, 8, 4, 0, 0), AlertHandshakeFailure},
		"done with a body":                 {true, typeServerHelloDone, whole(0), AlertDecodeError},
		"finished of the server":           {true, typeFinished, flip(0), AlertDecryptError},
		"client: no certificate":           {false, typeCertificate, chain(), AlertHandshakeFailure},
		"client: another certificate":      {false, typeCertificate, chain(testCerts["other"].chain[0]), AlertBadCertificate},
		"client: not a certificate":        {false, typeCertificate, chain([]byte{0x30, 0}), AlertBadCertificate},
		"client: empty share":              {false, typeClientKeyExchange, whole(0), AlertDecodeError},
		"client: short share":              {false, typeClientKeyExchange, whole(1, 9), AlertIllegalParameter},
		"client: share of zeros":           {false, typeClientKeyExchange, whole(append([]byte{32}, make([]byte, 32)...)...), AlertIllegalParameter},
		"client: flipped proof":            {false, typeCertificateVerify, flip(-1), AlertDecryptError},
		"client: proof of an unknown kind": {false, typeCertificateVerify, put(0, 2, 3), AlertIllegalParameter},
		"client: proof of another kind":    {false, typeCertificateVerify, put(0, 8, 4), AlertIllegalParameter},
		"client: empty proof":              {false, typeCertificateVerify, whole(4, 3, 0, 0), AlertDecryptError},
		"client: finished":                 {false, typeFinished, flip(3), AlertDecryptError},
		"client: long finished":            {false, typeFinished, whole(make([]byte, 32)...), AlertDecodeError},
		"client: empty finished":           {false, typeFinished, whole(), AlertDecodeError},
	} {
		if err := refused(t, VersionDTLS12, tc.byServer, tc.typ, tc.typ, tc.change); !isAlert(err, tc.alert, true) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
