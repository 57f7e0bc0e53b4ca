package interop

import (
	"encoding/json"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sluicertc/sluice/dataplane"
	sluice "github.com/sluicertc/sluice/webrtc"
)

// dataServer answers one offer with a connection of ours, whose channels the
// test uses. All packets take a path that can lose some.
type dataServer struct {
	t      *testing.T
	url    string
	pc     *sluice.PeerConnection
	path   *lossyPath
	opened chan *sluice.DataChannel

	offer, answer string
}

// startDataServer has messages of up to 16 MiB and interleaving.
func startDataServer(t *testing.T) *dataServer {
	t.Helper()
	engine, err := dataplane.New(dataplane.Config{Addr: netip.MustParseAddrPort("127.0.0.1:0"), Shards: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { engine.Close() })
	s := &dataServer{t: t, opened: make(chan *sluice.DataChannel, 256)}
	s.pc, err = sluice.NewPeerConnection(sluice.Config{
		Engine: engine, IncludeLoopback: true, AddressFilter: func(a netip.Addr) bool { return a.IsLoopback() && a.Is4() },
		DataChannels: sluice.DataChannelOptions{MaxMessageSize: 16 << 20, Interleave: true},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.pc.Close() })
	s.pc.OnDataChannel(func(dc *sluice.DataChannel) { s.opened <- dc })
	web := httptest.NewServer(http.HandlerFunc(s.serve))
	t.Cleanup(web.Close)
	s.url = web.URL + "/data"
	return s
}

var candidateLine = regexp.MustCompile(`(?m)^a=(candidate:.*|end-of-candidates)\r?\n`)

func (s *dataServer) serve(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Access-Control-Allow-Origin", "*")
	h.Set("Access-Control-Allow-Headers", "*")
	h.Set("Access-Control-Allow-Methods", "*")
	h.Set("Access-Control-Expose-Headers", "Location")
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	offer, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	if err == nil {
		err = s.accept(string(offer))
	}
	if err != nil {
		s.t.Error(err)
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	h.Set("Location", "/data/1")
	h.Set("Content-Type", "application/sdp")
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, s.answer)
}

// accept answers. Neither side learns of the other's own addresses.
func (s *dataServer) accept(offer string) error {
	s.offer = offer
	d := sluice.SessionDescription{Type: sluice.SDPOffer, SDP: candidateLine.ReplaceAllString(offer, "")}
	if err := s.pc.SetRemoteDescription(d); err != nil {
		return err
	}
	answer, err := s.pc.CreateAnswer()
	if err != nil {
		return err
	}
	if err := s.pc.SetLocalDescription(answer); err != nil {
		return err
	}
	<-s.pc.GatheringComplete()
	sdp := s.pc.LocalDescription().SDP
	where := regexp.MustCompile(`a=candidate:\S+ 1 \S+ \d+ (127\.0\.0\.1) (\d+) typ host`).FindStringSubmatch(sdp)
	if where == nil {
		s.t.Errorf("no candidate in %s", sdp)
		return io.ErrUnexpectedEOF
	}
	if s.path, err = newLossyPath(s.t, where[1]+":"+where[2]); err != nil {
		return err
	}
	_, port, _ := strings.Cut(s.path.front.LocalAddr().String(), ":")
	own := "a=candidate:1 1 udp 2130706431 127.0.0.1 " + port + " typ host\r\na=end-of-candidates\r\n"
	s.answer = candidateLine.ReplaceAllString(sdp, "") + own
	return nil
}

// sctp is what the association says of itself.
func (s *dataServer) sctp() (st sluice.SCTPTransportStats) {
	s.t.Helper()
	report, err := s.pc.GetStats()
	if err != nil {
		s.t.Fatal(err)
	}
	for _, v := range report {
		if x, ok := v.(*sluice.SCTPTransportStats); ok {
			st = *x
		}
	}
	return st
}

// lossyPath is a NAT that loses one of n packets of DTLS, both ways.
type lossyPath struct {
	front *net.UDPConn
	n     atomic.Int32 // 0: loses none
	lost  atomic.Int32

	mu    sync.Mutex
	rng   *rand.Rand
	backs map[netip.AddrPort]*net.UDPConn
}

func newLossyPath(t *testing.T, server string) (*lossyPath, error) {
	to, err := net.ResolveUDPAddr("udp4", server)
	if err != nil {
		return nil, err
	}
	front, err := net.ListenUDP("udp4", udpAddr(0))
	if err != nil {
		return nil, err
	}
	p := &lossyPath{front: front, rng: e2rng(), backs: map[netip.AddrPort]*net.UDPConn{}}
	for _, f := range []func(int) error{front.SetReadBuffer, front.SetWriteBuffer} {
		_ = f(4 << 20) // as much as there may be
	}
	t.Cleanup(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		front.Close()
		for _, c := range p.backs {
			c.Close()
		}
	})
	go p.forward(to)
	return p, nil
}

