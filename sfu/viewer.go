package sfu

import (
	"context"
	"fmt"
	"slices"

	"github.com/sluicertc/sluice/sdp"
	"github.com/sluicertc/sluice/webrtc"
)

// output is one section through which a viewer gets a source: the nth of its
// kind, whoever publishes. Immutable, but for the track, which Server.sync
// changes.
type output struct {
	kind   webrtc.Kind
	n      int
	tr     *webrtc.RTPTransceiver
	codecs []webrtc.Codec // that the viewer was answered with
	track  *webrtc.MediaStreamTrack
}

// Play makes the offering peer a viewer of a stream. rid picks the layer of a
// simulcast; empty means the largest that arrives. It fails with ErrNoStream,
// ErrNoLayer, or webrtc.ErrUnsupported when the peer cannot decode what is
// published.
func (s *Server) Play(ctx context.Context, name, offer, rid string) (*Session, string, error) {
	if !ValidName(name) {
		return nil, "", fmt.Errorf("%w: %q", ErrName, name)
	}
	x, err := s.admit(Viewer, name)
	if err != nil {
		return nil, "", err
	}
	if err := x.choose(rid); err != nil {
		x.end("refused")
		return nil, "", err
	}
	answer, err := x.open(ctx, offer)
	if err != nil {
		return nil, "", err
	}
	return x, answer, nil
}

// Choose changes the layer that a viewer gets; empty means the largest that
// arrives.
func (x *Session) Choose(rid string) error {
	if x.role != Viewer {
		return fmt.Errorf("%w: a %v has no layer to choose", ErrNoLayer, x.role)
	}
	if err := x.choose(rid); err != nil {
		return err
	}
	x.srv.sync(x.stream)
	return nil
}

func (x *Session) choose(rid string) error {
	x.srv.mu.Lock()
	defer x.srv.mu.Unlock()
	if rid != "" {
		var all []string
		for _, src := range x.stream.sources {
			all = append(all, src.rids()...)
		}
		switch {
		case len(all) == 0:
			return fmt.Errorf("%w: %q is no simulcast, so there is no layer %q", ErrNoLayer, x.stream.name, rid)
		case !slices.Contains(all, rid):
			return fmt.Errorf("%w: %q has the layers %q, not %q", ErrNoLayer, x.stream.name, all, rid)
		}
	}
	x.rid = rid
	return nil
}

// prepareViewer gives each section of the offer its source.
func (x *Session) prepareViewer(pc *webrtc.PeerConnection, d *sdp.Session) (undo func(), err error) {
	s := x.srv
	s.mu.Lock()
	sources, rid := x.stream.sources, x.rid
	old := slices.Clone(x.outputs)
	s.mu.Unlock()

	var added []*webrtc.RTPSender
	undo = func() {
		for _, sender := range added {
			_ = pc.RemoveTrack(sender)
		}
	}
	secs := sectionsOf(pc, webrtc.SendOnly)
	var outputs []*output
	for i := range d.Media {
		m := &d.Media[i]
		if !isMedia(m) {
			continue
		}
		if m.Direction == sdp.SendOnly {
			return undo, fmt.Errorf("%w: media section %d (%s) is sendonly, and a viewer receives", webrtc.ErrUnsupported, i, m.Kind)
		}
		tr := secs.of(m)
		if tr == nil {
			continue
		}
		if j := slices.IndexFunc(old, func(o *output) bool { return o.tr == tr }); j >= 0 {
			outputs = append(outputs, old[j])
			old = slices.Delete(old, j, j+1)
			continue
		}
		o := &output{kind: webrtc.Kind(m.Kind), n: free(outputs, old, webrtc.Kind(m.Kind)), tr: tr}
		src := ordinal(sources, o.kind, o.n)
		if src == nil {
			continue // nothing to see: the answer says inactive
		}
		if !offers(m, src.codecs) {
			return undo, fmt.Errorf("%w: %q is published as %s, which media section %d of the offer does not contain",
				webrtc.ErrUnsupported, x.stream.name, codecNames(src.codecs), i)
		}
		o.codecs = src.codecs
		s.mu.Lock()
		o.track = x.stream.pick(src, rid, nil)
		s.mu.Unlock()
		sender, err := pc.AddTrack(o.track, x.stream.name)
		if err != nil {
			return undo, err
		}
		added = append(added, sender)
		// AddTrack takes the first transceiver that is free; sections come in
		// the same order.
		if err := x.bind(pc, o, sender); err != nil {
			return undo, err
		}
		outputs = append(outputs, o)
	}
	s.mu.Lock()
	x.outputs = outputs
	s.mu.Unlock()
	return undo, nil
}

func (x *Session) bind(pc *webrtc.PeerConnection, o *output, sender *webrtc.RTPSender) error {
	for _, tr := range pc.Transceivers() {
		if tr.Sender() == sender {
			o.tr = tr
		}
	}
	if err := o.tr.SetDirection(webrtc.SendOnly); err != nil {
		return err
	}
	return o.tr.SetCodecPreferences(o.codecs)
}

// free is the lowest place of a kind that no output has.
func free(a, b []*output, kind webrtc.Kind) int {
	for n := 0; ; n++ {
		taken := func(o *output) bool { return o.kind == kind && o.n == n }
		if !slices.ContainsFunc(a, taken) && !slices.ContainsFunc(b, taken) {
			return n
		}
	}
}

// sync gives every viewer of a stream the tracks that its publisher has now.
// A viewer who cannot decode them ends, so that it asks again.
func (s *Server) sync(st *stream) {
	st.syncing.Lock()
	defer st.syncing.Unlock()
	type change struct {
		viewer *Session
		out    *output
		track  *webrtc.MediaStreamTrack
	}
	var changes []change
	var lost []*Session
	s.mu.Lock()
	sources := st.sources
	for v := range st.viewers {
		for _, o := range v.outputs {
			src := ordinal(sources, o.kind, o.n)
			track := st.pick(src, v.rid, o.track)
			if src != nil && !slices.ContainsFunc(src.codecs, func(c webrtc.Codec) bool { return decodes(o, &c) }) {
				lost = append(lost, v)
				break
			}
			if track != o.track {
				changes = append(changes, change{v, o, track})
			}
		}
	}
	s.mu.Unlock()
	for _, c := range changes {
		if err := c.out.tr.Sender().ReplaceTrack(c.track); err != nil {
			s.log.Debug("viewer's track cannot be replaced", "session", c.viewer.pc.ID(), "err", err)
			continue
		}
		s.mu.Lock()
		c.out.track = c.track
		s.mu.Unlock()
	}
	for _, v := range lost {
		v.end("publisher changed its format")
	}
}

func decodes(o *output, c *webrtc.Codec) bool {
	sc := toSDP(c)
	return contains(o.codecs, string(o.kind), &sc)
}
