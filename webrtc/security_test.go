package webrtc

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/stun"
)

// otherFingerprint replaces the fingerprint of a description by that of
// another certificate.
func otherFingerprint(t testing.TB, d SessionDescription) SessionDescription {
	t.Helper()
	cert := must(dtls.GenerateCertificate(time.Now()))(t)
	fp := must(cert.Fingerprint("sha-256"))(t)
	d.SDP = regexp.MustCompile(`(?m)^a=fingerprint:.*\r$`).ReplaceAllString(d.SDP, "a=fingerprint:"+fp.String()+"\r")
	return d
}

// states collects a connection's states.
func states(pc *PeerConnection) <-chan PeerConnectionState {
	c := make(chan PeerConnectionState, 32)
	pc.OnConnectionStateChange(func(s PeerConnectionState) { c <- s })
	return c
}

func awaitState(t testing.TB, c <-chan PeerConnectionState, want PeerConnectionState, never ...PeerConnectionState) {
	t.Helper()
	for {
		s := await(t, "state "+want.String(), c)
		for _, n := range never {
			if s == n {
				t.Fatalf("the connection became %v", s)
			}
		}
		if s == want {
			return
		}
	}
}

// Classes 5 and 6: a certificate that is not the signalled one ends the
// connection before any key is in use, whoever is the DTLS client.
func TestClass05_06_WrongFingerprintFailsWithoutMedia(t *testing.T) {
	for _, role := range []DTLSRole{DTLSServer, DTLSClient} {
		for _, deceived := range []string{"offerer", "answerer", "nobody"} {
			t.Run(fmt.Sprintf("answerer role %d, %s deceived", role, deceived), func(t *testing.T) {
				a, b := newPC(t, Config{Engine: newEngine(t, 1)}), newPC(t, Config{Engine: newEngine(t, 1), DTLSRole: role})
				cam := vp8Track(t)
				must(a.AddTrack(cam))(t)
				dc := must(a.CreateDataChannel("d", nil))(t)
				dc.OnOpen(func() {
					if deceived != "nobody" {
						t.Error("a data channel opens")
					}
				})
				tracks := make(chan TrackEvent, 1)
				b.OnTrack(func(e TrackEvent) { tracks <- e })
				sa, sb := states(a), states(b)
				if err := a.SetLocalDescription(SessionDescription{}); err != nil {
					t.Fatal(err)
				}
				offer := a.LocalDescription()
				if deceived == "answerer" {
					offer = otherFingerprint(t, offer)
				}
				if err := b.SetRemoteDescription(offer); err != nil {
					t.Fatal(err)
				}
				if err := b.SetLocalDescription(SessionDescription{}); err != nil {
					t.Fatal(err)
				}
				answer := b.LocalDescription()
				if deceived == "offerer" {
					answer = otherFingerprint(t, answer)
				}
				if err := a.SetRemoteDescription(answer); err != nil {
					t.Fatal(err)
				}
				switch deceived {
				case "nobody":
					awaitState(t, sa, PeerConnectionConnected)
					awaitState(t, sb, PeerConnectionConnected)
					var seq uint32
					receive(t, cam, await(t, "track", tracks).Track, &seq, 1)
					return
				case "offerer":
					awaitState(t, sa, PeerConnectionFailed, PeerConnectionConnected)
				case "answerer":
					awaitState(t, sb, PeerConnectionFailed, PeerConnectionConnected)
				}
				// The other side hears of it, or waits. As client of DTLS 1.3 it is
				// connected until the server has judged its certificate (RFC 8446
				// §2), and fails a round trip later.
				switch {
				case deceived == "offerer" && role == DTLSClient:
					awaitState(t, sb, PeerConnectionFailed)
				case deceived == "answerer" && role == DTLSServer:
					awaitState(t, sa, PeerConnectionFailed)
				}
				for _, pc := range []*PeerConnection{a, b} {
					if pc.ConnectionState() == PeerConnectionConnected {
						t.Error("connected")
					}
				}
				for range 10 {
					if err := cam.WriteRTP(vp8(1)); err != nil {
						t.Fatal(err)
					}
				}
				ctx, cancel := context.WithCancel(context.Background())
				cancel()
				if _, err := await(t, "track", tracks).Track.ReadRTP(ctx, make([]byte, 1500)); !errors.Is(err, context.Canceled) {
					t.Errorf("a packet arrives: %v", err)
				}
				for _, s := range must(b.GetStats())(t) {
					if ts, ok := s.(*TransportStats); ok && (ts.PacketsReceived != 0 || ts.SRTPCipher != "") {
						t.Errorf("%+v", ts)
					}
				}
			})
		}
	}
}

