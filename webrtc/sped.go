package webrtc

import (
	"slices"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/ice"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sdp"
)

// spedOptions are the names of DTLS in STUN (draft-hancke-webrtc-sped) in
// a=ice-options: the draft's, and that of Chromium from M155 on.
var spedOptions = []string{"sped", "googspedv1"}

// offerSPED is what an offer of ours adds to a=ice-options.
func (pc *PeerConnection) offerSPED() []string {
	if !pc.cfg.SPED {
		return nil
	}
	return spedOptions
}

// answerSPED is what an answer adds: what of it the offer has.
func (pc *PeerConnection) answerSPED(offer *sdp.Media) (list []string) {
	for _, o := range pc.offerSPED() {
		if slices.Contains(offer.ICEOptions, o) {
			list = append(list, o)
		}
	}
	return list
}

// agreedSPED reports whether two descriptions of a section have a name in common.
func agreedSPED(l, r *sdp.Media) bool {
	return slices.ContainsFunc(spedOptions, func(o string) bool {
		return slices.Contains(l.ICEOptions, o) && slices.Contains(r.ICEOptions, o)
	})
}

// inheritOptions gives the sections the session's a=ice-options (RFC 8839 §5.6).
func inheritOptions(s *sdp.Session) {
	for i := range s.Media {
		if m := &s.Media[i]; m.ICEOptions == nil {
			m.ICEOptions = s.ICEOptions
		}
	}
}

// A courier takes the datagrams of the DTLS handshake to the peer in ICE's checks
// while there is no path for them, and makes what the checks bring known to be
// there. It keeps DTLS from repeating what ICE repeats. Ctl lane.
type courier struct {
	agent *ice.Agent
	conn  *dtls.Conn
	role  dtls.Role
	held  bool // conn is; there has been no path yet
}

// newCourier takes conn over until there is a path. A client begins at once: its
// hello goes with the first check.
func newCourier(now mono.Time, agent *ice.Agent, conn *dtls.Conn, role dtls.Role) *courier {
	c := &courier{agent: agent, conn: conn, role: role, held: true}
	conn.Hold(now, true)
	if role == dtls.Client {
		conn.Start(now)
	}
	return c
}

// pump moves what DTLS has to say to the agent. path tells that there is one: then
// flights do not wait for checks (draft §4.4), and what pump returns is to be sent
// on it, after the checks and answers that wait in the agent: answers take what they
// can, and the peer takes DTLS only from where it has been answered. If nobody has
// acknowledged it by then, it goes with later checks all the same.
func (c *courier) pump(now mono.Time, buf []byte, path bool) (direct [][]byte) {
	if c.held && path {
		c.held = false
		c.conn.Hold(now, false)
		direct = c.agent.Carried(now)
	}
	if !c.agent.Carrying() {
		c.conn.SetMTU(dtls.DefaultMTU)
		return direct
	}
	c.conn.SetMTU(c.agent.CarryMTU())
	var flight [][]byte
	for n := c.conn.Transmit(now, buf); n > 0; n = c.conn.Transmit(now, buf) {
		flight = append(flight, slices.Clone(buf[:n]))
	}
	return append(direct, c.agent.Carry(now, flight, path)...)
}

// connected ends the carrying. Who has sent the last flight, the server in DTLS
// 1.2 and the client in 1.3, lets it be carried until it is acknowledged.
func (c *courier) connected(now mono.Time) {
	v13 := c.conn.State().Version == dtls.VersionDTLS13
	c.agent.EndCarry(now, (c.role == dtls.Client) == v13)
	c.conn.SetMTU(dtls.DefaultMTU)
}

// prepareSPED makes the handshake machine before the first check leaves, if the
// descriptions have agreed on it, so that a check can carry the first flight.
func (t *transport) prepareSPED(now mono.Time, agreed bool, role dtls.Role) error {
	if t.conn != nil {
		return nil
	}
	if !agreed {
		t.agent.StopCarry()
		return nil
	}
	if err := t.makeDTLS(role); err != nil {
		return err
	}
	t.sped = newCourier(now, t.agent, t.conn, role)
	t.handleEarly(now)
	return nil
}

// carryDTLS is the courier's part of pump.
func (t *transport) carryDTLS(now mono.Time) (direct [][]byte) {
	if t.sped != nil {
		direct = t.sped.pump(now, t.pc.lane.Scratch(), t.dtlsPath().Remote.IsValid())
	}
	return direct
}

// writeDTLS sends datagrams of DTLS on the path there is.
func (t *transport) writeDTLS(list [][]byte) {
	path := t.dtlsPath()
	for _, b := range list {
		t.pc.lane.Write(t.shard(), b, path.Local.Addr(), path.Remote)
	}
}

// handleCarried takes a datagram from a check: ICE has authenticated its address
// with it.
func (t *transport) handleCarried(now mono.Time, b []byte, p ice.Path) {
	if t.handleDTLS(now, b) == dtls.ErrHandedOver && t.data != nil {
		t.data.Redeliver(&dataplane.Packet{Buf: b, Local: p.Local, Remote: p.Remote, Shard: t.via, At: now})
	}
}

// isRepeated reports whether a datagram of DTLS has been carried to us already.
func (t *transport) isRepeated(b []byte) bool {
	return t.sped != nil && !t.agent.HeardDirectly(b)
}

// handshaken ends the handshake. Carried by checks it may be complete before
// there is a path; then nothing can be sent yet, and the keys wait.
func (t *transport) handshaken(now mono.Time) {
	if t.sped != nil {
		t.sped.connected(now)
	}
	t.waiting = true
	t.finishWaiting(now)
}

func (t *transport) finishWaiting(now mono.Time) {
	if t.waiting && (t.sped == nil || t.usable.Remote.IsValid() || t.selected.Remote.IsValid()) {
		t.waiting = false
		t.connected(now)
	}
}
