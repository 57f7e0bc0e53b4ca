package dtls

import "encoding/binary"

// Content types (RFC 5246 §6.2.1, RFC 8446 §5.1).
const (
	ContentChangeCipherSpec uint8 = 20
	ContentAlert            uint8 = 21
	ContentHandshake        uint8 = 22
	ContentApplicationData  uint8 = 23
	ContentCID              uint8 = 25 // RFC 9146 §4: hides the type within
	ContentACK              uint8 = 26 // RFC 9147 §7
	ContentRoutability      uint8 = 27 // RFC 9853 §4
)

// What Open returns for the content type of an authentic record which breaks the
// protocol otherwise: Conn.HandleRecord ends the association for it. They are no
// types, and neither is KeyLimitNear.
const (
	contentNone     uint8 = 254 // the type is missing, or 0
	contentOverflow uint8 = 253 // the content is longer than 2^14 bytes
)

// Protocol versions on the wire.
const (
	VersionDTLS10 uint16 = 0xfeff
	VersionDTLS12 uint16 = 0xfefd
	VersionDTLS13 uint16 = 0xfefc
)

// DefaultMaxVersion is what Config.MaxVersion 0 means.
const DefaultMaxVersion = VersionDTLS13

// headerLen is the length of a record header (RFC 6347 §4.1): type 1, version
// 2, epoch 2, sequence number 6, length 2.
const headerLen = 13

// maxPayload is the longest payload of a record (RFC 6347 §4.1, RFC 5246
// §6.2.3): what a cipher may add to 2^14 bytes.
const maxPayload = maxFragment + 2048

// SplitRecord cuts the first record, header included, off a datagram. ok is
// false when the datagram does not start with a whole record; the rest of it is
// then useless. It checks lengths and nothing else, and allocates nothing. It
// cuts records of DTLS 1.3 with any unified header but one with a connection ID:
// see SplitRecordCID.
func SplitRecord(datagram []byte) (rec, rest []byte, ok bool) {
	return SplitRecordCID(datagram, 0)
}

// SplitRecordCID is SplitRecord where we have asked to be sent connection IDs of
// idLen bytes. Records do not tell how long theirs are (RFC 9146 §4).
func SplitRecordCID(datagram []byte, idLen int) (rec, rest []byte, ok bool) {
	if unified(datagram) {
		_, n, ok := unifiedLen(datagram, idLen)
		if !ok {
			return nil, nil, false
		}
		return datagram[:n:n], datagram[n:], true
	}
	header := headerLen
	if len(datagram) > 0 && datagram[0] == ContentCID {
		if idLen == 0 {
			return nil, nil, false
		}
		header += idLen
	}
	if len(datagram) < header {
		return nil, nil, false
	}
	n := int(binary.BigEndian.Uint16(datagram[header-2:]))
	if n > maxPayload || len(datagram)-header < n {
		return nil, nil, false
	}
	n += header
	return datagram[:n:n], datagram[n:], true
}

// RecordCID returns the connection ID, of idLen bytes, in the record that begins a
// datagram; ok is false if it has none. It aliases the datagram.
func RecordCID(datagram []byte, idLen int) (id []byte, ok bool) {
	at := 11
	switch {
	case idLen == 0 || len(datagram) == 0:
		return nil, false
	case unified(datagram):
		if datagram[0]&unifiedCID == 0 {
			return nil, false
		}
		at = 1
	case datagram[0] != ContentCID:
		return nil, false
	}
	if len(datagram) < at+idLen {
		return nil, false
	}
	return datagram[at : at+idLen : at+idLen], true
}

// Epoch returns the epoch of a record cut by SplitRecord: 0 is plaintext, for
// Conn.HandlePacket. A record of DTLS 1.3 tells the two lowest bits only: they
// are returned, and 4 for 00. Records.Owns says whose such a record is.
func Epoch(rec []byte) uint16 {
	if unified(rec) {
		if bits := uint16(rec[0] & unifiedEpoch); bits != 0 {
			return bits
		}
		return 4
	}
	return binary.BigEndian.Uint16(rec[3:])
}

// sequence returns the 48-bit sequence number of a record.
func sequence(rec []byte) uint64 {
	return binary.BigEndian.Uint64(rec[3:]) & maxSequence
}

// putHeader writes a record header of DTLS 1.2 to b[:13].
func putHeader(b []byte, contentType uint8, epochSeq uint64, length int) {
	b[0] = contentType
	binary.BigEndian.PutUint16(b[1:], VersionDTLS12)
	binary.BigEndian.PutUint64(b[3:], epochSeq)
	binary.BigEndian.PutUint16(b[11:], uint16(length))
}

// plainVersion tells whether a plaintext record is one of DTLS. A HelloVerifyRequest,
// and a first ClientHello, may say 1.0 (RFC 6347 §4.2.1), and beyond that it does not
// count what it says (RFC 9147 §4).
func plainVersion(rec []byte) bool { return rec[1] == byte(VersionDTLS12>>8) }
