package webrtc

import (
	"slices"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/rtp"
	"github.com/sluicertc/sluice/sdp"
)

// RTPReceiver is RTCRtpReceiver. A simulcast has a track for each layer.
type RTPReceiver struct {
	tr *RTPTransceiver // immutable

	// Ctl lane.
	tracks []*MediaStreamTrack
}

// TrackEvent is RTCTrackEvent.
type TrackEvent struct {
	Track       *MediaStreamTrack
	Receiver    *RTPReceiver
	Transceiver *RTPTransceiver
	Streams     []string // names of the media streams
}

// Track is the first track, nil before one was announced.
func (r *RTPReceiver) Track() *MediaStreamTrack {
	if ts := r.Tracks(); len(ts) > 0 {
		return ts[0]
	}
	return nil
}

// Tracks are those of all layers, in the order of the peer's description.
func (r *RTPReceiver) Tracks() []*MediaStreamTrack {
	var list []*MediaStreamTrack
	_ = r.tr.pc.do(func(mono.Time) error { list = slices.Clone(r.tracks); return nil })
	return list
}

// negotiated makes the tracks that a remote section announces, and ends those
// it no longer does.
func (r *RTPReceiver) negotiated(m *sdp.Media) {
	if !r.tr.currentDirection.Receives() {
		r.end()
		return
	}
	rids := sendRIDs(m)
	if len(rids) == 0 {
		rids = []string{""}
	}
	old := r.tracks
	r.tracks = nil
	for _, rid := range rids {
		i := slices.IndexFunc(old, func(t *MediaStreamTrack) bool { return t.rid == rid })
		if i >= 0 {
			r.tracks = append(r.tracks, old[i])
			continue
		}
		t := r.newTrack(m, rid)
		r.tracks = append(r.tracks, t)
		ev := TrackEvent{Track: t, Receiver: r, Transceiver: r.tr, Streams: t.streams}
		r.tr.pc.events.push(func() { r.tr.pc.onTrack.call(ev) })
	}
	for _, t := range old {
		if !slices.Contains(r.tracks, t) {
			t.end()
		}
	}
}

func (r *RTPReceiver) newTrack(m *sdp.Media, rid string) *MediaStreamTrack {
	t := &MediaStreamTrack{kind: r.tr.kind, rid: rid, remote: true, sinks: map[*RTPSender]struct{}{}}
	for _, id := range m.MSIDs {
		if id.Stream != "-" {
			t.streams = append(t.streams, id.Stream)
		}
		t.id = id.Track
	}
	if t.id == "" {
		t.id = randomHex(8)
	}
	return t
}

func (r *RTPReceiver) end() {
	for _, t := range r.tracks {
		t.end()
	}
	r.tracks = nil
}

// carriesMedia tells whether a section of media is on transport t.
func (pc *PeerConnection) carriesMedia(t *transport) bool {
	return slices.ContainsFunc(pc.transceivers, func(tr *RTPTransceiver) bool { return tr.transport() == t })
}

// receivers describes to the dataplane what a transport may receive, and tells
// the tracks their streams.
func (pc *PeerConnection) receivers(t *transport) dataplane.Receivers {
	rs := dataplane.Receivers{ReducedSize: true}
	for _, tr := range pc.transceivers {
		if tr.transport() != t || !tr.currentDirection.Receives() {
			rs.ReducedSize = rs.ReducedSize && (tr.transport() != t || tr.rsize)
			continue
		}
		rs.ReducedSize = rs.ReducedSize && tr.rsize
		for _, e := range tr.extmaps {
			switch id := uint8(e.ID); e.URI {
			case rtp.URIMID:
				rs.MIDExt = id
			case rtp.URIRID:
				rs.RIDExt = id
			case rtp.URIRepairedRID:
				rs.RepairedRIDExt = id
			case rtp.URITransportCC:
				rs.TransportCCExt = id
			}
		}
		rs.List = append(rs.List, tr.receiver.program(t))
	}
	return rs
}

// program describes one section.
func (r *RTPReceiver) program(t *transport) dataplane.Receiver {
	tr := r.tr
	d := dataplane.Receiver{MID: tr.mid}
	var clock uint32
	for i := range tr.recvCodecs {
		c := &tr.recvCodecs[i]
		f := dataplane.Format{PayloadType: c.PayloadType, ClockRate: c.ClockRate, Codec: keyframes(c)}
		if apt, ok := c.APT(); ok {
			f.RTX, f.APT = true, apt
		} else if clock == 0 {
			clock = c.ClockRate
		}
		d.Formats = append(d.Formats, f)
		d.NACK = d.NACK || c.HasFeedback("nack")
		d.PLI = d.PLI || c.HasFeedback("nack pli")
	}
	for _, track := range r.tracks {
		src := source{stream: track.stream(), codecs: tr.recvCodecs, extmaps: tr.extmaps}
		if src.stream == nil {
			src.stream = tr.pc.engine.NewStream(t.data.Shard(), dataplane.StreamConfig{Video: tr.kind == Video, ClockRate: clock})
		}
		rs := dataplane.ReceiverStream{Stream: src.stream, RID: track.rid}
		if track.rid == "" {
			rs.SSRC, rs.RTXSSRC = tr.ssrc, tr.rtx
		}
		d.Streams = append(d.Streams, rs)
		track.setSource(src)
	}
	return d
}

// declared are the sources that a description names for its track.
func declared(m *sdp.Media) (ssrc, rtx uint32) {
	for _, g := range m.SSRCGroups {
		if g.Semantics == "FID" && len(g.SSRCs) == 2 {
			return g.SSRCs[0], g.SSRCs[1]
		}
	}
	if len(m.SSRCs) > 0 {
		return m.SSRCs[0].ID, 0
	}
	return 0, 0
}
