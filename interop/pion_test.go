package interop

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pion/dtls/v3"
	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// pionPeer is a Pion connection without interceptors: what it sends and
// answers is what the test says.
type pionPeer struct {
	t        *testing.T
	s        *server
	pc       *webrtc.PeerConnection
	location string

	mu      sync.Mutex
	packets map[string]map[uint16]bool // sequence numbers by kind, of the echo
	tracks  map[string]*webrtc.TrackRemote
	nacked  map[uint16]bool // asked of us
	plis    int
	firs    int
	twcc    int
	reports int
	hear    func(kind string, ssrc uint32, pkt *rtp.Packet) // of each packet
}

func newPion(t *testing.T, s *server, profiles ...dtls.SRTPProtectionProfile) *pionPeer {
	t.Helper()
	return newPionWith(t, s, func(settings *webrtc.SettingEngine) {
		if len(profiles) > 0 {
			settings.SetSRTPProtectionProfiles(profiles...)
		}
	})
}

func newPionWith(t *testing.T, s *server, set func(*webrtc.SettingEngine)) *pionPeer {
	t.Helper()
	var media webrtc.MediaEngine
	if err := media.RegisterDefaultCodecs(); err != nil {
		t.Fatal(err)
	}
	if err := media.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: "urn:ietf:params:rtp-hdrext:sdes:mid"}, webrtc.RTPCodecTypeVideo); err != nil {
		t.Fatal(err)
	}
	var settings webrtc.SettingEngine
	settings.SetIncludeLoopbackCandidate(true)
	settings.SetIPFilter(net.IP.IsLoopback)
	settings.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	set(&settings)
	api := webrtc.NewAPI(webrtc.WithMediaEngine(&media), webrtc.WithSettingEngine(settings), webrtc.WithInterceptorRegistry(&interceptor.Registry{}))
	pc, err := api.NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = pc.Close() })
	p := &pionPeer{t: t, s: s, pc: pc, packets: map[string]map[uint16]bool{"audio": {}, "video": {}}, tracks: map[string]*webrtc.TrackRemote{}, nacked: map[uint16]bool{}}
	pc.OnTrack(func(track *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		kind := track.Kind().String()
		p.mu.Lock()
		p.tracks[kind] = track
		p.mu.Unlock()
		for {
			pkt, _, err := track.ReadRTP()
			if err != nil {
				return
			}
			p.mu.Lock()
			if p.hear != nil {
				p.hear(kind, uint32(track.SSRC()), pkt)
			}
			p.packets[kind][pkt.SequenceNumber] = true
			p.mu.Unlock()
		}
	})
	return p
}

// add adds a track to send, and reads what is said about it.
func (p *pionPeer) add(mime string) *webrtc.TrackLocalStaticRTP {
	p.t.Helper()
	kind, _, _ := strings.Cut(mime, "/")
	track, err := webrtc.NewTrackLocalStaticRTP(webrtc.RTPCodecCapability{MimeType: mime}, kind, "stream")
	if err != nil {
		p.t.Fatal(err)
	}
	sender, err := p.pc.AddTrack(track)
	if err != nil {
		p.t.Fatal(err)
	}
	go func() {
		for {
			list, _, err := sender.ReadRTCP()
			if err != nil {
				return
			}
			p.mu.Lock()
			for _, r := range list {
				p.feedback(r)
			}
			p.mu.Unlock()
		}
	}()
	return track
}

func (p *pionPeer) feedback(r rtcp.Packet) {
	switch r := r.(type) {
	case *rtcp.TransportLayerNack:
		for _, n := range r.Nacks {
			for _, seq := range n.PacketList() {
				p.nacked[seq] = true
			}
		}
	case *rtcp.PictureLossIndication:
		p.plis++
	case *rtcp.FullIntraRequest:
		p.firs++
	case *rtcp.TransportLayerCC:
		p.twcc++
	case *rtcp.ReceiverReport:
		p.reports++
	}
}

func (p *pionPeer) connect() {
	p.t.Helper()
	p.connectTo("/echo")
}

func (p *pionPeer) connectTo(path string) {
	p.t.Helper()
	offer, err := p.pc.CreateOffer(nil)
	if err != nil {
		p.t.Fatal(err)
	}
	done := webrtc.GatheringCompletePromise(p.pc)
	if err := p.pc.SetLocalDescription(offer); err != nil {
		p.t.Fatal(err)
	}
	<-done
	ctx, cancel := context.WithTimeout(p.t.Context(), patience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, p.s.url+path, strings.NewReader(p.pc.LocalDescription().SDP))
	if err != nil {
		p.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/sdp")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != http.StatusCreated {
		p.t.Fatalf("%s %v: %s", res.Status, err, answer)
	}
	base, _ := url.Parse(p.s.url)
	loc, err := base.Parse(res.Header.Get("Location"))
	if err != nil {
		p.t.Fatal(err)
	}
	p.location = loc.String()
	if err := p.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: string(answer)}); err != nil {
		p.t.Fatal(err)
	}
	eventually(p.t, "connection", func() error {
		if st := p.pc.ConnectionState(); st != webrtc.PeerConnectionStateConnected {
			return errors.New(st.String())
		}
		return nil
	})
}

