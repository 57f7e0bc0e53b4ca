package dataplane

import (
	"time"

	"github.com/sluicertc/sluice/codec/av1"
	"github.com/sluicertc/sluice/codec/h264"
	"github.com/sluicertc/sluice/codec/vp8"
	"github.com/sluicertc/sluice/codec/vp9"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/rtp"
)

// Codec tells how the first packet of a key frame is recognised.
type Codec uint8

// The codecs whose key frames are recognised; of any other, every packet
// counts as a good place to begin.
const (
	CodecOther Codec = iota
	CodecVP8
	CodecVP9
	CodecH264
	CodecAV1
)

func (c Codec) startsKeyframe(payload []byte) bool {
	switch c {
	case CodecVP8:
		return vp8.IsKeyframe(payload)
	case CodecVP9:
		return vp9.IsKeyframe(payload)
	case CodecH264:
		return h264.IsKeyframe(payload)
	case CodecAV1:
		return av1.IsKeyframe(payload)
	}
	return true
}

// StreamConfig describes a Stream. It does not change.
type StreamConfig struct {
	Video     bool
	ClockRate uint32 // of timestamps, in Hz
}

// Stream is one inbound RTP stream, or one that the application writes. On
// each shard that has receivers of it, save its home, a mirror stands for it.
type Stream struct {
	// Immutable.
	engine *Engine
	shard  *Shard // whose data lane owns what follows
	origin *Stream
	cfg    StreamConfig

	// Data lane. What receives: the home stream only.
	t           *Transport
	ssrc        uint32
	rtxSSRC     uint32
	bound       bool
	fresh       bool // another source has taken the stream over
	nack, pli   bool
	rx          rxState
	lost        missing
	asked       uint64 // sequence numbers requested
	keyRequests uint64
	tap         Tap
	mirrors     []*Stream
	nextKey     mono.Time // no request upstream before
	keyWanted   bool      // one is due then
	keyPending  bool      // one is to be sent with the next feedback

	// What forwards: home and mirrors.
	legs     []*leg
	burst    []packet
	listed   bool // in a list of the shard
	patience patience
	cache    *cache
	report   senderReport
}

// senderReport is a source's mapping of its media clock to wall-clock time.
type senderReport struct {
	ntp uint64
	rtp uint32
	at  mono.Time // of its arrival; zero: none yet
}

// Tap sees the packets of a stream in plaintext, in order of arrival, on the
// shard's data lane: it must neither block nor keep the views, which die when
// it returns.
type Tap func(now mono.Time, from *Transport, vs []rtp.View)

// NewStream makes a stream on shard s.
func (e *Engine) NewStream(s *Shard, cfg StreamConfig) *Stream {
	st := &Stream{engine: e, shard: s, cfg: cfg}
	st.origin = st
	return st
}

// Shard is the stream's home.
func (st *Stream) Shard() *Shard { return st.shard }

// SetTap sets or, with nil, removes the stream's tap.
func (st *Stream) SetTap(tap Tap) {
	st.shard.Post(func(*Shard, mono.Time) { st.tap = tap })
}

// RequestKeyframe asks the source for a key frame; requests are coalesced.
func (st *Stream) RequestKeyframe() {
	st.shard.Post(func(_ *Shard, now mono.Time) { st.requestKeyframe(now) })
}

// Write forwards an RTP packet of the application's as if it had been
// received. It is copied. Malformed or oversized packets are counted and
// dropped.
func (st *Stream) Write(pkt []byte) {
	b := append([]byte(nil), pkt...)
	st.shard.Post(func(s *Shard, now mono.Time) {
		cell, buf := s.borrow()
		if cell < 0 {
			return
		}
		if len(b) > maxPacket {
			s.drop(DropTooLarge)
			return
		}
		v, ok := rtp.Parse(buf[:copy(buf, b)])
		if !ok {
			s.drop(DropFormat)
			return
		}
		unpad(&v)
		seq, ahead := st.rx.arrive(now, &v, st.cfg.ClockRate)
		st.enqueue(packet{v: v, seq: seq, keyframe: true, cell: cell, first: ahead > 0})
	})
}

// enqueue adds a packet to the burst.
func (st *Stream) enqueue(p packet) {
	st.burst = append(st.burst, p)
	if !st.listed {
		st.listed = true
		st.shard.dirty = append(st.shard.dirty, st)
	}
}

