package dtls

import "encoding/binary"

// The first byte of a unified header (RFC 9147 §4): 001, then C: a connection ID
// follows, S: the sequence number has 16 bits and not 8, L: a length is there,
// and the two lowest bits of the epoch.
const (
	unifiedMark   = 0x20
	unifiedFixed  = 0xe0
	unifiedCID    = 0x10
	unifiedSeq16  = 0x08
	unifiedLength = 0x04
	unifiedEpoch  = 0x03
)

const (
	// headerLen13 is the length of the headers we write: always with a sequence
	// number of 16 bits and a length, so that records can share a datagram.
	headerLen13 = 5
	// overhead13 adds the content type and the tag.
	overhead13 = headerLen13 + 1 + tagLen
	// maxPayload13: RFC 9147 §4.5.2 with RFC 8446 §5.2.
	maxPayload13 = maxFragment + 256
	// minPayload13 is a content type and a tag; record numbers are masked with
	// 16 bytes of the ciphertext, shorter ones are invalid (RFC 9147 §4.2.3).
	minPayload13 = 1 + tagLen
)

// unified tells whether a record has the header of DTLS 1.3.
func unified(rec []byte) bool { return len(rec) > 0 && rec[0]&unifiedFixed == unifiedMark }

// handshakeBits tells whether a unified header may be of the handshake's epoch. It
// may be of epochs 6, 10, ... as well.
func handshakeBits(rec []byte) bool { return uint16(rec[0]&unifiedEpoch) == epochHandshake }

// unifiedLen parses the header of the record that begins b: its own length, and
// that of the whole record. Connection IDs have idLen bytes; where that is 0, a
// header with one is none of our peer's (RFC 9147 §4).
func unifiedLen(b []byte, idLen int) (header, record int, ok bool) {
	if !unified(b) {
		return 0, 0, false
	}
	header = 2
	if b[0]&unifiedCID != 0 {
		if idLen == 0 || len(b) < header+idLen {
			return 0, 0, false
		}
		header += idLen
	}
	if b[0]&unifiedSeq16 != 0 {
		header++
	}
	payload := len(b) - header
	if b[0]&unifiedLength != 0 {
		if header += 2; len(b) < header {
			return 0, 0, false
		}
		n := int(binary.BigEndian.Uint16(b[header-2:]))
		if n > len(b)-header {
			return 0, 0, false
		}
		payload = n
	}
	if payload < minPayload13 || payload > maxPayload13 {
		return 0, 0, false
	}
	return header, header + payload, true
}

// putUnified writes our header to b[:5+len(id)].
func putUnified(b, id []byte, epoch uint16, seq uint64, payload int) {
	b[0] = unifiedMark | unifiedSeq16 | unifiedLength | byte(epoch&unifiedEpoch)
	if len(id) > 0 {
		b[0] |= unifiedCID
		b = b[copy(b[1:], id):]
	}
	binary.BigEndian.PutUint16(b[1:], uint16(seq))
	binary.BigEndian.PutUint16(b[3:], uint16(payload))
}

// nearest expands a sequence number of bits bits to the one closest to the next
// expected (RFC 9147 §4.2.2).
func nearest(next uint64, low uint64, bits uint) uint64 {
	span := uint64(1) << bits
	seq := next&^(span-1) | low
	switch {
	case seq+span/2 < next:
		seq += span
	case seq > next+span/2 && seq >= span:
		seq -= span
	}
	return seq
}

// ackLen is the length of a record number in an ACK (RFC 9147 §7).
const ackLen = 16

// recordNumber is a record's epoch in the upper 16 bits, and its sequence number.
type recordNumber uint64

func (n recordNumber) epoch() uint16 { return uint16(n >> 48) }

// numbersOf iterates over an ACK's record numbers. Those beyond what we could
// have sent are passed over. ok is false when it does not parse.
func numbersOf(ack []byte, f func(recordNumber)) (ok bool) {
	r := reader{b: ack}
	list := r.vec16()
	if !r.done() || len(list)%ackLen != 0 {
		return false
	}
	for ; len(list) > 0; list = list[ackLen:] {
		epoch, seq := binary.BigEndian.Uint64(list), binary.BigEndian.Uint64(list[8:])
		if epoch <= maxEpoch && seq <= maxSequence {
			f(recordNumber(epoch<<48 | seq))
		}
	}
	return true
}

func appendACK(b []byte, numbers []recordNumber) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(ackLen*len(numbers)))
	for _, n := range numbers {
		b = binary.BigEndian.AppendUint64(b, uint64(n.epoch()))
		b = binary.BigEndian.AppendUint64(b, uint64(n)&maxSequence)
	}
	return b
}