func TestClass06_NewFingerprintForALiveAssociationIsRefused(t *testing.T) {
	a, b := couple(t)
	dc := must(a.CreateDataChannel("d", nil))(t)
	open := make(chan struct{}, 1)
	dc.OnOpen(func() { open <- struct{}{} })
	negotiate(t, a, b, nil)
	await(t, "channel", open)
	if err := a.SetLocalDescription(SessionDescription{}); err != nil {
		t.Fatal(err)
	}
	if err := b.SetRemoteDescription(otherFingerprint(t, a.LocalDescription())); !errors.Is(err, ErrUnsupported) {
		t.Errorf("in an offer: %v", err)
	}
	if b.SignalingState() != SignalingStable {
		t.Error(b.SignalingState())
	}
	if err := b.SetRemoteDescription(a.LocalDescription()); err != nil {
		t.Fatal(err)
	}
	if err := b.SetLocalDescription(SessionDescription{}); err != nil {
		t.Fatal(err)
	}
	if err := a.SetRemoteDescription(otherFingerprint(t, b.LocalDescription())); !errors.Is(err, ErrUnsupported) {
		t.Errorf("in an answer: %v", err)
	}
	if err := a.SetRemoteDescription(b.LocalDescription()); err != nil {
		t.Fatal(err)
	}
	echo(t, b, dc)
}

func TestSetupRolesThatTheOfferDictates(t *testing.T) {
	for _, c := range []struct{ offered, answered string }{{"active", "passive"}, {"passive", "active"}, {"actpass", "passive"}} {
		a, b := couple(t)
		dc := must(a.CreateDataChannel("d", nil))(t)
		open := make(chan struct{}, 1)
		dc.OnOpen(func() { open <- struct{}{} })
		if err := a.SetLocalDescription(SessionDescription{}); err != nil {
			t.Fatal(err)
		}
		offer := a.LocalDescription()
		offer.SDP = strings.ReplaceAll(offer.SDP, "setup:actpass", "setup:"+c.offered)
		if err := b.SetRemoteDescription(offer); err != nil {
			t.Fatal(err)
		}
		if err := b.SetLocalDescription(SessionDescription{}); err != nil {
			t.Fatal(err)
		}
		if got := string(localSDP(t, b).Media[0].Setup); got != c.answered {
			t.Errorf("%s answered by %s", c.offered, got)
		}
		if err := a.SetRemoteDescription(b.LocalDescription()); err != nil {
			t.Fatal(err)
		}
		await(t, "channel", open)
		// What was agreed on stays, whoever offers next.
		negotiate(t, b, a, nil)
		if want := map[string]string{"active": "passive", "passive": "active"}[c.answered]; string(localSDP(t, a).Media[0].Setup) != want {
			t.Errorf("re-offer answered by %s, not %s", localSDP(t, a).Media[0].Setup, want)
		}
		echo(t, b, dc)
	}
}

// wire is a peer that speaks STUN by hand.
type wire struct {
	t    testing.TB
	conn *net.UDPConn
	to   netip.AddrPort
}

func newWire(t testing.TB, e *dataplane.Engine) *wire {
	t.Helper()
	c := must(net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}))(t)
	t.Cleanup(func() { c.Close() })
	return &wire{t, c, e.LocalAddr()}
}

func (w *wire) send(b []byte) {
	w.t.Helper()
	must(w.conn.WriteToUDPAddrPort(b, w.to))(w.t)
}