// remove ends the session by DELETE: Close of Pion v4.2.20 does not always send
// its close_notify, and without it the end is seen by ICE, half a minute later.
func (p *pionPeer) remove() {
	p.t.Helper()
	r, err := http.NewRequestWithContext(p.t.Context(), http.MethodDelete, p.location, nil)
	if err != nil {
		p.t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		p.t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		p.t.Errorf("DELETE was answered with %s", res.Status)
	}
}

// await waits for a condition on what was received.
func (p *pionPeer) await(what string, f func() error) {
	p.t.Helper()
	eventually(p.t, what, func() error {
		p.mu.Lock()
		defer p.mu.Unlock()
		return f()
	})
}

// vp8Keyframe is a whole frame of 16 by 16 pixels, as far as a server looks.
func vp8Keyframe(n uint16, pad int) []byte {
	return append([]byte{0x90, 0x80, 0x80 | byte(n>>8)&0x7f, byte(n), 0x10, 0x02, 0x00, 0x9d, 0x01, 0x2a, 16, 0, 16, 0}, make([]byte, pad)...)
}

// send sends media until the test ends, without the sequence numbers in hole.
func (p *pionPeer) send(track *webrtc.TrackLocalStaticRTP, every time.Duration, step uint32, hole func(uint16) bool, payload func(uint16) []byte) {
	done := make(chan struct{})
	p.t.Cleanup(func() { close(done) })
	go func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for seq := uint16(1); ; seq++ {
			if !hole(seq) {
				_ = track.WriteRTP(&rtp.Packet{
					Header:  rtp.Header{Version: 2, Marker: true, SequenceNumber: seq, Timestamp: uint32(seq) * step},
					Payload: payload(seq),
				})
			}
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	}()
}

func none(uint16) bool { return false }

func opusFrame(uint16) []byte { return []byte{0xf8, 0xff, 0xfe} }

func videoFrame(n uint16) []byte { return vp8Keyframe(n, 700) }

func TestPionEchoUnderEachProfile(t *testing.T) {
	for name, profiles := range map[string][]dtls.SRTPProtectionProfile{
		"its own choice": nil,
		"AES-CM":         {dtls.SRTP_AES128_CM_HMAC_SHA1_80},
		"AES-128-GCM":    {dtls.SRTP_AEAD_AES_128_GCM},
		"AES-256-GCM":    {dtls.SRTP_AEAD_AES_256_GCM},
	} {
		t.Run(name, func(t *testing.T) {
			s := startServer(t)
			p := newPion(t, s, profiles...)
			audio, video := p.add(webrtc.MimeTypeOpus), p.add(webrtc.MimeTypeVP8)
			channels := []*pionChannel{p.channel("ordered", nil), p.channel("unordered", &webrtc.DataChannelInit{Ordered: new(bool), MaxRetransmits: new(uint16(3))})}
			p.connect()
			s.transports(t)
			p.send(audio, 20*time.Millisecond, 960, none, opusFrame)
			p.send(video, 33*time.Millisecond, 3000, none, videoFrame)
			for _, c := range channels {
				c.echo(t)
			}
			p.await("media", func() error {
				if a, v := len(p.packets["audio"]), len(p.packets["video"]); a < 50 || v < 30 {
					return fmt.Errorf("%d packets of audio, %d of video", a, v)
				}
				return nil
			})
			p.await("receiver reports", func() error {
				if p.reports == 0 {
					return errNotYet
				}
				return nil
			})
			p.remove()
			s.awaitSessions(t, 0)
		})
	}
}

