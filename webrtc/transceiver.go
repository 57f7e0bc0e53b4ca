package webrtc

import (
	"fmt"
	"slices"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sdp"
)

// Direction is RTCRtpTransceiverDirection.
type Direction = sdp.Direction

// The directions.
const (
	SendRecv = sdp.SendRecv
	SendOnly = sdp.SendOnly
	RecvOnly = sdp.RecvOnly
	Inactive = sdp.Inactive
)

// RTPTransceiver is RTCRtpTransceiver: a sender and a receiver that share a
// media section.
type RTPTransceiver struct {
	// Immutable.
	pc       *PeerConnection
	kind     Kind
	sender   *RTPSender
	receiver *RTPReceiver

	// Ctl lane.
	section          *section
	mid              string
	direction        Direction
	currentDirection Direction // empty: not negotiated
	preferences      []Codec
	byAddTrack       bool
	fromRemote       bool
	stopping         bool
	stopped          bool

	// Negotiated.
	sendCodecs []sdp.Codec // with the peer's numbers
	recvCodecs []sdp.Codec // with ours
	extmaps    []sdp.Extmap
	rsize      bool
	described  sdp.Direction // in our description in force
	theirs     sdp.Direction // in the peer's
	ssrc, rtx  uint32        // that the peer's description names, or 0
}

func (pc *PeerConnection) newTransceiver(kind Kind, direction Direction) *RTPTransceiver {
	tr := &RTPTransceiver{pc: pc, kind: kind, direction: direction}
	tr.sender = newSender(tr)
	tr.receiver = &RTPReceiver{tr: tr}
	pc.transceivers = append(pc.transceivers, tr)
	return tr
}

// AddTransceiver adds a transceiver that the next offer will contain.
// Direction empty means sendrecv.
func (pc *PeerConnection) AddTransceiver(kind Kind, direction Direction) (*RTPTransceiver, error) {
	if kind != Audio && kind != Video {
		return nil, fmt.Errorf("%w: kind %q is neither audio nor video", ErrType, kind)
	}
	if direction == "" {
		direction = SendRecv
	}
	if err := checkDirection(direction); err != nil {
		return nil, err
	}
	var tr *RTPTransceiver
	err := pc.do(func(mono.Time) error {
		tr = pc.newTransceiver(kind, direction)
		pc.checkNegotiation()
		return nil
	})
	return tr, err
}

func checkDirection(d Direction) error {
	switch d {
	case SendRecv, SendOnly, RecvOnly, Inactive:
		return nil
	}
	return fmt.Errorf("%w: direction %q", ErrType, d)
}

// AddTrack sends a track: on a transceiver of its kind that has sent nothing
// yet, or on a new one. streams name the media streams it belongs to.
func (pc *PeerConnection) AddTrack(track *MediaStreamTrack, streams ...string) (*RTPSender, error) {
	if track == nil {
		return nil, fmt.Errorf("%w: no track", ErrType)
	}
	var s *RTPSender
	err := pc.do(func(mono.Time) error {
		for _, tr := range pc.transceivers {
			if tr.sender.track == track {
				return fmt.Errorf("%w: the track is already sent", ErrInvalidAccess)
			}
		}
		var tr *RTPTransceiver
		for _, x := range pc.transceivers {
			if x.kind == track.kind && x.sender.track == nil && !x.sender.used && !x.stopped && !x.stopping {
				tr = x
				break
			}
		}
		if tr == nil {
			tr = pc.newTransceiver(track.kind, SendRecv)
			tr.byAddTrack = true
		}
		tr.direction = sdp.MakeDirection(true, tr.direction.Receives())
		s = tr.sender
		s.streams = streams
		s.setTrack(track)
		pc.checkNegotiation()
		return nil
	})
	return s, err
}

// RemoveTrack stops sending; the section stays (W3C §5.1).
func (pc *PeerConnection) RemoveTrack(s *RTPSender) error {
	if s == nil {
		return fmt.Errorf("%w: no sender", ErrType)
	}
	return pc.do(func(mono.Time) error {
		if s.tr.pc != pc {
			return fmt.Errorf("%w: the sender belongs to another connection", ErrInvalidAccess)
		}
		s.setTrack(nil)
		s.tr.direction = sdp.MakeDirection(false, s.tr.direction.Receives())
		pc.checkNegotiation()
		return nil
	})
}

// Transceivers are those of the connection, in the order of their making.
func (pc *PeerConnection) Transceivers() []*RTPTransceiver {
	var list []*RTPTransceiver
	_ = pc.do(func(mono.Time) error {
		list = slices.Clone(pc.transceivers)
		return nil
	})
	return list
}

// Kind is audio or video.
func (tr *RTPTransceiver) Kind() Kind { return tr.kind }

// Sender is the transceiver's sender.
func (tr *RTPTransceiver) Sender() *RTPSender { return tr.sender }

// Receiver is the transceiver's receiver.
func (tr *RTPTransceiver) Receiver() *RTPReceiver { return tr.receiver }

// MID is the section's name, empty before negotiation.
func (tr *RTPTransceiver) MID() string {
	var mid string
	_ = tr.pc.do(func(mono.Time) error { mid = tr.mid; return nil })
	return mid
}

