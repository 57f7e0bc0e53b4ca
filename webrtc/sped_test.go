package webrtc

import (
	"errors"
	"net/netip"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/stun"
)

// carriedBy is what a connection's checks have carried.
func carriedBy(t *testing.T, pc *PeerConnection) *TransportStats {
	t.Helper()
	return only[*TransportStats](t, must(pc.GetStats())(t))
}

func TestHandshakeGoesInChecks(t *testing.T) {
	for _, version := range []uint16{dtls.VersionDTLS12, dtls.VersionDTLS13} {
		for _, role := range []DTLSRole{DTLSServer, DTLSClient} {
			for _, lite := range []bool{false, true} {
				o := DTLSOptions{MinVersion: version, MaxVersion: version}
				a := newPC(t, Config{Engine: newEngine(t, 1), SPED: true, SNAP: true, DTLS: o})
				b := newPC(t, Config{Engine: newEngine(t, 2), SPED: true, SNAP: true, DTLS: o, DTLSRole: role, ICELite: lite})
				dc, _ := link(t, a, b, "first", nil)
				echo(t, b, dc)
				client, server := carriedBy(t, a), carriedBy(t, b)
				if role == DTLSClient {
					client, server = server, client
				}
				if client.DTLSInSTUNSent == 0 || server.DTLSInSTUNReceived == 0 {
					t.Errorf("%x, role %d, lite %v: the client's checks and answers carried %d datagrams, and the server got %d", version, role, lite, client.DTLSInSTUNSent, server.DTLSInSTUNReceived)
				}
			}
		}
	}
}

// Only who is asked to carries, and only to who does so too.
func TestHandshakeGoesInChecksOnlyByAgreement(t *testing.T) {
	for _, x := range []struct{ offerer, answerer bool }{{true, false}, {false, true}, {false, false}} {
		a := newPC(t, Config{Engine: newEngine(t, 1), SPED: x.offerer})
		b := newPC(t, Config{Engine: newEngine(t, 2), SPED: x.answerer})
		dc, _ := link(t, a, b, "first", nil)
		echo(t, b, dc)
		for i, pc := range []*PeerConnection{a, b} {
			options := localSDP(t, pc).Media[0].ICEOptions
			if said := slices.Contains(options, "sped") || slices.Contains(options, "googspedv1"); said != (x.offerer && i == 0) {
				t.Errorf("%+v: end %d says %q", x, i, options)
			}
			if s := carriedBy(t, pc); s.DTLSInSTUNReceived != 0 || s.DTLSInSTUNSent != 0 {
				t.Errorf("%+v: end %d: %d datagrams sent in checks, %d received", x, i, s.DTLSInSTUNSent, s.DTLSInSTUNReceived)
			}
		}
	}
}

// a=ice-options may stand above all sections (RFC 8839 §5.6), with what else there
// is.
func TestOptionsOfTheSessionCount(t *testing.T) {
	line := regexp.MustCompile(`a=ice-options:[^\r]*\r\n`)
	for _, c := range []struct {
		options string
		want    []string
	}{
		{"a=ice-options:trickle ice2 sped\r\n", []string{"trickle", "sped"}},
		{"a=ice-options:googspedv1\r\n", []string{"trickle", "googspedv1"}},
		{"a=ice-options:googspedv1 sped\r\n", []string{"trickle", "sped", "googspedv1"}},
		{"a=ice-options:spedster SPED googspedv2\r\n", []string{"trickle"}},
		{"", []string{"trickle"}},
	} {
		a := newPC(t, Config{Engine: newEngine(t, 1), SPED: true})
		b := newPC(t, Config{Engine: newEngine(t, 1), SPED: true})
		must(a.CreateDataChannel("x", nil))(t)
		offer := must(a.CreateOffer(nil))(t)
		offer.SDP = line.ReplaceAllString(offer.SDP, "")
		offer.SDP = regexp.MustCompile(`t=0 0\r\n`).ReplaceAllString(offer.SDP, "t=0 0\r\n"+c.options)
		if err := b.SetRemoteDescription(offer); err != nil {
			t.Fatal(err)
		}
		if err := b.SetLocalDescription(SessionDescription{}); err != nil {
			t.Fatal(err)
		}
		if got := localSDP(t, b).Media[0].ICEOptions; !slices.Equal(got, c.want) {
			t.Errorf("%q is answered with %q, want %q", c.options, got, c.want)
		}
	}
}

