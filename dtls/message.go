package dtls

import "encoding/binary"

// Handshake message types (RFC 5246 §7.4, RFC 6347 §4.3.2, RFC 8446 §4).
const (
	typeHelloRequest        uint8 = 0
	typeClientHello         uint8 = 1
	typeServerHello         uint8 = 2
	typeHelloVerifyRequest  uint8 = 3
	typeNewSessionTicket    uint8 = 4
	typeEncryptedExtensions uint8 = 8
	typeRequestConnectionID uint8 = 9  // RFC 9147 §9
	typeNewConnectionID     uint8 = 10 // RFC 9147 §9
	typeCertificate         uint8 = 11
	typeServerKeyExchange   uint8 = 12
	typeCertificateRequest  uint8 = 13
	typeServerHelloDone     uint8 = 14
	typeCertificateVerify   uint8 = 15
	typeClientKeyExchange   uint8 = 16
	typeFinished            uint8 = 20
	typeKeyUpdate           uint8 = 24
	typeMessageHash         uint8 = 254 // only in transcripts
)

// messageHeaderLen is the length of a handshake header (RFC 6347 §4.2.2): type
// 1, length 3, message_seq 2, fragment_offset 3, fragment_length 3.
const messageHeaderLen = 12

// message is a whole handshake message: raw is header and body, as if it had
// never been fragmented, which is what the transcript takes (RFC 6347 §4.2.6).
type message struct {
	typ uint8
	seq uint16
	raw []byte
}

func (m message) body() []byte { return m.raw[messageHeaderLen:] }

// fragment is a view of one fragment of a handshake message.
type fragment struct {
	typ    uint8
	seq    uint16
	length int // of the whole message
	offset int
	body   []byte
}

// parseFragment cuts the first fragment off a record's payload. A record may
// hold several (RFC 6347 §4.2.3).
func parseFragment(b []byte) (f fragment, rest []byte, ok bool) {
	r := reader{b: b}
	f.typ = r.u8()
	f.length = r.u24()
	f.seq = r.u16()
	f.offset = r.u24()
	f.body = r.vec24()
	if r.bad || f.offset+len(f.body) > f.length {
		return fragment{}, nil, false
	}
	return f, r.b, true
}

// appendFragment appends a fragment: header and body.
func appendFragment(b []byte, f fragment) []byte {
	b = append(b, f.typ)
	b = appendU24(b, f.length)
	b = binary.BigEndian.AppendUint16(b, f.seq)
	b = appendU24(b, f.offset)
	b = appendU24(b, len(f.body))
	return append(b, f.body...)
}

// newMessage frames a body.
func newMessage(typ uint8, seq uint16, body []byte) message {
	raw := make([]byte, 0, messageHeaderLen+len(body))
	f := fragment{typ: typ, seq: seq, length: len(body), body: body}
	return message{typ: typ, seq: seq, raw: appendFragment(raw, f)}
}
