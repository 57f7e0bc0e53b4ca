package stun

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
)

// ErrTooLong says that a message would have passed MaxMessage.
var ErrTooLong = errors.New("stun: message too long")

// Builder appends one message to a buffer. Attributes are written in the
// order of the calls, which must end with Integrity and Fingerprint, those
// wanted. It allocates only if the buffer lacks capacity.
type Builder struct {
	b     []byte
	start int
	err   error
}

// Begin starts a message behind the bytes of b.
func Begin(b []byte, t Type, id TransactionID) Builder {
	start := len(b)
	b = binary.BigEndian.AppendUint16(b, uint16(t))
	b = append(b, 0, 0, 0x21, 0x12, 0xa4, 0x42)
	b = append(b, id[:]...)
	return Builder{b: b, start: start}
}

// Bytes gives the buffer of Begin with the message appended to it.
func (m *Builder) Bytes() []byte { return m.b }

// Err gives ErrTooLong if an attribute did not fit and was left out.
func (m *Builder) Err() error { return m.err }

// attr appends the header of an attribute of n bytes, and counts the message's
// length for it.
func (m *Builder) attr(t Attr, n int) bool {
	length := len(m.b) - m.start - HeaderLen + 4 + (n+3)&^3
	if length > MaxMessage-HeaderLen {
		m.err = ErrTooLong
		return false
	}
	binary.BigEndian.PutUint16(m.b[m.start+2:], uint16(length))
	m.b = binary.BigEndian.AppendUint16(m.b, uint16(t))
	m.b = binary.BigEndian.AppendUint16(m.b, uint16(n))
	return true
}

// pad fills up the attribute (RFC 8489 §14: with any value; zero is tidy).
func (m *Builder) pad(n int) {
	for ; n&3 != 0; n++ {
		m.b = append(m.b, 0)
	}
}

// Raw appends an attribute with value v.
func (m *Builder) Raw(t Attr, v []byte) {
	if m.attr(t, len(v)) {
		m.b = append(m.b, v...)
		m.pad(len(v))
	}
}

// Text appends an attribute with value s.
func (m *Builder) Text(t Attr, s string) {
	if m.attr(t, len(s)) {
		m.b = append(m.b, s...)
		m.pad(len(s))
	}
}

// Username appends USERNAME. In ICE it is "theirs:ours", the fragment of the
// one who is asked first (RFC 8445 §7.2.2).
func (m *Builder) Username(s string) { m.Text(AttrUsername, s) }

// Priority appends PRIORITY (RFC 8445 §16.1).
func (m *Builder) Priority(p uint32) { m.Uint32(AttrPriority, p) }

// UseCandidate appends USE-CANDIDATE (RFC 8445 §16.1).
func (m *Builder) UseCandidate() { m.Raw(AttrUseCandidate, nil) }

// ICEControlling appends ICE-CONTROLLING (RFC 8445 §16.1).
func (m *Builder) ICEControlling(tiebreaker uint64) { m.Uint64(AttrICEControlling, tiebreaker) }

// ICEControlled appends ICE-CONTROLLED (RFC 8445 §16.1).
func (m *Builder) ICEControlled(tiebreaker uint64) { m.Uint64(AttrICEControlled, tiebreaker) }

// Uint32 appends an attribute of four bytes.
func (m *Builder) Uint32(t Attr, v uint32) {
	if m.attr(t, 4) {
		m.b = binary.BigEndian.AppendUint32(m.b, v)
	}
}

// Uint64 appends an attribute of eight bytes.
func (m *Builder) Uint64(t Attr, v uint64) {
	if m.attr(t, 8) {
		m.b = binary.BigEndian.AppendUint64(m.b, v)
	}
}

// XORMappedAddress appends XOR-MAPPED-ADDRESS (RFC 8489 §14.2).
func (m *Builder) XORMappedAddress(a netip.AddrPort) { m.XORAddress(AttrXORMappedAddress, a) }

// XORAddress appends an address, encoded as XOR-MAPPED-ADDRESS is. An IPv4
// address mapped into IPv6 is written as IPv4; an invalid one is left out.
func (m *Builder) XORAddress(t Attr, a netip.AddrPort) {
	ip := a.Addr().Unmap()
	if !ip.IsValid() {
		return
	}
	port := a.Port() ^ cookie>>16
	mask := m.b[m.start+4 : m.start+HeaderLen]
	if ip.Is4() {
		if m.attr(t, 8) {
			v := ip.As4()
			m.b = append(m.b, 0, familyIPv4, byte(port>>8), byte(port))
			for i, c := range v {
				m.b = append(m.b, c^mask[i])
			}
		}
		return
	}
	if m.attr(t, 20) {
		v := ip.As16()
		m.b = append(m.b, 0, familyIPv6, byte(port>>8), byte(port))
		for i, c := range v {
			m.b = append(m.b, c^mask[i])
		}
	}
}

// ErrorCode appends ERROR-CODE: a code of 300 to 699 and a reason, cut at
// what RFC 8489 §14.8 allows.
func (m *Builder) ErrorCode(code int, reason string) {
	reason = reason[:min(len(reason), maxReason)]
	n := 4 + len(reason)
	if m.attr(AttrErrorCode, n) {
		m.b = append(m.b, 0, 0, byte(code/100), byte(code%100))
		m.b = append(m.b, reason...)
		m.pad(n)
	}
}

// UnknownAttributes appends UNKNOWN-ATTRIBUTES (RFC 8489 §14.9).
func (m *Builder) UnknownAttributes(ts []Attr) {
	if m.attr(AttrUnknownAttributes, 2*len(ts)) {
		for _, t := range ts {
			m.b = binary.BigEndian.AppendUint16(m.b, uint16(t))
		}
		m.pad(2 * len(ts))
	}
}

// Integrity appends MESSAGE-INTEGRITY over all that precedes it (RFC 8489
// §14.5).
func (m *Builder) Integrity(k *Key) {
	end := len(m.b)
	if m.attr(AttrMessageIntegrity, integrityLen) {
		m.b = append(m.b, k.compute(m.b[m.start:end])...)
	}
}

// Fingerprint appends FINGERPRINT; nothing may follow it (RFC 8489 §14.7).
func (m *Builder) Fingerprint() {
	end := len(m.b)
	if m.attr(AttrFingerprint, 4) {
		crc := crc32.ChecksumIEEE(m.b[m.start:end]) ^ fingerprintXOR
		m.b = binary.BigEndian.AppendUint32(m.b, crc)
	}
}
