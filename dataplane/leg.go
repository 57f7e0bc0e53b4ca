package dataplane

import (
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/rtp"
)

// Leg is one receiver of a stream and how packets change on the way to it.
// What it identifies is unique among the legs of its Transport.
type Leg struct {
	To      *Transport
	SSRC    uint32
	RTXSSRC uint32 // 0: retransmissions repeat the original packet
	// PayloadTypes maps incoming payload types to outgoing ones; NoPayload
	// drops the packet.
	PayloadTypes [128]uint8
	// RTXPayloadTypes maps outgoing payload types to those of their
	// retransmissions; NoPayload where there is none.
	RTXPayloadTypes [128]uint8
	// ExtensionIDs maps incoming header extension ids to outgoing ones; 0
	// drops the extension.
	ExtensionIDs [16]uint8
	// MIDExt and MID identify the media section to the receiver (RFC 8843
	// §15); 0: not negotiated.
	MIDExt uint8
	MID    string
	// NACK answers the receiver's generic NACKs from the cache.
	NACK bool
	// FirstSeq and FirstTimestamp begin the outgoing numbering; they should
	// be random (RFC 3550 §5.1), with FirstSeq below 2^15 (RFC 3711 §3.3.1).
	FirstSeq       uint16
	FirstTimestamp uint32
}

// NoPayload in a map of payload types says that there is none.
const NoPayload = 0xff

// leg is a Leg in use. Data lane of its transport's shard.
type leg struct {
	cfg    Leg
	t      *Transport
	st     *Stream // home or mirror on this shard
	rw     rtp.Rewrite
	mid    []byte
	active bool
	dead   bool

	waiting   bool // for a key frame
	video     bool
	base      int64
	seqShift  uint16
	tsShift   uint32
	sentAny   bool
	lastSeq   uint16
	lastTS    uint32
	lastAt    mono.Time
	rtxSeq    uint16
	clock     uint32
	packets   uint64
	octets    uint64
	rtxSent   uint64
	budget    int // retransmissions left in this second
	inSecond  int // packets sent in this second
	budgetEnd mono.Time

	// What the receiver reports.
	reports     uint64
	lossFrac    uint8
	lossTotal   int32
	jitter      uint32
	rtt         time.Duration
	srSent      [4]sentReport
	srNext      int
	nacks, plis uint64
	firs        uint64
	highest     uint32
}

// sentReport remembers when a sender report left, for the round trip.
type sentReport struct {
	ntp uint32
	at  mono.Time
}

// Route copies a stream to legs until it is closed.
type Route struct {
	from *Stream
	legs []*leg
}

// Route begins to copy from to each leg. A receiver of video waits for a key
// frame, which is asked for.
func (e *Engine) Route(from *Stream, to []Leg) *Route {
	r := &Route{from: from}
	for i := range to {
		l := &leg{cfg: to[i], t: to[i].To, mid: []byte(to[i].MID), clock: from.cfg.ClockRate}
		r.legs = append(r.legs, l)
		l.t.shard.Post(func(s *Shard, now mono.Time) { s.addLeg(now, from, l) })
	}
	return r
}

// Switch makes the route's legs follow another stream, each at the next
// key frame of it; numbering and timestamps go on.
func (r *Route) Switch(from *Stream) {
	r.from = from
	for _, l := range r.legs {
		l.t.shard.Post(func(s *Shard, now mono.Time) {
			if l.dead {
				return
			}
			s.detach(l)
			s.attach(now, from, l)
		})
	}
}

// Update changes how the legs rewrite packets: payload types, extensions and
// the section's name. What identifies a leg stays, and to has as many legs, in
// the same order, as Route was given.
func (r *Route) Update(to []Leg) {
	for i, l := range r.legs {
		cfg := to[i]
		l.t.shard.Post(func(s *Shard, now mono.Time) {
			cfg.To, cfg.SSRC, cfg.RTXSSRC = l.cfg.To, l.cfg.SSRC, l.cfg.RTXSSRC
			l.cfg, l.mid = cfg, []byte(cfg.MID)
			l.program()
		})
	}
}

// Close ends the route; then, on the data lane of the last leg, done is
// called if it is not nil.
func (r *Route) Close(done func()) {
	for i, l := range r.legs {
		last := i == len(r.legs)-1
		l.t.shard.Post(func(s *Shard, _ mono.Time) {
			s.removeLeg(l)
			if last && done != nil {
				done()
			}
		})
	}
}