func (st *Stream) endBurst() {
	st.shard.letGo(st)
	st.burst = st.burst[:0]
	st.listed = false
}

// keep gives the burst to the tap, to the shards that mirror the stream and to
// the retransmission cache (step 5 of the walk).
func (st *Stream) keep(now mono.Time) {
	s := st.shard
	if st.tap != nil {
		s.views = s.views[:0]
		for i := range st.burst {
			s.views = append(s.views, st.burst[i].v)
		}
		st.tap(now, st.t, s.views)
	}
	if s.padding > 0 && st.origin == st {
		bump(&s.count.padded, st.pad(s.padding))
	}
	for _, m := range st.mirrors {
		st.mirror(m)
	}
	if st.cache != nil {
		for i := range st.burst {
			st.cache.put(&st.burst[i])
		}
	}
}

// mirror passes the burst's plaintext to another shard, once for all of its
// receivers.
func (st *Stream) mirror(m *Stream) {
	s := st.shard
	for i := range st.burst {
		h := s.toShard(m.shard)
		if h == nil || !s.hold(h, st.burst[i].cell) {
			return
		}
		h.kind, h.stream, h.packet = handPacket, m, st.burst[i]
		h.packet.cell = -1
		s.published(m.shard)
	}
}

// setReport takes a sender report of the source.
func (st *Stream) setReport(r senderReport) {
	st.report = r
	for _, m := range st.mirrors {
		if h := st.shard.toShard(m.shard); h != nil {
			h.kind, h.stream, h.report = handReport, m, r
			st.shard.published(m.shard)
		}
	}
}

// requestKeyframe asks the source for a key frame, at most once in
// keyframeInterval; a request in between is kept until then.
func (st *Stream) requestKeyframe(now mono.Time) {
	if st.origin != st {
		home := st.origin.shard
		if h := st.shard.toShard(home); h != nil {
			h.kind, h.stream = handKeyframe, st.origin
			st.shard.published(home)
		}
		return
	}
	if st.t == nil || !st.cfg.Video || !st.bound || !st.pli {
		// Asked for again when the source appears.
		st.keyWanted = st.cfg.Video
		return
	}
	if now < st.nextKey {
		st.keyWanted = true
		st.t.wantFeedback(st.nextKey)
		return
	}
	st.nextKey = now.Add(keyframeInterval)
	st.keyWanted = false
	st.keyPending = true
	st.t.rtcpOut = true
	st.t.wantDrain()
}

// unbind ends reception; receivers stay attached for a source to come.
func (st *Stream) unbind() {
	st.t, st.bound = nil, false
	st.ssrc, st.rtxSSRC = 0, 0
	st.lost.reset()
	st.rx = rxState{}
}

// rxState is what a receiver keeps of a source (RFC 3550 §6.4.1, A.3, A.8).
type rxState struct {
	unwrap    rtp.Unwrapper
	started   bool
	first     int64
	highest   int64
	received  uint64
	bytes     uint64
	transit   int64
	jitter    uint64 // in 1/16 timestamp units
	repaired  uint64 // by retransmission
	lastAt    mono.Time
	keyframes uint64

	priorExpected, priorReceived int64
}

// arrive accounts for a packet and returns its extended sequence number and
// by how much it exceeds the highest so far.
func (r *rxState) arrive(at mono.Time, v *rtp.View, clock uint32) (seq, ahead int64) {
	seq = r.unwrap.Unwrap(v.Seq)
	if !r.started {
		r.started = true
		r.first, r.highest = seq, seq-1
	}
	ahead = seq - r.highest
	r.highest = max(r.highest, seq)
	r.first = min(r.first, seq)
	r.received++
	r.bytes += uint64(len(v.Payload()))
	r.lastAt = at
	if ahead > 0 && clock > 0 {
		arrival := int64(at) / int64(time.Microsecond) * int64(clock) / 1e6
		transit := int64(int32(uint32(arrival) - v.Timestamp))
		if r.received > 1 {
			d := transit - r.transit
			if d < 0 {
				d = -d
			}
			// A jump of seconds is a new clock, not jitter.
			if d < int64(clock)*2 {
				r.jitter += uint64(d) - (r.jitter+8)>>4
			}
		}
		r.transit = transit
	}
	return seq, ahead
}

// expected is how many packets the source has sent, as far as can be told.
func (r *rxState) expected() int64 {
	if !r.started {
		return 0
	}
	return r.highest - r.first + 1
}
