package stun

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"net/netip"
)

// Errors of Parse. They are values, never formatted: they happen per packet.
var (
	ErrNotSTUN     = errors.New("stun: not a STUN message")
	ErrLength      = errors.New("stun: length disagrees with the datagram")
	ErrAttribute   = errors.New("stun: attribute runs past the message")
	ErrIntegrity   = errors.New("stun: MESSAGE-INTEGRITY of the wrong size")
	ErrFingerprint = errors.New("stun: FINGERPRINT wrong or not last")
)

const (
	cookie           = 0x2112a442 // RFC 8489 §5
	fingerprintXOR   = 0x5354554e // RFC 8489 §14.7
	integrityLen     = 20         // RFC 8489 §14.5
	integrityAttrLen = 4 + integrityLen
	fingerprintLen   = 4 + 4
)

// Is reports whether b looks like a STUN message: the two top bits are zero,
// the cookie is there and the length is that of the datagram. It is the cheap
// test of a demultiplexer (RFC 8489 §5, RFC 7983 §7); Parse is the full one.
func Is(b []byte) bool {
	return len(b) >= HeaderLen && b[0]&0xc0 == 0 &&
		binary.BigEndian.Uint32(b[4:]) == cookie &&
		int(binary.BigEndian.Uint16(b[2:])) == len(b)-HeaderLen && len(b)&3 == 0
}

// Message is a view of one valid message. It borrows the bytes given to Parse
// and dies with them. The zero value has no attributes.
type Message struct {
	b           []byte
	end         int // where the attributes that count end
	integrity   int // offset of MESSAGE-INTEGRITY; 0: none
	fingerprint bool
}

// Parse checks b, a whole datagram: the header, that every attribute lies
// inside it, the sizes of MESSAGE-INTEGRITY and FINGERPRINT, and, where there
// is one, the FINGERPRINT itself. It does not check integrity, for which it
// has no key. The work is linear in len(b); nothing is allocated.
func Parse(b []byte) (Message, error) {
	if len(b) < HeaderLen || b[0]&0xc0 != 0 || binary.BigEndian.Uint32(b[4:]) != cookie {
		return Message{}, ErrNotSTUN
	}
	// RFC 8489 §5: the length is a multiple of 4, because attributes are padded.
	if int(binary.BigEndian.Uint16(b[2:])) != len(b)-HeaderLen || len(b)&3 != 0 {
		return Message{}, ErrLength
	}
	m := Message{b: b, end: len(b)}
	sealed := false
	for off := HeaderLen; off < len(b); {
		t := Attr(binary.BigEndian.Uint16(b[off:]))
		n := int(binary.BigEndian.Uint16(b[off+2:]))
		next := off + 4 + (n+3)&^3
		if next > len(b) {
			return Message{}, ErrAttribute
		}
		switch t {
		case AttrMessageIntegrity:
			if n != integrityLen {
				return Message{}, ErrIntegrity
			}
			// RFC 8489 §14.5: what follows, FINGERPRINT excepted, is ignored.
			if !sealed {
				m.integrity, m.end, sealed = off, off, true
			}
		case AttrMessageIntegritySHA256:
			if !sealed {
				m.end, sealed = off, true
			}
		case AttrFingerprint:
			// RFC 8489 §14.7: the last attribute, over all that precede it.
			if n != 4 || next != len(b) ||
				binary.BigEndian.Uint32(b[off+4:]) != crc32.ChecksumIEEE(b[:off])^fingerprintXOR {
				return Message{}, ErrFingerprint
			}
			m.fingerprint = true
			m.end = min(m.end, off)
		}
		off = next
	}
	return m, nil
}

// Type gives the message type.
func (m Message) Type() Type {
	if len(m.b) == 0 {
		return 0
	}
	return Type(binary.BigEndian.Uint16(m.b))
}

// Method gives the method.
func (m Message) Method() Method { return m.Type().Method() }

// Class gives the class.
func (m Message) Class() Class { return m.Type().Class() }

// TransactionID gives the transaction id.
func (m Message) TransactionID() (id TransactionID) {
	if len(m.b) != 0 {
		copy(id[:], m.b[8:HeaderLen])
	}
	return id
}

// Get gives the value of the first attribute of type t. Attributes behind the
// integrity attribute do not exist for it (RFC 8489 §14.5), and of several of
// one type only the first counts (RFC 8489 §14).
func (m Message) Get(t Attr) (v []byte, ok bool) {
	for off := HeaderLen; off < m.end; {
		n := int(binary.BigEndian.Uint16(m.b[off+2:]))
		if Attr(binary.BigEndian.Uint16(m.b[off:])) == t {
			return m.b[off+4 : off+4+n : off+4+n], true
		}
		off += 4 + (n+3)&^3
	}
	return nil, false
}