func (s *Shard) addLeg(now mono.Time, from *Stream, l *leg) {
	if l.t.closed {
		l.dead = true
		return
	}
	l.program()
	l.rtxSeq = l.cfg.FirstSeq
	if n, ok := l.t.ended[l.cfg.SSRC]; ok {
		// Under one key no sequence number may come twice (RFC 3711 §9.1).
		delete(l.t.ended, l.cfg.SSRC)
		l.sentAny, l.lastSeq, l.lastTS, l.lastAt, l.rtxSeq = n.sentAny, n.lastSeq, n.lastTS, n.lastAt, n.rtxSeq
		l.packets, l.octets = n.packets, n.octets
	}
	l.t.legs[l.cfg.SSRC] = l
	if l.cfg.RTXSSRC != 0 {
		l.t.legs[l.cfg.RTXSSRC] = l
	}
	if l.cfg.NACK && l.cfg.RTXSSRC == 0 && l.t.srtpOut != nil {
		// Packets are repeated under their own index, with equal content.
		l.t.srtpOut.AllowRepeats()
	}
	l.t.legList = append(l.t.legList, l)
	l.t.wantReports(now)
	s.attach(now, from, l)
}

// program lays out what every packet's header gets.
func (l *leg) program() {
	l.rw = rtp.Rewrite{SSRC: l.cfg.SSRC, IDs: l.cfg.ExtensionIDs, KeepPadding: true}
	if l.cfg.MIDExt != 0 {
		l.rw.Extra[0] = rtp.ExtPair{ID: l.cfg.MIDExt, Data: l.mid}
	}
}

// removeLeg forgets a leg.
func (s *Shard) removeLeg(l *leg) {
	if l.dead {
		return
	}
	l.dead = true
	s.detach(l)
	for _, ssrc := range []uint32{l.cfg.SSRC, l.cfg.RTXSSRC} {
		if l.t.legs[ssrc] == l {
			delete(l.t.legs, ssrc)
		}
	}
	l.t.legList = without(l.t.legList, l)
	if l.sentAny {
		if l.t.ended == nil {
			l.t.ended = map[uint32]numbering{}
		}
		l.t.ended[l.cfg.SSRC] = numbering{l.sentAny, l.lastSeq, l.lastTS, l.lastAt, l.rtxSeq, l.packets, l.octets}
	}
}

// numbering is where the packets of an SSRC have got to. A leg that ends
// leaves it to the next one of the SSRC; the application, which gives out
// SSRCs, bounds how many there are.
type numbering struct {
	sentAny         bool
	lastSeq         uint16
	lastTS          uint32
	lastAt          mono.Time
	rtxSeq          uint16
	packets, octets uint64
}

func without[T comparable](list []T, x T) []T {
	for i := range list {
		if list[i] == x {
			var none T
			last := len(list) - 1
			copy(list[i:], list[i+1:])
			list[last] = none // or the array keeps it alive
			return list[:last]
		}
	}
	return list
}

// attach makes l follow from, by way of a mirror when from lives elsewhere.
func (s *Shard) attach(now mono.Time, from *Stream, l *leg) {
	st := from
	if from.shard != s {
		st = s.mirrors[from]
		if st == nil {
			st = &Stream{engine: from.engine, shard: s, origin: from, cfg: from.cfg}
			s.mirrors[from] = st
			m := st
			from.shard.Post(func(_ *Shard, now mono.Time) {
				from.mirrors = append(from.mirrors, m)
				if from.report.at != 0 {
					from.setReport(from.report)
				}
			})
		}
	}
	l.st = st
	l.active = false
	l.video = from.cfg.Video
	l.waiting = l.video
	l.clock = from.cfg.ClockRate
	st.legs = append(st.legs, l)
	if l.cfg.NACK && st.cache == nil {
		n, mean := cacheAudio, cacheAudioMean
		if st.cfg.Video {
			n, mean = cacheVideo, cacheVideoMean
		}
		st.cache = newCache(&s.slab.pages, n, mean)
	}
	st.requestKeyframe(now)
}

