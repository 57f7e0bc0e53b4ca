package rtcp

import "time"

const (
	// MaxBlocks is the number of report blocks, chunks or sources that the
	// 5-bit count of a header can say (RFC 3550 §6.4.1). AppendX ignores
	// more: split the list over several packets.
	MaxBlocks = 31

	// MaxText is the longest SDES item or BYE reason in bytes
	// (RFC 3550 §6.5, 8-bit length). Longer ones are cut.
	MaxText = 255

	// MaxList bounds NACK pairs, FIR entries and REMB sources in one packet
	// (REMB counts in 8 bits). AppendX ignores more.
	MaxList = 255

	// MaxXRPackets is how many packets a trace or a list of receipt times of
	// an extended report is about: 8 s of 1000 packets a second. ParseXRTrace
	// and ParseXRTimes refuse more, as ParseTWCC does: four bytes can stand
	// for 32,766 packets. AppendXRTimes refuses too, and AppendXRTrace ignores
	// chunks beyond those which hold so many in vectors of 15 bits.
	//
	// Deviates: RFC 3611 §4.1 has up to 65,533.
	MaxXRPackets = 1 << 13
	maxXRChunks  = MaxXRPackets/xrVectorBits + 1

	// MaxRecorded is the number of arrivals a Recorder keeps between two
	// feedbacks: 100 ms at 40,000 packets a second. Beyond it Record drops
	// and counts.
	MaxRecorded = 4096

	// MaxFeedback is the most that one call of Recorder.Append appends, in
	// bytes: it leaves room for the rest of a compound, SRTCP and headers
	// in a 1200-byte datagram. What does not fit waits for the next call.
	MaxFeedback = 1088

	// MaxFeedbackSpan is the longest range of sequence numbers one feedback
	// packet reports. A larger gap starts a new packet: the numbers between
	// are not reported at all. ParseTWCC refuses more: two bytes can stand
	// for 8191 statuses, and someone has to walk them.
	MaxFeedbackSpan = 1 << 13

	// deltaUnit and refUnit are the units of transport-wide feedback
	// (draft-holmer-rmcat-transport-wide-cc-extensions-01 §3.1).
	deltaUnit = 250 * time.Microsecond
	refUnit   = 64 * time.Millisecond
)
