package rtcp

import "encoding/binary"

const (
	summaryLen = 36
	voipLen    = 32
)

// XRHops tells what the hop fields of an XRSummary count (RFC 3611 §4.6, ToH).
type XRHops uint8

// Values of XRHops; 3 is reserved.
const (
	XRNoHops XRHops = 0
	XRIPv4   XRHops = 1 // time to live
	XRIPv6   XRHops = 2 // hop limit
)

// XRSummary is a statistics summary about a range, which is never thinned
// (RFC 3611 §4.6).
type XRSummary struct {
	XRRange
	HasLost, HasDuplicates, HasJitter bool // which of the fields below count
	Hops                              XRHops

	Lost, Duplicates                           uint32 // packets
	MinJitter, MaxJitter, MeanJitter, JitterSD uint32 // in timestamp units
	MinHops, MaxHops, MeanHops, HopsSD         uint8
}

// ParseXRSummary reads an XRSummaryStats block. It reports false if b is none.
func ParseXRSummary(b XRBlock) (XRSummary, bool) {
	if b.Type != XRSummaryStats || len(b.Body) != summaryLen {
		return XRSummary{}, false
	}
	s := XRSummary{
		XRRange: parseRange(b),
		HasLost: b.Specific&0x80 != 0, HasDuplicates: b.Specific&0x40 != 0, HasJitter: b.Specific&0x20 != 0,
		Hops: XRHops(b.Specific >> 3 & 3),
	}
	s.Thinning = 0 // the bits have another meaning here
	w := b.Body[rangeLen:]
	s.Lost, s.Duplicates = binary.BigEndian.Uint32(w), binary.BigEndian.Uint32(w[4:])
	s.MinJitter, s.MaxJitter = binary.BigEndian.Uint32(w[8:]), binary.BigEndian.Uint32(w[12:])
	s.MeanJitter, s.JitterSD = binary.BigEndian.Uint32(w[16:]), binary.BigEndian.Uint32(w[20:])
	s.MinHops, s.MaxHops, s.MeanHops, s.HopsSD = w[24], w[25], w[26], w[27]
	return s, true
}

// AppendXRSummary appends a statistics summary to the report at start.
func AppendXRSummary(b []byte, start int, s *XRSummary) []byte {
	flags := uint8(s.Hops&3) << 3
	if s.HasLost {
		flags |= 0x80
	}
	if s.HasDuplicates {
		flags |= 0x40
	}
	if s.HasJitter {
		flags |= 0x20
	}
	b, ok := openBlock(b, start, XRSummaryStats, flags, summaryLen/4)
	if !ok {
		return b
	}
	b = s.XRRange.append(b)
	for _, v := range [...]uint32{s.Lost, s.Duplicates, s.MinJitter, s.MaxJitter, s.MeanJitter, s.JitterSD} {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	return append(b, s.MinHops, s.MaxHops, s.MeanHops, s.HopsSD)
}

// XRUnavailable is the value of a level, loss or quality score of XRVoIP that
// was not measured (RFC 3611 §4.7.4, §4.7.5).
const XRUnavailable = 127

// XRVoIP is a report of metrics of voice (RFC 3611 §4.7).
type XRVoIP struct {
	SSRC                    uint32
	LossRate, DiscardRate   uint8  // of packets, in 1/256
	BurstDensity            uint8  // lost or discarded within bursts, in 1/256
	GapDensity              uint8  // and between them
	BurstDuration           uint16 // mean, in ms
	GapDuration             uint16 // mean, in ms
	RoundTrip, EndSystem    uint16 // delays, in ms
	SignalLevel, NoiseLevel int8   // dBm0
	RERL                    uint8  // residual echo return loss, in dB
	Gmin                    uint8  // gap threshold: packets received between bursts, 1 to 255
	R, ExtR                 uint8  // quality factors, 0 to 100
	MOSListening, MOSCall   uint8  // ten times a score of 1.0 to 5.0
	Config                  uint8  // PLC, JBA and JB rate, §4.7.6
	JitterNominal           uint16 // delay of the jitter buffer, in ms
	JitterMax, JitterAbsMax uint16
}

// ParseXRVoIP reads an XRVoIPMetrics block. It reports false if b is none.
func ParseXRVoIP(b XRBlock) (XRVoIP, bool) {
	if b.Type != XRVoIPMetrics || len(b.Body) != voipLen {
		return XRVoIP{}, false
	}
	w := b.Body
	return XRVoIP{
		SSRC:     binary.BigEndian.Uint32(w),
		LossRate: w[4], DiscardRate: w[5], BurstDensity: w[6], GapDensity: w[7],
		BurstDuration: binary.BigEndian.Uint16(w[8:]), GapDuration: binary.BigEndian.Uint16(w[10:]),
		RoundTrip: binary.BigEndian.Uint16(w[12:]), EndSystem: binary.BigEndian.Uint16(w[14:]),
		SignalLevel: int8(w[16]), NoiseLevel: int8(w[17]), RERL: w[18], Gmin: w[19],
		R: w[20], ExtR: w[21], MOSListening: w[22], MOSCall: w[23],
		Config:        w[24], // w[25] is reserved
		JitterNominal: binary.BigEndian.Uint16(w[26:]),
		JitterMax:     binary.BigEndian.Uint16(w[28:]), JitterAbsMax: binary.BigEndian.Uint16(w[30:]),
	}, true
}

// AppendXRVoIP appends metrics of voice to the report at start.
func AppendXRVoIP(b []byte, start int, v *XRVoIP) []byte {
	b, ok := openBlock(b, start, XRVoIPMetrics, 0, voipLen/4)
	if !ok {
		return b
	}
	b = binary.BigEndian.AppendUint32(b, v.SSRC)
	b = append(b, v.LossRate, v.DiscardRate, v.BurstDensity, v.GapDensity)
	for _, ms := range [...]uint16{v.BurstDuration, v.GapDuration, v.RoundTrip, v.EndSystem} {
		b = binary.BigEndian.AppendUint16(b, ms)
	}
	b = append(b, uint8(v.SignalLevel), uint8(v.NoiseLevel), v.RERL, v.Gmin, v.R, v.ExtR, v.MOSListening, v.MOSCall, v.Config, 0)
	for _, ms := range [...]uint16{v.JitterNominal, v.JitterMax, v.JitterAbsMax} {
		b = binary.BigEndian.AppendUint16(b, ms)
	}
	return b
}
