package dataplane

import (
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/rtp"
)

// Receivers is everything a transport may receive: what an offer and its
// answer have agreed on. It replaces what was set before; streams that appear
// again keep their state.
type Receivers struct {
	// Negotiated ids of header extensions, one set for all that share the
	// transport (RFC 8843 §9.1); 0: not negotiated.
	MIDExt, RIDExt, RepairedRIDExt, TransportCCExt uint8
	// ReducedSize allows RTCP packets without a report in front (RFC 5506).
	ReducedSize bool
	List        []Receiver
}

// Receiver is one media section.
type Receiver struct {
	MID     string // may be empty where extensions or SSRCs tell streams apart
	Formats []Format
	Streams []ReceiverStream // one, or one for each rid
	NACK    bool             // generic NACK was negotiated
	PLI     bool             // picture loss indication was negotiated

	formats [128]Format
}

// ReceiverStream is one encoding of a section.
type ReceiverStream struct {
	Stream  *Stream
	RID     string
	SSRC    uint32 // 0: learned from the packets
	RTXSSRC uint32
}

// Format is the meaning of a payload type.
type Format struct {
	PayloadType uint8
	ClockRate   uint32
	Codec       Codec
	RTX         bool
	APT         uint8 // the payload type that an RTX format repairs

	known bool
}

// binding is what an SSRC stands for.
type binding struct {
	st  *Stream
	r   *Receiver
	rtx bool
}

// SetReceivers programs what the transport receives.
func (t *Transport) SetReceivers(rs Receivers) {
	list := append([]Receiver(nil), rs.List...)
	rs.List = list
	for i := range list {
		for _, f := range list[i].Formats {
			f.known = true
			list[i].formats[f.PayloadType&127] = f
		}
	}
	t.shard.Post(func(_ *Shard, now mono.Time) {
		if t.closed {
			return
		}
		t.receivers = rs
		t.rebind()
		t.wantReports(now)
	})
}

// rebind carries the bindings over to the new receivers.
func (t *Transport) rebind() {
	old, were := t.streams, t.bySSRC
	t.streams = nil
	t.bySSRC = make(map[uint32]binding, len(were))
	for i := range t.receivers.List {
		r := &t.receivers.List[i]
		for _, rs := range r.Streams {
			st := rs.Stream
			t.streams = append(t.streams, st)
			st.t, st.nack, st.pli = t, r.NACK, r.PLI
			if rs.SSRC != 0 && !st.bound {
				st.ssrc, st.rtxSSRC = rs.SSRC, rs.RTXSSRC
			}
			if st.ssrc != 0 {
				t.bySSRC[st.ssrc] = binding{st: st, r: r}
			}
			if st.rtxSSRC != 0 {
				t.bySSRC[st.rtxSSRC] = binding{st: st, r: r, rtx: true}
			}
		}
	}
	for _, st := range old {
		if !t.has(st) {
			st.unbind()
		}
	}
	for ssrc := range were {
		if _, ok := t.bySSRC[ssrc]; !ok {
			if len(t.retired) >= maxStreams {
				clear(t.retired)
			}
			t.retired[ssrc] = struct{}{}
		}
	}
	for ssrc := range t.bySSRC {
		delete(t.retired, ssrc)
	}
}

func (t *Transport) has(st *Stream) bool {
	for _, x := range t.streams {
		if x == st {
			return true
		}
	}
	return false
}

// receiveRTP takes an authenticated packet (steps 4 and 5 of the walk).
func (t *Transport) receiveRTP(now mono.Time, pkt []byte, at mono.Time, cell int32) {
	s := t.shard
	v, ok := rtp.Parse(pkt)
	if !ok {
		s.drop(DropFormat)
		return
	}
	bump(&s.count.rtpIn, 1)
	bump(&s.count.rtpInBytes, len(pkt))
	t.count.packetsIn++
	t.count.bytesIn += uint64(len(pkt))
	if len(pkt) > maxPacket {
		s.drop(DropTooLarge)
		return
	}
	if id := t.receivers.TransportCCExt; id != 0 {
		if seq, ok := rtp.ParseTransportSeq(v.Extension(id)); ok {
			t.twcc.Record(seq, at)
			t.twccMedia = v.SSRC
			if t.nextTWCC == 0 {
				t.nextTWCC = now.Add(twccInterval)
				t.arm(t.nextTWCC)
			}
		}
	}
	b, ok := t.bySSRC[v.SSRC]
	if !ok {
		if b, ok = t.bind(&v); !ok {
			return
		}
	}
	f := &b.r.formats[v.PayloadType]
	if !f.known {
		s.drop(DropUnknownSSRC)
		return
	}
	if !f.RTX {
		b.st.receive(now, &v, at, f, cell)
		return
	}
	// Padding on the RTX stream is a probe for bandwidth: counted, and done.
	if len(v.Payload()) < 2 || !b.st.bound {
		return
	}
	if pkt, ok = rtp.UnwrapRTX(pkt, b.st.ssrc, f.APT); !ok {
		s.drop(DropFormat)
		return
	}
	if v, ok = rtp.Parse(pkt); !ok {
		s.drop(DropFormat)
		return
	}
	b.st.repair(&v, &b.r.formats[f.APT&127], cell)
}