// Direction is the wanted direction.
func (tr *RTPTransceiver) Direction() Direction {
	var d Direction
	_ = tr.pc.do(func(mono.Time) error { d = tr.direction; return nil })
	return d
}

// CurrentDirection is the negotiated direction, empty before negotiation.
func (tr *RTPTransceiver) CurrentDirection() Direction {
	var d Direction
	_ = tr.pc.do(func(mono.Time) error { d = tr.currentDirection; return nil })
	return d
}

// SetDirection changes the wanted direction; the next negotiation applies it.
func (tr *RTPTransceiver) SetDirection(d Direction) error {
	if err := checkDirection(d); err != nil {
		return err
	}
	return tr.pc.do(func(mono.Time) error {
		if tr.stopped || tr.stopping {
			return fmt.Errorf("%w: the transceiver is stopped", ErrInvalidState)
		}
		tr.direction = d
		tr.pc.checkNegotiation()
		return nil
	})
}

// SetCodecPreferences limits and orders the codecs of the next negotiation;
// nil restores the configured ones.
func (tr *RTPTransceiver) SetCodecPreferences(codecs []Codec) error {
	for _, c := range codecs {
		if c.Kind() != tr.kind {
			return fmt.Errorf("%w: %s is not %s", ErrInvalidAccess, c.MimeType, tr.kind)
		}
	}
	return tr.pc.do(func(mono.Time) error {
		tr.preferences = slices.Clone(codecs)
		return nil
	})
}

// Stop ends sending and receiving for good, with the next negotiation.
func (tr *RTPTransceiver) Stop() error {
	return tr.pc.do(func(mono.Time) error {
		if tr.section == nil && !tr.stopped {
			// Nobody has heard of it.
			tr.end()
			tr.pc.transceivers = slices.DeleteFunc(tr.pc.transceivers, func(x *RTPTransceiver) bool { return x == tr })
			tr.pc.checkNegotiation()
		}
		if !tr.stopping {
			tr.stopping = true
			tr.sender.setTrack(nil)
			tr.receiver.end()
			tr.pc.program()
			tr.pc.checkNegotiation()
		}
		return nil
	})
}

// end stops the transceiver. Ctl lane.
func (tr *RTPTransceiver) end() {
	tr.stopping, tr.stopped = true, true
	tr.currentDirection = Inactive
	tr.sender.setTrack(nil)
	tr.receiver.end()
}

// offerWouldChange reports whether an offer could bring the current direction
// closer to the wanted one: the peer's share of it is not ours to change.
func (tr *RTPTransceiver) offerWouldChange(pc *PeerConnection) bool {
	if pc.currentLocal == nil || tr.currentDirection == "" || !slices.Contains(pc.sections, tr.section) {
		return true
	}
	if pc.currentLocal.typ == SDPOffer {
		return tr.described != tr.direction
	}
	theirs := tr.theirs.Reverse()
	return tr.described != sdp.MakeDirection(tr.direction.Sends() && theirs.Sends(), tr.direction.Receives() && theirs.Receives())
}

// negotiated puts a section's description into force.
func (tr *RTPTransceiver) negotiated(l, r, answer *sdp.Media) {
	tr.mid = l.MID
	tr.rsize = l.RTCPRsize && r.RTCPRsize
	tr.extmaps = slices.Clone(answer.Extmaps) // the description's memory goes
	tr.described, tr.theirs = l.Direction, r.Direction
	tr.ssrc, tr.rtx = declared(r)
	tr.sendCodecs = common(r.Codecs, l.Codecs)
	tr.recvCodecs = common(l.Codecs, r.Codecs)
	tr.currentDirection = sdp.MakeDirection(l.Direction.Sends() && r.Direction.Receives(), l.Direction.Receives() && r.Direction.Sends())
	tr.receiver.negotiated(r)
}

// common are the codecs of a that b has too, in a's order and with its
// numbers, retransmissions last.
func common(a, b []sdp.Codec) []sdp.Codec {
	var list []sdp.Codec
	for i := range a {
		c := &a[i]
		for j := range b {
			if !isRTX(c) && c.Matches(&b[j]) {
				list = append(list, answerFeedback(c, &b[j]))
				break
			}
		}
	}
	hasRTX := slices.ContainsFunc(b, func(c sdp.Codec) bool { return isRTX(&c) })
	for i := range a {
		apt, ok := a[i].APT()
		if ok && hasRTX && slices.ContainsFunc(list, func(x sdp.Codec) bool { return x.PayloadType == apt }) {
			list = append(list, a[i])
		}
	}
	return list
}

// answerFeedback is c with the feedback that o has too.
func answerFeedback(c, o *sdp.Codec) sdp.Codec {
	out := *c
	out.Feedback = nil
	for _, f := range c.Feedback {
		if o.HasFeedback(f) {
			out.Feedback = append(out.Feedback, f)
		}
	}
	return out
}

// transport is the section's, nil before it has one.
func (tr *RTPTransceiver) transport() *transport {
	if tr.section == nil || tr.stopped {
		return nil
	}
	return tr.section.transport
}