// All yields the attributes in order, those behind the integrity attribute,
// it and FINGERPRINT excluded.
func (m Message) All(yield func(t Attr, v []byte) bool) {
	for off := HeaderLen; off < m.end; {
		n := int(binary.BigEndian.Uint16(m.b[off+2:]))
		if !yield(Attr(binary.BigEndian.Uint16(m.b[off:])), m.b[off+4:off+4+n:off+4+n]) {
			return
		}
		off += 4 + (n+3)&^3
	}
}

// Username gives USERNAME (RFC 8489 §14.3).
func (m Message) Username() ([]byte, bool) { return m.Get(AttrUsername) }

// Priority gives PRIORITY (RFC 8445 §16.1).
func (m Message) Priority() (uint32, bool) {
	v, ok := m.Get(AttrPriority)
	if !ok || len(v) != 4 {
		return 0, false
	}
	return binary.BigEndian.Uint32(v), true
}

// UseCandidate reports whether USE-CANDIDATE is there (RFC 8445 §16.1).
func (m Message) UseCandidate() bool {
	v, ok := m.Get(AttrUseCandidate)
	return ok && len(v) == 0
}

// ICEControlling gives the tiebreaker of ICE-CONTROLLING (RFC 8445 §16.1).
func (m Message) ICEControlling() (uint64, bool) { return m.uint64(AttrICEControlling) }

// ICEControlled gives the tiebreaker of ICE-CONTROLLED (RFC 8445 §16.1).
func (m Message) ICEControlled() (uint64, bool) { return m.uint64(AttrICEControlled) }

func (m Message) uint64(t Attr) (uint64, bool) {
	v, ok := m.Get(t)
	if !ok || len(v) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(v), true
}

// XORMappedAddress gives XOR-MAPPED-ADDRESS (RFC 8489 §14.2).
func (m Message) XORMappedAddress() (netip.AddrPort, bool) {
	return m.XORAddress(AttrXORMappedAddress)
}

// XORAddress gives the address of an attribute which is encoded as
// XOR-MAPPED-ADDRESS is, such as those of TURN.
func (m Message) XORAddress(t Attr) (netip.AddrPort, bool) {
	v, ok := m.Get(t)
	if !ok || len(v) < 8 {
		return netip.AddrPort{}, false
	}
	port := binary.BigEndian.Uint16(v[2:]) ^ cookie>>16
	switch {
	case v[1] == familyIPv4 && len(v) == 8:
		a := [4]byte(v[4:])
		for i := range a {
			a[i] ^= m.b[4+i]
		}
		return netip.AddrPortFrom(netip.AddrFrom4(a), port), true
	case v[1] == familyIPv6 && len(v) == 20:
		a := [16]byte(v[4:])
		for i := range a { // the cookie, then the transaction id
			a[i] ^= m.b[4+i]
		}
		return netip.AddrPortFrom(netip.AddrFrom16(a).Unmap(), port), true
	}
	return netip.AddrPort{}, false
}

const (
	familyIPv4 = 1 // RFC 8489 §14.1
	familyIPv6 = 2
)

// ErrorCode gives the number, 300 to 699, and the reason of ERROR-CODE
// (RFC 8489 §14.8).
func (m Message) ErrorCode() (code int, reason []byte, ok bool) {
	v, ok := m.Get(AttrErrorCode)
	if !ok || len(v) < 4 {
		return 0, nil, false
	}
	class, number := int(v[2]&7), int(v[3])
	if class < 3 || class > 6 || number > 99 {
		return 0, nil, false
	}
	return class*100 + number, v[4:], true
}

// HasFingerprint reports whether the message carried a FINGERPRINT; Parse has
// verified it.
func (m Message) HasFingerprint() bool { return m.fingerprint }

// HasIntegrity reports whether there is a MESSAGE-INTEGRITY, right or wrong.
func (m Message) HasIntegrity() bool { return m.integrity != 0 }

// CheckIntegrity reports whether there is a MESSAGE-INTEGRITY made with k. It
// compares in constant time and allocates nothing.
func (m Message) CheckIntegrity(k *Key) bool {
	if m.integrity == 0 || k == nil {
		return false
	}
	return k.equal(m.b[:m.integrity], m.b[m.integrity+4:m.integrity+integrityAttrLen])
}

// Unknown appends to dst the comprehension-required attributes which are
// neither in known nor needed to frame a message, at most MaxUnknown.
func (m Message) Unknown(dst []Attr, known ...Attr) []Attr {
	n := 0
next:
	for off := HeaderLen; off < m.end && n < MaxUnknown; {
		t := Attr(binary.BigEndian.Uint16(m.b[off:]))
		off += 4 + (int(binary.BigEndian.Uint16(m.b[off+2:]))+3)&^3
		if !t.Required() {
			continue
		}
		for _, k := range known {
			if t == k {
				continue next
			}
		}
		dst = append(dst, t)
		n++
	}
	return dst
}
