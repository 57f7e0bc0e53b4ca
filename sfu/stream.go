package sfu

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/sluicertc/sluice/sdp"
	"github.com/sluicertc/sluice/webrtc"
)

// stream is a name, its publisher and its viewers. Guarded by Server.mu.
type stream struct {
	srv       *Server // immutable
	name      string  // immutable
	publisher *Session
	sources   []*source // empty until the publisher's answer is made
	viewers   map[*Session]struct{}
	grace     *time.Timer                            // while viewers wait for a publisher
	layers    map[*webrtc.MediaStreamTrack]*activity // of simulcasts

	syncing sync.Mutex // serialises Server.sync; taken before Server.mu
}

// source is one section of a publisher's. Immutable.
type source struct {
	kind   webrtc.Kind
	mid    string
	codecs []webrtc.Codec
	layers []*webrtc.MediaStreamTrack // in the order of a=simulcast, at least one
}

// StreamInfo describes a stream.
type StreamInfo struct {
	Name    string      `json:"name"`
	Live    bool        `json:"live"` // has a publisher
	Viewers int         `json:"viewers"`
	Tracks  []TrackInfo `json:"tracks"`
}

// TrackInfo describes a track of a stream.
type TrackInfo struct {
	Kind   webrtc.Kind `json:"kind"`
	Codecs []string    `json:"codecs"` // MIME types
	Layers []string    `json:"layers"` // rids, the smallest first; empty without simulcast
}

func (st *stream) info() StreamInfo {
	i := StreamInfo{Name: st.name, Live: st.publisher != nil && len(st.sources) > 0, Viewers: len(st.viewers), Tracks: []TrackInfo{}}
	for _, src := range st.sources {
		t := TrackInfo{Kind: src.kind, Codecs: []string{}, Layers: src.rids()}
		for _, c := range src.codecs {
			t.Codecs = append(t.Codecs, c.MimeType)
		}
		i.Tracks = append(i.Tracks, t)
	}
	return i
}

func (src *source) rids() []string {
	list := []string{}
	for _, l := range src.layers {
		if l.RID() != "" {
			list = append(list, l.RID())
		}
	}
	return list
}

// best is the layer that a viewer gets who names none: the last of
// a=simulcast. By the W3C's defaults each encoding has twice the size of the
// one before (RTCRtpEncodingParameters, scaleResolutionDownBy).
func (src *source) best() *webrtc.MediaStreamTrack { return src.layers[len(src.layers)-1] }

// layer is the track of a rid, nil if there is none.
func (src *source) layer(rid string) *webrtc.MediaStreamTrack {
	for _, l := range src.layers {
		if l.RID() == rid {
			return l
		}
	}
	return nil
}

// ordinal finds the nth source of a kind.
func ordinal(sources []*source, kind webrtc.Kind, n int) *source {
	for _, src := range sources {
		if src.kind == kind {
			if n == 0 {
				return src
			}
			n--
		}
	}
	return nil
}

// Publish makes the offering peer the publisher of a stream. It fails with
// ErrPublished while another one is connected; one whose connection is
// interrupted is replaced.
func (s *Server) Publish(ctx context.Context, name, offer string) (*Session, string, error) {
	if !ValidName(name) {
		return nil, "", fmt.Errorf("%w: %q", ErrName, name)
	}
	s.evict(name)
	x, err := s.admit(Publisher, name)
	if err != nil {
		return nil, "", err
	}
	answer, err := x.open(ctx, offer)
	if err != nil {
		return nil, "", err
	}
	return x, answer, nil
}

// evict ends the publisher of a stream whose connection is interrupted: most
// likely its page was reloaded.
func (s *Server) evict(name string) {
	s.mu.Lock()
	var old *Session
	if st := s.streams[name]; st != nil && st.publisher != nil && st.publisher.pc != nil {
		switch st.publisher.pc.ConnectionState() {
		case webrtc.PeerConnectionDisconnected, webrtc.PeerConnectionFailed:
			old = st.publisher
		}
	}
	s.mu.Unlock()
	if old != nil {
		old.end("replaced while interrupted")
	}
}