// ask sends b until a STUN message of a class comes.
func (w *wire) ask(b []byte, class stun.Class) {
	w.t.Helper()
	buf := make([]byte, 1500)
	for end := time.Now().Add(patience); time.Now().Before(end); {
		w.send(b)
		if err := w.conn.SetReadDeadline(time.Now().Add(20 * time.Millisecond)); err != nil {
			w.t.Fatal(err)
		}
		n, _, err := w.conn.ReadFromUDPAddrPort(buf)
		if err != nil {
			continue
		}
		if m, err := stun.Parse(buf[:n]); err == nil && m.Class() == class {
			return
		}
	}
	w.t.Fatal("no answer")
}

// check is a connectivity check from the peer called theirs to the section
// of ours; key nil leaves it without integrity.
func check(id byte, ours, theirs, pwd string, nominate bool) []byte {
	m := stun.Begin(make([]byte, 0, 256), stun.MakeType(stun.Binding, stun.Request), stun.TransactionID{id, 1: 7})
	m.Username(ours + ":" + theirs)
	m.Priority(1 << 30)
	m.ICEControlled(uint64(id))
	if nominate {
		m.UseCandidate()
	}
	if pwd != "" {
		m.Integrity(stun.NewKey([]byte(pwd)))
	}
	m.Fingerprint()
	return m.Bytes()
}

// Class 32: what is not authenticated makes no state, whatever it claims; and
// no address is admitted for DTLS or media by sending those.
func TestClass32_UnauthenticatedChecksMakeNoState(t *testing.T) {
	e := newEngine(t, 1)
	pc := newPC(t, Config{Engine: e})
	must(pc.CreateDataChannel("d", nil))(t)
	if err := pc.SetLocalDescription(SessionDescription{}); err != nil {
		t.Fatal(err)
	}
	answerer := newPC(t, Config{Engine: newEngine(t, 1)})
	if err := answerer.SetRemoteDescription(bare(pc.LocalDescription())); err != nil {
		t.Fatal(err)
	}
	answer := must(answerer.CreateAnswer())(t)
	theirs := regexp.MustCompile("a=ice-ufrag:(.*)\r").FindStringSubmatch(answer.SDP)[1]
	if err := pc.SetRemoteDescription(answer); err != nil {
		t.Fatal(err)
	}
	m := localSDP(t, pc).Media[0]
	liar, peer := newWire(t, e), newWire(t, e)
	for i := range byte(200) {
		liar.send(check(i, m.ICEUfrag, theirs, "", true))
		liar.send(check(i, m.ICEUfrag, theirs, "not the password at all", true))
		liar.send(check(i, "nobody", theirs, m.ICEPwd, true))
		liar.send(append([]byte{22, 254, 253, 0, 0, 0, 0, 0, 0, 0, i, 0, 4}, 1, 0, 0, 0)) // a ClientHello, as it begins
		liar.send([]byte{128, 96, 0, i, 0, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14})
	}
	// Behind all that, the peer itself, which repeats itself: the queue for
	// strangers drops what does not fit. The check that it triggers shows that
	// all before has been dealt with.
	peer.ask(check(1, m.ICEUfrag, theirs, m.ICEPwd, false), stun.Success)
	peer.ask(check(1, m.ICEUfrag, theirs, m.ICEPwd, false), stun.Request)
	_ = pc.do(func(monoTime) error {
		_, remote := pc.transports[0].agent.Candidates()
		if len(remote) != 1 || remote[0].Addr != peer.conn.LocalAddr().(*net.UDPAddr).AddrPort() {
			t.Errorf("remote candidates %v", remote)
		}
		if pc.transports[0].conn == nil || pc.transports[0].early != nil {
			t.Error("DTLS was taken from a stranger")
		}
		return nil
	})
	awaitTransports(t, e, 1)
}

