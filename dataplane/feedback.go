package dataplane

import (
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/rtcp"
	"github.com/sluicertc/sluice/sockets"
)

// receiveRTCP takes an SRTCP packet.
func (t *Transport) receiveRTCP(now mono.Time, m *sockets.Message) {
	s := t.shard
	n, err := t.srtpIn.UnprotectRTCP(m.Buf, m.Buf)
	if err != nil {
		s.dropSRTP(err)
		return
	}
	b := m.Buf[:n]
	bump(&s.count.rtcpIn, 1)
	t.count.packetsIn++
	t.count.bytesIn += uint64(n)
	if !rtcp.Valid(b) {
		s.drop(DropFormat)
		return
	}
	for len(b) > 0 {
		p, rest, err := rtcp.Next(b)
		if err != nil {
			s.drop(DropFormat)
			return
		}
		b = rest
		t.handleRTCP(now, p)
	}
}

func (t *Transport) handleRTCP(now mono.Time, p rtcp.Packet) {
	switch p.Type {
	case rtcp.TypeSR:
		if sr, ok := rtcp.ParseSR(p); ok {
			if b, ok := t.bySSRC[sr.SSRC]; ok && !b.rtx {
				b.st.setReport(senderReport{ntp: sr.Info.NTP, rtp: sr.Info.RTP, at: now})
			}
			t.handleBlocks(now, sr.Blocks)
		}
	case rtcp.TypeRR:
		if rr, ok := rtcp.ParseRR(p); ok {
			t.handleBlocks(now, rr.Blocks)
		}
	case rtcp.TypeRTPFB:
		if n, ok := rtcp.ParseNACK(p); ok && p.Count == rtcp.FormatNACK {
			t.handleNACK(now, n)
		}
	case rtcp.TypePSFB:
		switch p.Count {
		case rtcp.FormatPLI:
			if pli, ok := rtcp.ParsePLI(p); ok {
				if l := t.legs[pli.Media]; l != nil {
					l.plis++
					l.st.requestKeyframe(now)
				}
			}
		case rtcp.FormatFIR:
			t.handleFIR(now, p)
		}
	}
	// BYE ends nothing: the session description does. SDES, APP, XR and
	// unknown types are passed over (RFC 3550 §6.1).
}

func (t *Transport) handleNACK(now mono.Time, n rtcp.NACK) {
	l := t.legs[n.Media]
	if l == nil || !l.cfg.NACK {
		return
	}
	l.nacks++
	bump(&t.shard.count.nacked, 1)
	for lost := n.Lost(); ; {
		seq, ok := lost.Next()
		if !ok {
			return
		}
		l.resend(now, seq)
	}
}

func (t *Transport) handleFIR(now mono.Time, p rtcp.Packet) {
	fir, ok := rtcp.ParseFIR(p)
	if !ok {
		return
	}
	for i := range fir.Len() {
		if l := t.legs[fir.At(i).SSRC]; l != nil {
			l.firs++
			l.st.requestKeyframe(now)
		}
	}
}

func (t *Transport) handleBlocks(now mono.Time, bs rtcp.ReportBlocks) {
	for i := range bs.Len() {
		b := bs.At(i)
		l := t.legs[b.SSRC]
		if l == nil || b.SSRC != l.cfg.SSRC {
			continue
		}
		l.reports++
		l.lossFrac, l.lossTotal, l.jitter, l.highest = b.FractionLost, b.Lost, b.Jitter, b.Highest
		for _, sr := range l.srSent {
			if sr.at != 0 && sr.ntp == b.LastSR {
				if rtt := now.Sub(sr.at) - rtcp.DelayDuration(b.Delay); rtt >= 0 {
					l.rtt = rtt
				}
			}
		}
	}
}

// wantFeedback has sendFeedback called at the given instant or earlier.
func (t *Transport) wantFeedback(at mono.Time) {
	t.nextNACK = mono.Earliest(t.nextNACK, at)
	t.arm(t.nextNACK)
}