// Hellos that are made before ICE has heard of the peer take no place among the
// handshakes: those whose peers never come keep nobody out.
func TestClass33_EarlyHellosKeepNobodyOut(t *testing.T) {
	e := must(dataplane.New(dataplane.Config{Addr: netip.MustParseAddrPort("127.0.0.1:0"), Shards: 1, MaxHandshakes: 1}))(t)
	t.Cleanup(func() { e.Close() })
	gone := newPC(t, Config{Engine: newEngine(t, 1), SPED: true})
	must(gone.CreateDataChannel("x", nil))(t)
	if err := gone.SetLocalDescription(must(gone.CreateOffer(nil))(t)); err != nil {
		t.Fatal(err)
	}
	<-gone.GatheringComplete()
	offer := gone.LocalDescription()
	gone.Close()
	for range 20 {
		pc := newPC(t, Config{Engine: e, SPED: true, DTLSRole: DTLSClient})
		if err := pc.SetRemoteDescription(offer); err != nil {
			t.Fatal(err)
		}
		if err := pc.SetLocalDescription(SessionDescription{}); err != nil {
			t.Fatal(err)
		}
		for _, tr := range transportsOf(pc) {
			_ = pc.do(func(monoTime) error {
				if tr.conn == nil || tr.sped == nil || tr.pass != nil || tr.dtlsState != DTLSTransportNew {
					t.Errorf("a hello that waits has pass %v in state %v", tr.pass, tr.dtlsState)
				}
				return nil
			})
		}
	}
	a := newPC(t, Config{Engine: newEngine(t, 1), SPED: true})
	b := newPC(t, Config{Engine: e, SPED: true, DTLSRole: DTLSClient})
	dc, _ := link(t, a, b, "first", nil)
	echo(t, b, dc)
}

// With all answers held back on the way there is no path, and yet checks alone
// carry the handshake to its end. The keys wait for a path, and nothing is lost.
func TestHandshakeIsCompleteBeforeThereIsAPath(t *testing.T) {
	for _, role := range []DTLSRole{DTLSServer, DTLSClient} {
		a := newPC(t, Config{Engine: newEngine(t, 1), SPED: true, SNAP: true})
		b := newPC(t, Config{Engine: newEngine(t, 1), SPED: true, SNAP: true, DTLSRole: role})
		m := newMiddle(t, a, b)
		m.mu.Lock()
		m.hold = func(b []byte) bool {
			msg, err := stun.Parse(b)
			return err == nil && msg.Class() == stun.Success
		}
		m.mu.Unlock()
		dc := must(a.CreateDataChannel("x", nil))(t)
		open := opened(dc)
		if err := a.SetLocalDescription(SessionDescription{}); err != nil {
			t.Fatal(err)
		}
		<-a.GatheringComplete()
		if err := errors.Join(b.SetRemoteDescription(m.pass(1, a.LocalDescription())), b.SetLocalDescription(SessionDescription{})); err != nil {
			t.Fatal(err)
		}
		<-b.GatheringComplete()
		if err := a.SetRemoteDescription(m.pass(0, b.LocalDescription())); err != nil {
			t.Fatal(err)
		}
		for _, pc := range []*PeerConnection{a, b} {
			complete := func() (yes bool) {
				_ = pc.do(func(monoTime) error { yes = pc.transports[0].waiting; return nil })
				return yes
			}
			for i := 0; !complete(); i++ {
				if i > int(patience/(200*time.Microsecond)) {
					t.Fatal("the checks did not carry the handshake to its end")
				}
				tick()
			}
			_ = pc.do(func(monoTime) error {
				if tr := pc.transports[0]; tr.dtlsState != DTLSTransportNew && tr.dtlsState != DTLSTransportConnecting || tr.usable.Remote.IsValid() {
					t.Errorf("DTLS %v, a path is %v", tr.dtlsState, tr.usable)
				}
				return nil
			})
		}
		m.mu.Lock()
		m.hold = func([]byte) bool { return false }
		for _, forward := range m.held {
			forward()
		}
		m.mu.Unlock()
		await(t, "data channel", open)
		echo(t, b, dc)
	}
}
