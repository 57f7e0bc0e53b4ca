package rtcp

import (
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// arrival is one received packet of the transport.
type arrival struct {
	seq int64 // unwrapped
	at  mono.Time
}

// Recorder collects the arrivals of a transport's packets by their
// transport-wide sequence numbers and reports them
// (draft-holmer-rmcat-transport-wide-cc-extensions-01). The zero value is
// ready. It has one owner and keeps what happened since the last feedback only,
// at most MaxRecorded arrivals.
type Recorder struct {
	// Dropped counts arrivals that were not recorded for want of room.
	Dropped uint64

	list    []arrival // by seq, without repetitions
	highest int64     // of all recorded; the reference for unwrapping
	next    int64     // the first number no feedback has covered
	started bool
	count   uint8 // of feedback packets, modulo 256
}

// Record notes that packet seq arrived at the instant at. Of two packets with
// one number the first counts, as long as it is not reported; then the second
// is reported too.
func (r *Recorder) Record(seq uint16, at mono.Time) {
	n := int64(seq)
	if r.started {
		n = r.highest + int64(int16(seq-uint16(r.highest)))
	}
	// Arrivals are nearly in order: the place is at or near the end.
	i := len(r.list)
	for i > 0 && r.list[i-1].seq > n {
		i--
	}
	if i > 0 && r.list[i-1].seq == n {
		return
	}
	if len(r.list) >= MaxRecorded {
		r.Dropped++
		return
	}
	if !r.started {
		r.started, r.highest, r.next = true, n, n
	}
	r.highest = max(r.highest, n)
	r.list = append(r.list, arrival{})
	copy(r.list[i+1:], r.list[i:])
	r.list[i] = arrival{n, at}
}

// Pending returns the number of arrivals not yet reported.
func (r *Recorder) Pending() int { return len(r.list) }

// Append appends feedback packets about the arrivals not yet reported, oldest
// first, up to MaxFeedback bytes in all, and forgets them. Several packets are
// needed when two neighbouring arrivals are over 8 s apart in time, or further
// than MaxFeedbackSpan in number, or when one comes after its successors were
// reported. While Pending is not 0 another call has more to say, in another
// datagram. It appends nothing if nothing is pending.
func (r *Recorder) Append(b []byte, sender, media uint32) []byte {
	start, done := len(b), 0
	for done < len(r.list) {
		room := MaxFeedback - (len(b) - start)
		if room < minFeedback {
			break
		}
		var n int
		b, n = r.appendOne(b, sender, media, r.list[done:], room)
		done += n
	}
	r.list = append(r.list[:0], r.list[done:]...)
	return b
}

// appendOne appends one feedback packet of at most room bytes, at least
// minFeedback, about the first n of list, at least one.
func (r *Recorder) appendOne(b []byte, sender, media uint32, list []arrival, room int) (_ []byte, n int) {
	base := list[0].seq
	// Numbers around a late arrival were reported already: a packet that
	// spanned them would now call them lost.
	late := base < r.next
	if !late && base-r.next < MaxFeedbackSpan {
		base = r.next // what was lost since the last feedback
	}
	ref := int64(list[0].at) / int64(refUnit)
	last := ref * ticksPerRef

	start := len(b)
	b = openFeedback(b, TypeRTPFB, FormatTWCC, sender, media)
	b = append(b, uint8(base>>8), uint8(base), 0, 0, uint8(ref>>16), uint8(ref>>8), uint8(ref), r.count)
	r.count++

	c := chunker{b: b}
	deltas, at := 0, base
	for _, a := range list {
		delta := ticks(a.at) - last
		if n > 0 && (delta != int64(int16(delta)) || a.seq-base >= MaxFeedbackSpan ||
			late && a.seq != at || len(c.b)-start+deltas+worstEntry > room) {
			break
		}
		c.add(notReceived, int(a.seq-at))
		size := deltaSize(delta)
		c.add(uint8(size), 1)
		deltas, last, at, n = deltas+size, last+delta, a.seq+1, n+1
	}
	b = c.flush()
	b[start+14], b[start+15] = uint8((at-base)>>8), uint8(at-base)
	r.next = max(r.next, at)

	last = ref * ticksPerRef
	for _, a := range list[:n] {
		delta := ticks(a.at) - last
		last += delta
		if deltaSize(delta) == largeDelta {
			b = append(b, uint8(delta>>8))
		}
		b = append(b, uint8(delta))
	}
	return closePacket(align(b, start), start), n
}

const ticksPerRef = int64(refUnit / deltaUnit)

// ticks is an instant in units of a delta, cut: differences of cut instants do
// not add up an error.
func ticks(at mono.Time) int64 { return int64(time.Duration(at) / deltaUnit) }

// deltaSize is the length in bytes of a delta, which is also its symbol.
func deltaSize(delta int64) int {
	if delta == int64(uint8(delta)) {
		return smallDelta
	}
	return largeDelta
}
