package dtls

import "encoding/binary"

// encryptedExtensions is RFC 8446 §4.3.1.
type encryptedExtensions struct {
	profile SRTPProfile // 0: none
	mki     []byte
	options        // alpn and limit only: the others belong into ServerHello
	foreign uint16 // an extension we did not offer, or which does not belong here; 0: none
}

func parseEncryptedExtensions(b []byte) (m encryptedExtensions, ok bool) {
	if len(b) == 0 { // the list itself is not optional
		return m, false
	}
	r := reader{b: b}
	ok = eachExtension(&r, func(typ uint16, b []byte) (ok bool) {
		e := reader{b: b}
		switch typ {
		case extUseSRTP: // RFC 5764 §4.1.1
			var list []SRTPProfile
			list, ok = list16[SRTPProfile](nil, e.vec16())
			m.mki = e.vec8()
			if ok = ok && len(list) == 1 && list[0] != 0; ok {
				m.profile = list[0]
			}
		case extSupportedGroups: // RFC 8446 §4.2.7: a hint for another time
			_, ok = list16[Group](nil, e.vec16())
		case extALPN, extRecordSizeLimit:
			_, ok = m.options.extension(typ, &e)
		default:
			if m.foreign == 0 {
				m.foreign = typ
			}
			return true
		}
		return ok && e.done()
	})
	return m, ok
}

func (m *encryptedExtensions) append(b []byte) []byte {
	b, all := open16(b)
	if m.profile != 0 {
		b = appendSRTP(b, []SRTPProfile{m.profile}, m.mki)
	}
	return close16(m.options.append(b), all)
}

// certificateRequest13 is RFC 8446 §4.3.2.
type certificateRequest13 struct {
	context []byte
	schemes []SignatureScheme // nil: missing
}

func parseCertificateRequest13(b []byte) (m certificateRequest13, ok bool) {
	r := reader{b: b}
	m.context = r.vec8()
	if r.bad || len(r.b) == 0 {
		return m, false
	}
	ok = eachExtension(&r, func(typ uint16, b []byte) (ok bool) {
		if typ == extSignatureAlgorithms {
			e := reader{b: b}
			m.schemes, ok = list16[SignatureScheme](nil, e.vec16())
			return ok && e.done()
		}
		// RFC 8446 §4.3.2: unrecognised ones are ignored
		return true
	})
	return m, ok
}

func (m *certificateRequest13) append(b []byte) []byte {
	b = appendVec8(b, m.context)
	b, all := open16(b)
	if m.schemes != nil {
		b = appendExt16(b, extSignatureAlgorithms, m.schemes)
	}
	return close16(b, all)
}

// certificate13 is RFC 8446 §4.4.2. Its chain, leaf first, may be empty.
type certificate13 struct {
	context []byte
	chain   [][]byte
	foreign bool // an entry has an extension; we offer none that may be there
}

// parseCertificate13's result aliases b.
func parseCertificate13(b []byte) (m certificate13, ok bool) {
	r := reader{b: b}
	m.context = r.vec8()
	list := reader{b: r.vec24()}
	if !r.done() {
		return m, false
	}
	for len(list.b) > 0 {
		der := list.vec24()
		extensions := list.vec16()
		if list.bad || len(der) == 0 || len(m.chain) == maxCertificates {
			return m, false
		}
		m.foreign = m.foreign || len(extensions) > 0
		m.chain = append(m.chain, der)
	}
	return m, true
}

func (m *certificate13) append(b []byte) []byte {
	b = appendVec8(b, m.context)
	n := 0
	for _, der := range m.chain {
		n += 3 + len(der) + 2
	}
	b = appendU24(b, n)
	for _, der := range m.chain {
		b = append(appendU24(b, len(der)), der...)
		b = append(b, 0, 0)
	}
	return b
}

// proof appends what a CertificateVerify signs (RFC 8446 §4.4.3).
func proof(b []byte, signer Role, transcript []byte) []byte {
	for range 64 {
		b = append(b, ' ')
	}
	b = append(b, "TLS 1.3, "+signer.String()+" CertificateVerify\x00"...)
	return append(b, transcript...)
}

// raw13 is a message as transcripts of DTLS 1.3 take it: its header without
// message_seq and fragment fields (RFC 9147 §5.2).
func (m message) raw13() (header, body []byte) { return m.raw[:4:4], m.body() }

// retryCookie is what a stateless server must know of its HelloRetryRequest when
// the second ClientHello comes: suite, group, hash of the first hello; a MAC
// follows.
type retryCookie struct {
	suite uint16
	group Group // asked for; 0: the hello had a share that will do
	hash  []byte
}

func parseRetryCookie(b []byte) (c retryCookie, ok bool) {
	r := reader{b: b}
	c.suite = r.u16()
	c.group = Group(r.u16())
	c.hash = r.vec8()
	return c, r.done()
}

func (c *retryCookie) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, c.suite)
	b = binary.BigEndian.AppendUint16(b, uint16(c.group))
	return appendVec8(b, c.hash)
}