// detach takes l off its stream. A mirror without receivers goes.
func (s *Shard) detach(l *leg) {
	st := l.st
	st.legs = without(st.legs, l)
	if len(st.legs) > 0 {
		return
	}
	if st.cache != nil {
		s.slab.pages.put(&st.cache.mem)
		st.cache = nil
	}
	if st.origin != st {
		delete(s.mirrors, st.origin)
		origin := st.origin
		origin.shard.Post(func(*Shard, mono.Time) { origin.mirrors = without(origin.mirrors, st) })
	}
}

// forward rewrites and queues the burst for this receiver (step 6 of the
// walk): one run of packets, side by side.
func (l *leg) forward(now mono.Time, st *Stream) {
	t := l.t
	if !t.sendable() {
		bump(&t.shard.count.drops[DropPaused], len(st.burst))
		return
	}
	tx := &t.shard.tx
	begun := false
	for i := range st.burst {
		p := &st.burst[i]
		if !l.takes(now, p) {
			continue
		}
		pt := l.cfg.PayloadTypes[p.v.PayloadType]
		if pt == NoPayload {
			continue
		}
		l.rw.PayloadType = pt
		l.rw.Seq = uint16(p.seq) + l.seqShift
		l.rw.Timestamp = p.v.Timestamp + l.tsShift
		if !begun {
			begun = true
			tx.begin(t)
		}
		tx.forward(&p.v, &l.rw)
		l.sent(now, len(p.v.Payload()))
	}
}

// takes decides whether the packet goes to this receiver, and begins the
// numbering with the first that does.
func (l *leg) takes(now mono.Time, p *packet) bool {
	if p.fresh && l.active {
		l.active, l.waiting = false, l.video
	}
	if l.active {
		// What was sent before the key frame is of no use behind it.
		return p.seq >= l.base
	}
	if l.waiting && !p.keyframe {
		return false
	}
	l.waiting, l.active = false, true
	l.base = p.seq
	seq, ts := l.cfg.FirstSeq, l.cfg.FirstTimestamp
	if l.sentAny {
		seq = l.lastSeq + 1
		elapsed := now.Sub(l.lastAt).Milliseconds() * int64(l.clock) / 1000
		ts = l.lastTS + uint32(max(elapsed, 1))
	}
	l.seqShift = seq - uint16(p.seq)
	l.tsShift = ts - p.v.Timestamp
	return true
}

// sent accounts for the packet in l.rw.
func (l *leg) sent(now mono.Time, payload int) {
	if !l.sentAny || rtp.SeqLess(l.lastSeq, l.rw.Seq) {
		l.lastSeq, l.lastTS, l.lastAt = l.rw.Seq, l.rw.Timestamp, now
	}
	l.sentAny = true
	l.packets++
	l.octets += uint64(payload)
	l.inSecond++
}

// resend answers a NACK of one outgoing sequence number.
func (l *leg) resend(now mono.Time, seq uint16) {
	s := l.t.shard
	if l.st.cache == nil || !l.active || !l.t.sendable() {
		return
	}
	if now >= l.budgetEnd {
		l.budget = rtxBudget + l.inSecond/4
		l.inSecond, l.budgetEnd = 0, now.Add(time.Second)
	}
	v, full, ok := l.st.cache.get(seq - l.seqShift)
	if !ok || full < l.base {
		return
	}
	if l.budget == 0 {
		s.drop(DropRTXBudget)
		return
	}
	pt := l.cfg.PayloadTypes[v.PayloadType]
	if pt == NoPayload {
		return
	}
	l.budget--
	l.rtxSent++
	bump(&s.count.retransmitted, 1)
	rw := l.rw
	rw.PayloadType, rw.Seq, rw.Timestamp = pt, seq, v.Timestamp+l.tsShift
	if rtx := l.cfg.RTXPayloadTypes[pt]; l.cfg.RTXSSRC != 0 && rtx != NoPayload {
		rw.SSRC, rw.PayloadType, rw.Seq, rw.KeepPadding = l.cfg.RTXSSRC, rtx, l.rtxSeq, false
		l.rtxSeq++
		s.tx.begin(l.t)
		s.tx.retransmit(&v, &rw, seq)
		return
	}
	// Copied: the cache may overwrite it, or end, before it is sealed.
	pkt := rtp.AppendRewritten(s.tx.rtx[:0], v, &rw)
	s.tx.begin(l.t)
	s.tx.raw(append(pkt, v.Body()...))
}