// sendFeedback asks for lost packets and key frames.
func (t *Transport) sendFeedback(now mono.Time) {
	if !t.sendable() {
		return
	}
	for _, st := range t.streams {
		if st.keyWanted && st.bound && now >= st.nextKey {
			st.requestKeyframe(now)
		} else if st.keyWanted && st.bound {
			t.wantFeedback(st.nextKey)
		}
		b := t.startRTCP()
		start := len(b)
		if st.keyPending {
			st.keyPending = false
			st.keyRequests++
			bump(&t.shard.count.keyframeRequests, 1)
			b = rtcp.AppendPLI(b, t.ssrc, st.ssrc)
		}
		if len(st.lost.list) > 0 {
			t.shard.seqs, _ = st.lost.ask(t.shard.seqs[:0], now, t.rtt)
			if seqs := t.shard.seqs; len(seqs) > 0 {
				t.shard.pairs = rtcp.NACKPairs(t.shard.pairs[:0], seqs)
				b = rtcp.AppendNACK(b, t.ssrc, st.ssrc, t.shard.pairs)
				st.asked += uint64(len(seqs))
			}
			t.wantFeedback(now.Add(nackInterval))
		}
		if len(b) > start {
			t.sendRTCP(b)
		}
	}
}

// sendReports sends the receiver report of every stream that comes in and the
// sender report of every leg whose source has reported (RFC 3550 §6.4).
func (t *Transport) sendReports(now mono.Time) {
	if !t.sendable() {
		return
	}
	blocks := t.shard.blocks[:0]
	for _, st := range t.streams {
		if st.bound && st.rx.started && len(blocks) < rtcp.MaxBlocks {
			blocks = append(blocks, st.block(now))
		}
	}
	t.shard.blocks = blocks
	b := rtcp.AppendRR(t.shard.rtcp[:0], t.ssrc, blocks)
	b = rtcp.AppendSDES(b, t.ssrc, t.cname)
	for _, l := range t.legList {
		if !l.sentAny || l.st == nil || l.st.report.at == 0 || !l.active {
			continue
		}
		if len(b) > maxRTCP-srSize-len(t.cname)-12 {
			t.sendRTCP(b)
			b = rtcp.AppendRR(t.shard.rtcp[:0], t.ssrc, nil)
			b = rtcp.AppendSDES(b, t.ssrc, t.cname)
		}
		b = l.appendReport(b, now)
	}
	t.sendRTCP(b)
}

// appendReport maps the source's report to this leg's numbering, brought
// forward to now, so that receivers keep the source's streams in step.
func (l *leg) appendReport(b []byte, now mono.Time) []byte {
	r := l.st.report
	age := now.Sub(r.at)
	info := rtcp.SenderInfo{
		NTP:     r.ntp + ntpDuration(age),
		RTP:     r.rtp + l.tsShift + uint32(age.Microseconds()*int64(l.clock)/1e6),
		Packets: uint32(l.packets), Octets: uint32(l.octets),
	}
	l.srSent[l.srNext] = sentReport{ntp: rtcp.CompactNTP(info.NTP), at: now}
	l.srNext = (l.srNext + 1) % len(l.srSent)
	b = rtcp.AppendSR(b, l.cfg.SSRC, info, nil)
	return rtcp.AppendSDES(b, l.cfg.SSRC, l.t.cname)
}

// ntpDuration is d in the 32.32 fixed point of NTP.
func ntpDuration(d time.Duration) uint64 {
	return uint64(d/time.Second)<<32 + uint64(d%time.Second)<<32/uint64(time.Second)
}

// block reports about the stream (RFC 3550 §6.4.1 and A.3).
func (st *Stream) block(now mono.Time) rtcp.ReportBlock {
	r := &st.rx
	expected, received := r.expected(), int64(r.received+r.repaired)
	lostNow := (expected - r.priorExpected) - (received - r.priorReceived)
	b := rtcp.ReportBlock{
		SSRC: st.ssrc, Highest: uint32(r.highest), Jitter: uint32(r.jitter >> 4),
		Lost: int32(min(max(expected-received, -1<<23), 1<<23-1)),
	}
	if d := expected - r.priorExpected; d > 0 && lostNow > 0 {
		b.FractionLost = uint8(min(lostNow<<8/d, 255))
	}
	r.priorExpected, r.priorReceived = expected, received
	if st.report.at != 0 {
		b.LastSR = rtcp.CompactNTP(st.report.ntp)
		b.Delay = rtcp.Delay(now.Sub(st.report.at))
	}
	return b
}