// Class 33: a peer that knows our ufrag and never speaks DTLS is given up by a
// timer, and leaves nothing behind when it is closed.
func TestClass33_PeerThatNeverShakesHandsIsGivenUp(t *testing.T) {
	e := newEngine(t, 1)
	a, b := newPC(t, Config{Engine: e}), newPC(t, Config{Engine: newEngine(t, 1)})
	sa := states(a)
	must(a.CreateDataChannel("d", nil))(t)
	if err := a.SetLocalDescription(SessionDescription{}); err != nil {
		t.Fatal(err)
	}
	if err := b.SetRemoteDescription(a.LocalDescription()); err != nil {
		t.Fatal(err)
	}
	if err := b.SetLocalDescription(SessionDescription{}); err != nil {
		t.Fatal(err)
	}
	// Both wait for the other's ClientHello.
	answer := b.LocalDescription()
	answer.SDP = strings.ReplaceAll(answer.SDP, "setup:passive", "setup:active")
	if err := a.SetRemoteDescription(answer); err != nil {
		t.Fatal(err)
	}
	for {
		var started bool
		if err := a.do(func(now monoTime) error {
			t := a.transports[0]
			started = t.dtlsState == DTLSTransportConnecting
			if !started {
				return nil
			}
			at := t.conn.Timeout()
			if at == 0 || at.Sub(now) > 30*time.Second {
				return fmt.Errorf("no timer, or one in %v", at.Sub(now))
			}
			// As if the time had come.
			t.conn.HandleTimeout(at)
			t.pump(at)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		if started {
			break
		}
		tick()
	}
	awaitState(t, sa, PeerConnectionFailed, PeerConnectionConnected)
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	awaitTransports(t, e, 0)
}

// awaitTransports waits until an engine has n transports.
func awaitTransports(t testing.TB, e *dataplane.Engine, n int64) {
	t.Helper()
	for end := time.Now().Add(patience); int64(e.Stats().Transports) != n; tick() {
		if time.Now().After(end) {
			t.Fatalf("%d transports, not %d", e.Stats().Transports, n)
		}
	}
}

func TestPeerOfWhomNothingIsHeardFailsByTheTimer(t *testing.T) {
	e := newEngine(t, 1)
	// Long enough for the restart, which has to do with the same.
	a := newPC(t, Config{Engine: e, ICETimers: ICETimers{FailedTimeout: 3 * time.Second, Pacing: 5 * time.Millisecond}})
	b := newPC(t, Config{Engine: newEngine(t, 1)})
	sa := states(a)
	must(a.CreateDataChannel("d", nil))(t)
	if err := a.SetLocalDescription(SessionDescription{}); err != nil {
		t.Fatal(err)
	}
	if err := b.SetRemoteDescription(bare(a.LocalDescription())); err != nil {
		t.Fatal(err)
	}
	answer := must(b.CreateAnswer())(t)
	if err := a.SetRemoteDescription(answer); err != nil {
		t.Fatal(err)
	}
	awaitState(t, sa, PeerConnectionFailed, PeerConnectionConnected)
	if s := a.ICEConnectionState(); s != ICEConnectionFailed {
		t.Error(s)
	}
	if n := e.Stats().Transports; n != 0 {
		t.Errorf("%d transports", n)
	}
	// A restart brings it back.
	if err := b.SetLocalDescription(answer); err != nil {
		t.Fatal(err)
	}
	negotiate(t, a, b, &OfferOptions{ICERestart: true})
	awaitState(t, sa, PeerConnectionConnected)
}

func TestVanishedPeerIsDisconnectedAndThenFailed(t *testing.T) {
	gone := newEngine(t, 1)
	a := newPC(t, Config{Engine: newEngine(t, 1), ICETimers: ICETimers{DisconnectedTimeout: 300 * time.Millisecond, ConsentExpiry: 600 * time.Millisecond}})
	b := newPC(t, Config{Engine: gone})
	sa := states(a)
	must(a.CreateDataChannel("d", nil))(t)
	negotiate(t, a, b, nil)
	awaitState(t, sa, PeerConnectionConnected)
	gone.Close()
	awaitState(t, sa, PeerConnectionDisconnected)
	awaitState(t, sa, PeerConnectionFailed)
	if err := a.do(func(monoTime) error {
		if a.transports[0].selected.Remote.IsValid() {
			t.Error("packets still have somewhere to go")
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}
