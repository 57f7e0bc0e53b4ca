package sfu

import (
	"context"
	"fmt"

	"github.com/sluicertc/sluice/sdp"
	"github.com/sluicertc/sluice/webrtc"
)

// AddCandidates gives the peer's candidates to the connection. ufrag names the
// generation they belong to; empty means the current one. Candidates of
// another are refused with ErrStale.
func (x *Session) AddCandidates(ufrag string, candidates []webrtc.ICECandidate) error {
	x.negotiating.Lock()
	defer x.negotiating.Unlock()
	pc, err := x.live()
	if err != nil {
		return err
	}
	if ufrag != "" && ufrag != x.RemoteUfrag() {
		return ErrStale
	}
	for _, c := range candidates {
		if err := pc.AddICECandidate(c); err != nil {
			return x.explain(err)
		}
	}
	return nil
}

// Restart restarts ICE with the peer's new credentials and candidates, whose
// texts are as in SDP, without "a=". It returns our description with the new
// credentials and candidates.
//
// It offers the peer's last description again with the new credentials, which
// is what a restart is (RFC 8839 §4.4.3.1).
func (x *Session) Restart(ctx context.Context, ufrag, pwd string, candidates []webrtc.ICECandidate) (local string, err error) {
	x.negotiating.Lock()
	defer x.negotiating.Unlock()
	pc, err := x.live()
	if err != nil {
		return "", err
	}
	d, err := sdp.Parse(pc.CurrentRemoteDescription().SDP)
	if err != nil {
		return "", x.explain(fmt.Errorf("sfu: restart: %w", err))
	}
	d.ICEUfrag, d.ICEPwd = "", ""
	for i := range d.Media {
		m := &d.Media[i]
		if m.Rejected() {
			continue
		}
		m.ICEUfrag, m.ICEPwd = ufrag, pwd
		m.Candidates, m.EndOfCandidates = nil, false
	}
	if local, err = x.negotiate(ctx, pc, d.String(), d); err != nil {
		return "", err
	}
	for _, c := range candidates {
		if err := pc.AddICECandidate(c); err != nil {
			return "", x.explain(err)
		}
	}
	return local, nil
}
