package dtls

import "encoding/binary"

// curveNamed is ECCurveType named_curve (RFC 8422 §5.4).
const curveNamed = 3

// serverKeyExchange12 is RFC 8422 §5.4: a public value, signed.
type serverKeyExchange12 struct {
	group  Group
	public []byte
	signed
}

// signed is a signature and its scheme (RFC 5246 §4.7); it is also the whole of
// a CertificateVerify (§7.4.8).
type signed struct {
	scheme    SignatureScheme
	signature []byte
}

func parseServerKeyExchange12(b []byte) (m serverKeyExchange12, ok bool) {
	r := reader{b: b}
	if r.u8() != curveNamed {
		return m, false
	}
	m.group = Group(r.u16())
	m.public = r.vec8()
	m.signed.parse(&r)
	return m, r.done() && len(m.public) > 0
}

// params appends the part which is signed behind the two randoms.
func (m *serverKeyExchange12) params(b []byte) []byte {
	b = append(b, curveNamed)
	b = binary.BigEndian.AppendUint16(b, uint16(m.group))
	return appendVec8(b, m.public)
}

func (m *serverKeyExchange12) append(b []byte) []byte {
	return m.signed.append(m.params(b))
}

func (s *signed) parse(r *reader) {
	s.scheme = SignatureScheme(r.u16())
	s.signature = r.vec16()
}

func (s *signed) append(b []byte) []byte {
	return appendVec16(binary.BigEndian.AppendUint16(b, uint16(s.scheme)), s.signature)
}

func parseCertificateVerify12(b []byte) (s signed, ok bool) {
	r := reader{b: b}
	s.parse(&r)
	return s, r.done()
}

// parseClientKeyExchange12 returns the client's public value (RFC 8422 §5.7).
func parseClientKeyExchange12(b []byte) (public []byte, ok bool) {
	r := reader{b: b}
	public = r.vec8()
	return public, r.done() && len(public) > 0
}

// Client certificate types (RFC 5246 §7.4.4, RFC 8422 §5.5).
const (
	certTypeRSA   = 1
	certTypeECDSA = 64
)

// certificateRequest12 is RFC 5246 §7.4.4.
type certificateRequest12 struct {
	types       []byte
	schemes     []SignatureScheme
	authorities []byte // undecoded: trust comes from fingerprints
}

// parseCertificateRequest12 parses a request, whose list may lie in room.
func parseCertificateRequest12(room *lists, b []byte) (m certificateRequest12, ok bool) {
	r := reader{b: b}
	m.types = r.vec8()
	m.schemes, ok = list16(room.schemes[:], r.vec16())
	m.authorities = r.vec16()
	return m, ok && r.done() && len(m.types) > 0
}

func (m *certificateRequest12) append(b []byte) []byte {
	b = appendVec8(b, m.types)
	b = appendList16(b, m.schemes)
	return appendVec16(b, m.authorities)
}

// parseCertificate12 returns the chain, leaf first, which may be empty (RFC 5246
// §7.4.2, §7.4.6). The elements alias b.
func parseCertificate12(b []byte) (chain [][]byte, ok bool) { return parseChain12(nil, b) }

// parseChain12 is that, appended to chain.
func parseChain12(chain [][]byte, b []byte) (_ [][]byte, ok bool) {
	r := reader{b: b}
	list := reader{b: r.vec24()}
	if !r.done() {
		return nil, false
	}
	for len(list.b) > 0 {
		der := list.vec24()
		if list.bad || len(der) == 0 || len(chain) == maxCertificates {
			return nil, false
		}
		chain = append(chain, der)
	}
	return chain, true
}

func appendCertificate12(b []byte, chain [][]byte) []byte {
	n := 0
	for _, der := range chain {
		n += 3 + len(der)
	}
	b = appendU24(b, n)
	for _, der := range chain {
		b = append(appendU24(b, len(der)), der...)
	}
	return b
}