// What a receiver asks for reaches the sender, and what was lost on the way to
// the server is asked for by the server itself.
func TestPionFeedback(t *testing.T) {
	s := startServer(t)
	p := newPion(t, s)
	video := p.add(webrtc.MimeTypeVP8)
	p.connect()
	hole := func(seq uint16) bool { return seq > 60 && seq%50 == 0 }
	p.send(video, 10*time.Millisecond, 900, hole, videoFrame)
	p.await("video", func() error {
		if len(p.packets["video"]) < 30 {
			return errNotYet
		}
		return nil
	})

	p.await("NACK for a packet that was never sent", func() error {
		for seq := range p.nacked {
			if hole(seq) {
				return nil
			}
		}
		return fmt.Errorf("asked for %v", p.nacked)
	})
	p.mu.Lock()
	for seq := range p.nacked {
		if !hole(seq) {
			t.Errorf("a NACK asks for %d, which was sent", seq)
		}
	}
	ssrc := uint32(p.tracks["video"].SSRC())
	p.mu.Unlock()

	for _, ask := range []struct {
		what  string
		pkt   rtcp.Packet
		count func() int
	}{
		{"PLI", &rtcp.PictureLossIndication{SenderSSRC: 1, MediaSSRC: ssrc}, func() int { return p.plis + p.firs }},
		{"FIR", &rtcp.FullIntraRequest{SenderSSRC: 1, MediaSSRC: ssrc, FIR: []rtcp.FIREntry{{SSRC: ssrc, SequenceNumber: 1}}}, func() int { return p.plis + p.firs }},
	} {
		p.mu.Lock()
		before := ask.count()
		p.mu.Unlock()
		tries := 0
		p.await("key frame request at the sender after a "+ask.what, func() error {
			if ask.count() > before {
				return nil
			}
			// The server may hold back requests that follow each other quickly.
			if tries++; tries%10 == 1 {
				if err := p.pc.WriteRTCP([]rtcp.Packet{ask.pkt}); err != nil {
					return err
				}
			}
			return fmt.Errorf("%d PLI, %d FIR", p.plis, p.firs)
		})
	}
	t.Logf("%d PLI, %d FIR, %d receiver reports, %d transport-wide feedbacks, %d sequence numbers asked for", p.plis, p.firs, p.reports, p.twcc, len(p.nacked))
}

// A packet that the receiver asks for again comes again.
func TestPionGetsRetransmissions(t *testing.T) {
	s := startServer(t)
	p := newPion(t, s)
	video := p.add(webrtc.MimeTypeVP8)
	p.connect()
	p.send(video, 10*time.Millisecond, 900, none, videoFrame)
	var seq uint16
	p.await("video", func() error {
		if len(p.packets["video"]) < 30 {
			return errNotYet
		}
		for n := range p.packets["video"] {
			seq = max(seq, n)
		}
		return nil
	})
	ssrc := uint32(p.tracks["video"].SSRC())
	p.mu.Lock()
	delete(p.packets["video"], seq) // as if it had been lost
	p.mu.Unlock()
	if err := p.pc.WriteRTCP([]rtcp.Packet{&rtcp.TransportLayerNack{SenderSSRC: 1, MediaSSRC: ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers([]uint16{seq})}}); err != nil {
		t.Fatal(err)
	}
	p.await(fmt.Sprintf("packet %d again", seq), func() error {
		if !p.packets["video"][seq] {
			return errNotYet
		}
		return nil
	})
}

// pionChannel is a data channel with what came back on it.
type pionChannel struct {
	dc    *webrtc.DataChannel
	open  chan struct{}
	inbox chan webrtc.DataChannelMessage
}

func (p *pionPeer) channel(label string, init *webrtc.DataChannelInit) *pionChannel {
	p.t.Helper()
	dc, err := p.pc.CreateDataChannel(label, init)
	if err != nil {
		p.t.Fatal(err)
	}
	c := &pionChannel{dc: dc, open: make(chan struct{}), inbox: make(chan webrtc.DataChannelMessage, 4096)}
	dc.OnOpen(func() { close(c.open) })
	dc.OnMessage(func(m webrtc.DataChannelMessage) { c.inbox <- m })
	return c
}

// echo sends messages of all kinds and compares what comes back.
func (c *pionChannel) echo(t *testing.T) {
	t.Helper()
	select {
	case <-c.open:
	case <-time.After(patience):
		t.Fatalf("%s does not open", c.dc.Label())
	}
	var want []webrtc.DataChannelMessage
	for i := range 10 {
		want = append(want, webrtc.DataChannelMessage{Data: []byte{byte(i)}})
	}
	for i := range 1000 {
		want = append(want, webrtc.DataChannelMessage{Data: bytes.Repeat([]byte{byte(i), byte(i >> 8)}, 512)})
	}
	want = append(want, webrtc.DataChannelMessage{Data: bytes.Repeat([]byte("64KiB..."), 8192)})
	want = append(want, webrtc.DataChannelMessage{Data: []byte("text é"), IsString: true}, webrtc.DataChannelMessage{IsString: true}, webrtc.DataChannelMessage{})
	key := func(m webrtc.DataChannelMessage) string { return fmt.Sprint(m.IsString, string(m.Data)) }
	left := map[string]int{}
	for _, m := range want {
		left[key(m)]++
		var err error
		if m.IsString {
			err = c.dc.SendText(string(m.Data))
		} else {
			err = c.dc.Send(m.Data)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for i, m := range want {
		select {
		case got := <-c.inbox:
			if k := key(got); left[k] == 0 || c.dc.Ordered() && k != key(m) {
				t.Fatalf("%s: message %d: want %d bytes, got %d", c.dc.Label(), i, len(m.Data), len(got.Data))
			} else {
				left[k]--
			}
		case <-time.After(patience):
			t.Fatalf("%s: message %d of %d does not come back", c.dc.Label(), i, len(want))
		}
	}
}