// bind finds the stream of an SSRC that is new, by MID and RID (RFC 8843
// §9.2, RFC 8852), or else by a payload type that only one section has. The
// packet is authentic, so the peer itself says so.
func (t *Transport) bind(v *rtp.View) (b binding, ok bool) {
	s := t.shard
	// What a section that is gone still sends without a MID is not for the one
	// that is left with its payload type.
	if _, gone := t.retired[v.SSRC]; gone && len(v.Extension(t.receivers.MIDExt)) == 0 {
		s.drop(DropUnknownSSRC)
		return b, false
	}
	b.r = t.section(v)
	if b.r == nil {
		s.drop(DropUnknownSSRC)
		return b, false
	}
	f := &b.r.formats[v.PayloadType]
	b.rtx = f.known && f.RTX
	b.st = t.encoding(b.r, v, b.rtx)
	if b.st == nil || !f.known {
		s.drop(DropUnknownSSRC)
		return b, false
	}
	if len(t.bySSRC) >= maxStreams {
		s.drop(DropStreamLimit)
		return b, false
	}
	// A new SSRC for a stream replaces the one before.
	if b.rtx {
		delete(t.bySSRC, b.st.rtxSSRC)
		b.st.rtxSSRC = v.SSRC
	} else {
		delete(t.bySSRC, b.st.ssrc)
		b.st.fresh = b.st.ssrc != 0
		b.st.ssrc = v.SSRC
		b.st.bound = false
	}
	t.bySSRC[v.SSRC] = b
	return b, true
}

func (t *Transport) section(v *rtp.View) *Receiver {
	list := t.receivers.List
	if id := t.receivers.MIDExt; id != 0 {
		if mid := v.Extension(id); len(mid) > 0 {
			for i := range list {
				if list[i].MID == string(mid) {
					return &list[i]
				}
			}
			return nil
		}
	}
	var found *Receiver
	for i := range list {
		if list[i].formats[v.PayloadType].known {
			if found != nil {
				return nil
			}
			found = &list[i]
		}
	}
	return found
}

func (t *Transport) encoding(r *Receiver, v *rtp.View, rtx bool) *Stream {
	id := t.receivers.RIDExt
	if rtx {
		id = t.receivers.RepairedRIDExt
	}
	if id != 0 {
		if rid := v.Extension(id); len(rid) > 0 {
			for i := range r.Streams {
				if r.Streams[i].RID == string(rid) {
					return r.Streams[i].Stream
				}
			}
			return nil
		}
	}
	if len(r.Streams) == 1 {
		return r.Streams[0].Stream
	}
	return nil
}

// receive takes a packet of the stream itself.
func (st *Stream) receive(now mono.Time, v *rtp.View, at mono.Time, f *Format, cell int32) {
	if !st.bound {
		st.bound = true
		st.rx = rxState{}
		st.lost.reset()
		st.nextKey = 0
		if st.keyWanted || st.fresh && st.cfg.Video {
			st.requestKeyframe(now)
		}
	}
	seq, ahead := st.rx.arrive(at, v, f.ClockRate)
	switch {
	case ahead <= 0:
		st.lost.found(seq)
	case ahead > 1 && st.nack:
		if st.lost.gap(now, seq-ahead+1, seq) {
			st.t.rtcpOut = true
			st.t.wantDrain()
		} else {
			st.requestKeyframe(now)
		}
	}
	st.accept(v, seq, f, cell, ahead > 0)
}

// repair takes a packet that came by retransmission.
func (st *Stream) repair(v *rtp.View, f *Format, cell int32) {
	seq := st.rx.unwrap.Unwrap(v.Seq)
	// One that was not missing is a probe, or came twice.
	if !st.lost.found(seq) || !f.known {
		return
	}
	st.rx.repaired++
	st.accept(v, seq, f, cell, false)
}

func (st *Stream) accept(v *rtp.View, seq int64, f *Format, cell int32, first bool) {
	unpad(v)
	p := packet{v: *v, seq: seq, cell: cell, fresh: st.fresh, first: first}
	st.fresh = false
	if payload := v.Payload(); len(payload) > 0 {
		p.keyframe = f.Codec.startsKeyframe(payload)
	}
	if p.keyframe {
		st.rx.keyframes++
	}
	st.enqueue(p)
}