// reserve gives a stream to a publisher. mu is held.
func (s *Server) reserve(x *Session, name string) (*stream, error) {
	st := s.streams[name]
	switch {
	case st == nil && len(s.streams) >= s.cfg.MaxStreams:
		return nil, fmt.Errorf("%w: %d streams", ErrLimit, s.cfg.MaxStreams)
	case st == nil:
		st = &stream{srv: s, name: name, viewers: map[*Session]struct{}{}}
		s.streams[name] = st
	case st.publisher != nil:
		return nil, fmt.Errorf("%w: %q", ErrPublished, name)
	}
	st.publisher = x
	return st, nil
}

// join adds a viewer. mu is held.
func (s *Server) join(x *Session, name string) (*stream, error) {
	st := s.streams[name]
	switch {
	case st == nil || st.publisher == nil || len(st.sources) == 0:
		return nil, fmt.Errorf("%w: nobody publishes %q", ErrNoStream, name)
	case len(st.viewers) >= s.cfg.MaxViewersPerStream:
		return nil, fmt.Errorf("%w: %d viewers of %q", ErrLimit, s.cfg.MaxViewersPerStream, name)
	}
	st.viewers[x] = struct{}{}
	return st, nil
}

// leave removes a session that ends. Server.mu is held.
func (st *stream) leave(x *Session) {
	s := st.srv
	delete(st.viewers, x)
	if st.publisher == x {
		st.publisher, st.sources = nil, nil
		if grace := max(s.cfg.PublisherGrace, 0); len(st.viewers) > 0 && st.grace == nil {
			st.grace = time.AfterFunc(grace, st.abandon)
		}
	}
	if st.publisher == nil && len(st.viewers) == 0 {
		if st.grace != nil {
			st.grace.Stop()
		}
		delete(s.streams, st.name)
	}
}

// abandon ends the viewers of a stream whose publisher did not come back.
func (st *stream) abandon() {
	s := st.srv
	s.mu.Lock()
	var left []*Session
	if len(st.sources) == 0 {
		for v := range st.viewers {
			left = append(left, v)
		}
	}
	st.grace = nil
	s.mu.Unlock()
	for _, v := range left {
		v.end("publisher has gone")
	}
}

// preparePublisher limits each section to one format. A section with none
// fails the offer.
func (x *Session) preparePublisher(pc *webrtc.PeerConnection, d *sdp.Session) error {
	x.srv.mu.Lock()
	before := x.stream.sources
	x.srv.mu.Unlock()
	secs := sectionsOf(pc, webrtc.RecvOnly)
	for i := range d.Media {
		m := &d.Media[i]
		if !isMedia(m) {
			continue
		}
		tr := secs.of(m)
		if tr == nil {
			continue
		}
		var old []webrtc.Codec
		if j := slices.IndexFunc(before, func(s *source) bool { return s.mid == m.MID }); j >= 0 {
			old = before[j].codecs
		}
		codecs := chooseCodec(m, x.srv.cfg.WebRTC.Codecs, old)
		if codecs == nil {
			// Half a stream is worse than an error (RFC 9725 §4.4.3).
			return fmt.Errorf("%w: media section %d (%s) offers no format that is supported", webrtc.ErrUnsupported, i, m.Kind)
		}
		if err := tr.SetCodecPreferences(codecs); err != nil {
			return err
		}
	}
	return nil
}

// applyPublisher makes the publisher's tracks those of the stream.
func (x *Session) applyPublisher(pc *webrtc.PeerConnection, answer string) error {
	d, done, err := parse(answer)
	if err != nil {
		return err
	}
	defer done()
	var sources []*source
	for _, tr := range pc.Transceivers() {
		src := &source{kind: tr.Kind(), mid: tr.MID(), layers: tr.Receiver().Tracks()}
		i := slices.IndexFunc(d.Media, func(m sdp.Media) bool { return m.MID == src.mid && isMedia(&m) })
		if len(src.layers) == 0 || i < 0 {
			continue
		}
		src.codecs = sectionCodecs(&d.Media[i])
		sources = append(sources, src)
	}
	st := x.stream
	x.srv.mu.Lock()
	current := st.publisher == x
	if current {
		st.sources = sources
		if st.grace != nil {
			st.grace.Stop()
			st.grace = nil
		}
		x.srv.watchLayers(sources)
	}
	x.srv.mu.Unlock()
	if current {
		x.srv.sync(st)
	}
	return nil
}
