package rtcp

import "encoding/binary"

// Types of the blocks of an extended report (RFC 3611 §4).
const (
	XRLossRLE      = 1 // §4.1, ParseXRTrace
	XRDuplicateRLE = 2 // §4.2, ParseXRTrace
	XRReceiptTimes = 3 // §4.3, ParseXRTimes
	XRRRTR         = 4 // §4.4, ParseRRTR: receiver reference time
	XRDLRR         = 5 // §4.5, ParseDLRR: delay since the last of these
	XRSummaryStats = 6 // §4.6, ParseXRSummary
	XRVoIPMetrics  = 7 // §4.7, ParseXRVoIP
)

// XR iterates over the blocks of an extended report (RFC 3611 §2).
type XR struct {
	Sender uint32
	b      []byte
}

// XRBlock is one block of an extended report. Types without a parser here are
// for the caller to skip (RFC 3611 §3) or to read.
type XRBlock struct {
	Type     uint8
	Specific uint8  // the second byte, whose meaning depends on Type
	Body     []byte // what follows the first four bytes, in whole words
}

// ParseXR starts to read an extended report. It reports false if p is none.
func ParseXR(p Packet) (XR, bool) {
	if p.Type != TypeXR || len(p.Body) < 4 {
		return XR{}, false
	}
	return XR{binary.BigEndian.Uint32(p.Body), p.Body[4:]}, true
}

// Next returns the next block. It reports false at the end, and for good at a
// block that runs beyond the packet.
func (x *XR) Next() (XRBlock, bool) {
	b := x.b
	if len(b) < headerLen {
		x.b = nil
		return XRBlock{}, false
	}
	n := headerLen + 4*int(binary.BigEndian.Uint16(b[2:])) // RFC 3611 §3
	if n > len(b) {
		x.b = nil
		return XRBlock{}, false
	}
	x.b = b[n:]
	return XRBlock{b[0], b[1], b[headerLen:n:n]}, true
}

// AppendXR appends an extended report without blocks. The AppendX of blocks
// take the start of the report in b, which must be the last packet of b, and
// keep its length in step. A block that would make it longer than its length
// can say, 65,536 words, is left out.
func AppendXR(b []byte, sender uint32) []byte {
	return append(b, versionBits, TypeXR, 0, 1, uint8(sender>>24), uint8(sender>>16), uint8(sender>>8), uint8(sender))
}

// openBlock appends the first four bytes of a block of a known number of words
// behind them, and counts it in the length of the report.
func openBlock(b []byte, start int, typ, specific uint8, words int) ([]byte, bool) {
	total := (len(b)-start)/4 + words
	if total > 1<<16-1 || words > 1<<16-1 {
		return b, false
	}
	binary.BigEndian.PutUint16(b[start+2:], uint16(total))
	return append(b, typ, specific, uint8(words>>8), uint8(words)), true
}

// ParseRRTR reads a receiver reference time: the NTPTime at which it was sent.
// It reports false if b is none.
func ParseRRTR(b XRBlock) (ntp uint64, ok bool) {
	if b.Type != XRRRTR || len(b.Body) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(b.Body), true
}

// AppendRRTR appends a receiver reference time to the report at start.
func AppendRRTR(b []byte, start int, ntp uint64) []byte {
	b, ok := openBlock(b, start, XRRRTR, 0, 2)
	if !ok {
		return b
	}
	return binary.BigEndian.AppendUint64(b, ntp)
}

const dlrrLen = 12

// DLRREntry answers the reference time of one receiver (RFC 3611 §4.5).
type DLRREntry struct {
	SSRC   uint32 // of the receiver
	LastRR uint32 // CompactNTP of its last reference time, 0 if none
	Delay  uint32 // since that, in 1/65536 s
}

// DLRR is a parsed list of answers to reference times.
type DLRR struct{ b []byte }

// ParseDLRR reads answers to reference times. It reports false if b is none or
// does not hold whole entries.
func ParseDLRR(b XRBlock) (DLRR, bool) {
	if b.Type != XRDLRR || len(b.Body)%dlrrLen != 0 {
		return DLRR{}, false
	}
	return DLRR{b.Body}, true
}

// Len returns the number of entries.
func (d DLRR) Len() int { return len(d.b) / dlrrLen }

// At returns entry i.
func (d DLRR) At(i int) DLRREntry {
	b := d.b[i*dlrrLen : (i+1)*dlrrLen]
	return DLRREntry{binary.BigEndian.Uint32(b), binary.BigEndian.Uint32(b[4:]), binary.BigEndian.Uint32(b[8:])}
}

// AppendDLRR appends up to MaxList answers to the report at start.
func AppendDLRR(b []byte, start int, entries []DLRREntry) []byte {
	entries = entries[:min(len(entries), MaxList)]
	b, ok := openBlock(b, start, XRDLRR, 0, len(entries)*dlrrLen/4)
	if !ok {
		return b
	}
	for _, e := range entries {
		b = binary.BigEndian.AppendUint32(b, e.SSRC)
		b = binary.BigEndian.AppendUint32(b, e.LastRR)
		b = binary.BigEndian.AppendUint32(b, e.Delay)
	}
	return b
}
