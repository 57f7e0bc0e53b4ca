package webrtc

import (
	"context"
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/rtp"
	"github.com/sluicertc/sluice/sdp"
)

// MediaStreamTrack is one stream of media: received from a peer, or written
// by the application. Given to AddTrack or ReplaceTrack of any connection of
// the same Engine, its packets are forwarded by the dataplane.
type MediaStreamTrack struct {
	// Immutable.
	id      string
	streams []string
	kind    Kind
	rid     string
	remote  bool
	local   *Codec // of a written track

	mu     sync.Mutex
	source source
	sinks  map[*RTPSender]struct{}
	ended  bool
	reader *reader
}

// source is where a track's packets come from, and how they are to be read.
type source struct {
	stream  *dataplane.Stream // nil: not yet
	codecs  []sdp.Codec       // by the numbers of its packets
	extmaps []sdp.Extmap      // by the numbers of its packets
}

// NewTrack makes a track that the application writes. id and stream name it
// in descriptions (a=msid); empty means random.
func NewTrack(codec Codec, id, stream string) (*MediaStreamTrack, error) {
	if k := codec.Kind(); k != Audio && k != Video || codec.ClockRate == 0 {
		return nil, fmt.Errorf("%w: codec %q at %d Hz", ErrType, codec.MimeType, codec.ClockRate)
	}
	if id == "" {
		id = randomHex(8)
	}
	if stream == "" {
		stream = randomHex(8)
	}
	return &MediaStreamTrack{
		id: id, streams: []string{stream}, kind: codec.Kind(), local: &codec, sinks: map[*RTPSender]struct{}{},
	}, nil
}

// ID names the track.
func (t *MediaStreamTrack) ID() string { return t.id }

// Streams name the media streams that the track belongs to.
func (t *MediaStreamTrack) Streams() []string { return t.streams }

// Kind is audio or video.
func (t *MediaStreamTrack) Kind() Kind { return t.kind }

// RID names the layer of a simulcast, and is empty otherwise.
func (t *MediaStreamTrack) RID() string { return t.rid }

// Codecs are the formats in which the packets may come.
func (t *MediaStreamTrack) Codecs() []Codec {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.local != nil {
		return []Codec{*t.local}
	}
	var list []Codec
	for i := range t.source.codecs {
		if c := &t.source.codecs[i]; !isRTX(c) {
			list = append(list, fromSDP(t.kind, c))
		}
	}
	return list
}

// RequestKeyframe asks the source of a video track for a key frame. Requests
// are coalesced.
func (t *MediaStreamTrack) RequestKeyframe() {
	if s := t.stream(); s != nil {
		s.RequestKeyframe()
	}
}

func (t *MediaStreamTrack) stream() *dataplane.Stream {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.source.stream
}

// WriteRTP sends a packet of a track made by NewTrack to all its receivers.
// SSRC, payload type and header extensions are rewritten for each; sequence
// numbers and timestamps keep their distances. The packet is copied.
func (t *MediaStreamTrack) WriteRTP(pkt []byte) error {
	if t.local == nil {
		return fmt.Errorf("%w: WriteRTP on a remote track", ErrInvalidAccess)
	}
	if _, ok := rtp.Parse(pkt); !ok {
		return fmt.Errorf("%w: not an RTP packet", ErrType)
	}
	// Before there is a receiver there is nobody to hear it.
	if s := t.stream(); s != nil {
		s.Write(pkt)
	}
	return nil
}

// attach makes sender a receiver of the track's changes.
func (t *MediaStreamTrack) attach(s *RTPSender) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sinks[s] = struct{}{}
	if t.local != nil && t.source.stream == nil {
		e := s.tr.pc.engine
		t.source.stream = e.NewStream(e.Shard(0), dataplane.StreamConfig{Video: t.kind == Video, ClockRate: t.local.ClockRate})
	}
}

func (t *MediaStreamTrack) detach(s *RTPSender) {
	t.mu.Lock()
	delete(t.sinks, s)
	t.mu.Unlock()
}

// setSource tells where the packets come from, and has every sender adapt.
func (t *MediaStreamTrack) setSource(src source) {
	t.mu.Lock()
	t.source = src
	reader := t.reader
	sinks := make([]*RTPSender, 0, len(t.sinks))
	for s := range t.sinks {
		sinks = append(sinks, s)
	}
	t.mu.Unlock()
	if reader != nil {
		reader.follow(src.stream)
	}
	for _, s := range sinks {
		s.tr.pc.lane.Post(func(mono.Time) { s.sync() })
	}
}

func (t *MediaStreamTrack) current() source {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.source
}

// end ends the track: readers get io.EOF.
func (t *MediaStreamTrack) end() {
	t.mu.Lock()
	t.ended = true
	reader := t.reader
	t.mu.Unlock()
	t.setSource(source{})
	if reader != nil {
		reader.close()
	}
}

// Tap sees a remote track's packets in plaintext on the dataplane's own
// goroutine: it must neither block nor keep them.
type Tap func(vs []rtp.View)

// SetTap sets or, with nil, removes a tap. A track has a tap or is read by
// ReadRTP, not both.
func (t *MediaStreamTrack) SetTap(f Tap) error {
	s := t.stream()
	if s == nil {
		return fmt.Errorf("%w: the track has no source yet", ErrInvalidState)
	}
	if f == nil {
		s.SetTap(nil)
		return nil
	}
	s.SetTap(func(_ mono.Time, _ *dataplane.Transport, vs []rtp.View) { f(vs) })
	return nil
}

// ReadRTP reads the next packet of a remote track into b. From the first call
// on, up to 256 packets are kept; more are dropped. It returns io.EOF when the
// track has ended, and io.ErrShortBuffer, the packet lost, when b is too short.
func (t *MediaStreamTrack) ReadRTP(ctx context.Context, b []byte) (int, error) {
	if !t.remote {
		return 0, fmt.Errorf("%w: ReadRTP on a track of our own", ErrInvalidAccess)
	}
	t.mu.Lock()
	if t.reader == nil {
		t.reader = &reader{packets: make(chan []byte, maxReadQueue), done: make(chan struct{})}
		t.reader.follow(t.source.stream)
		if t.ended {
			t.reader.close()
		}
	}
	r := t.reader
	t.mu.Unlock()
	select {
	case p := <-r.packets:
		if len(p) > len(b) {
			return 0, io.ErrShortBuffer
		}
		return copy(b, p), nil
	case <-r.done:
		return 0, io.EOF
	case <-ctx.Done():
		return 0, ctx.Err()
	}
}

// reader copies a stream's packets into a bounded queue.
type reader struct {
	packets chan []byte
	done    chan struct{}
	once    sync.Once
}

func (r *reader) follow(s *dataplane.Stream) {
	if s == nil {
		return
	}
	s.SetTap(func(_ mono.Time, _ *dataplane.Transport, vs []rtp.View) {
		for i := range vs {
			select {
			case r.packets <- slices.Clone(vs[i].Raw):
			default:
			}
		}
	})
}

func (r *reader) close() { r.once.Do(func() { close(r.done) }) }