// loses reports whether a packet is lost: handshakes and checks are not.
func (p *lossyPath) loses(b []byte) bool {
	n := p.n.Load()
	if n == 0 || len(b) == 0 || b[0] < 20 || b[0] > 63 {
		return false
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.rng.IntN(int(n)) != 0 {
		return false
	}
	p.lost.Add(1)
	return true
}

func (p *lossyPath) forward(to *net.UDPAddr) {
	buf := make([]byte, 65536)
	for {
		n, from, err := p.front.ReadFromUDPAddrPort(buf)
		if err != nil {
			return
		}
		p.mu.Lock()
		back := p.backs[from]
		if back == nil {
			if back, err = net.DialUDP("udp4", nil, to); err != nil {
				p.mu.Unlock()
				return
			}
			_ = back.SetReadBuffer(4 << 20)
			p.backs[from] = back
			go p.back(back, from)
		}
		p.mu.Unlock()
		if !p.loses(buf[:n]) {
			_, _ = back.Write(buf[:n])
		}
	}
}

func (p *lossyPath) back(c *net.UDPConn, to netip.AddrPort) {
	buf := make([]byte, 65536)
	for {
		n, err := c.Read(buf)
		if err != nil {
			return
		}
		if !p.loses(buf[:n]) {
			_, _ = p.front.WriteToUDPAddrPort(buf[:n], to)
		}
	}
}

// dataPeerChannel is what a peer says of one of its channels.
type dataPeerChannel struct {
	Label, Protocol   string
	Ordered           bool
	MaxRetransmits    *uint16
	MaxPacketLifeTime *uint16
	State             string
}

// dataChannel is a channel as the test uses it: the peer sends everything back,
// and does what a text that begins with "!" says.
type dataChannel struct {
	*sluice.DataChannel
	t      *testing.T
	opened chan struct{}
	closed chan struct{}
	in     chan sluice.Message
}

func newDataChannel(t *testing.T, dc *sluice.DataChannel) *dataChannel {
	c := &dataChannel{dc, t, make(chan struct{}), make(chan struct{}), make(chan sluice.Message, 1<<14)}
	dc.OnClose(func() { close(c.closed) })
	dc.OnError(func(err error) { t.Errorf("%s: %v", dc.Label(), err) })
	dc.OnMessage(func(m sluice.Message) { c.in <- m })
	dc.OnOpen(func() { close(c.opened) })
	return c
}

func dataAwait[T any](t *testing.T, what string, c <-chan T) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("no %s", what)
	}
	return v
}

// open makes a channel from our side.
func (s *dataServer) open(label string, init *sluice.DataChannelInit) *dataChannel {
	s.t.Helper()
	dc, err := s.pc.CreateDataChannel(label, init)
	if err != nil {
		s.t.Fatal(err)
	}
	c := newDataChannel(s.t, dc)
	dataAwait(s.t, "open channel "+label, c.opened)
	return c
}

// command has the peer do something and returns what it answers.
func (c *dataChannel) command(what string) string {
	c.t.Helper()
	if err := c.SendText("!" + what); err != nil {
		c.t.Fatal(err)
	}
	return string(dataAwait(c.t, "answer to "+what+" on "+c.Label(), c.in).Data)
}

// said is what the peer thinks the channel is.
func (c *dataChannel) said() (v dataPeerChannel) {
	c.t.Helper()
	if s := c.command("info"); json.Unmarshal([]byte(s), &v) != nil {
		c.t.Errorf("%s: %q", c.Label(), s)
	}
	return v
}
