package interop

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
	"time"

	sluice "github.com/sluicertc/sluice/webrtc"
)

// A dataKind is a channel's reliability.
type dataKind struct {
	name      string
	unordered bool
	rexmit    int // -1: none
	lifetime  int // ms, -1: none
}

// dataKinds are all there are (RFC 8832 §5.1).
var dataKinds = []dataKind{
	{"reliable", false, -1, -1}, {"reliable-unordered", true, -1, -1},
	{"rexmit", false, 2, -1}, {"rexmit-unordered", true, 0, -1},
	{"timed", false, -1, 300}, {"timed-unordered", true, -1, 300},
}

func (k dataKind) reliable() bool { return k.rexmit < 0 && k.lifetime < 0 }

func (k dataKind) init() *sluice.DataChannelInit {
	o := &sluice.DataChannelInit{Unordered: k.unordered, Protocol: "interop"}
	if k.rexmit >= 0 {
		n := uint16(k.rexmit)
		o.MaxRetransmits = &n
	}
	if k.lifetime >= 0 {
		n := uint16(k.lifetime)
		o.MaxPacketLifeTime = &n
	}
	return o
}

// options are those of the peers, in W3C's words.
func (k dataKind) options() options {
	o := options{"ordered": !k.unordered, "protocol": "interop"}
	if k.rexmit >= 0 {
		o["maxRetransmits"] = k.rexmit
	}
	if k.lifetime >= 0 {
		o["maxPacketLifeTime"] = k.lifetime
	}
	return options{"label": k.name, "init": o}
}

func dataOptions() (list []options) {
	for _, k := range dataKinds {
		list = append(list, k.options())
	}
	return list
}

// dataPeer is what is known of a peer, and what cannot be tested with it.
type dataPeer struct {
	name  string
	start func(t *testing.T, s *dataServer)

	interleaves, zeroChecksum bool // what is negotiated when we offer it
	takes                     int  // its a=max-message-size; 0: any
	sends                     int  // what it sends at most, of what the test asks for
	mute                      bool // it sends no empty messages
	ordersPartial             bool // its OPEN calls every partially reliable channel ordered
	silent                    bool // it does not say what a channel of ours is
}

const dataLargest = 10 << 20

func (p *dataPeer) test(t *testing.T) {
	s := startDataServer(t)
	p.start(t, s)
	theirs := map[string]*dataChannel{}
	for range dataKinds {
		c := newDataChannel(t, dataAwait(t, "channel of the peer", s.opened))
		theirs[c.Label()] = c
		dataAwait(t, "open", c.opened)
	}
	for _, k := range dataKinds {
		c := theirs[k.name]
		if c == nil {
			t.Fatalf("no channel %s", k.name)
		}
		heard := k
		heard.unordered = k.unordered && (k.reliable() || !p.ordersPartial)
		p.describes(t, heard, k, c)
		p.echoes(t, k, c)
		ours := s.open(k.name+" ours", k.init())
		p.describes(t, k, k, ours)
		p.echoes(t, k, ours)
		p.lossy(t, s, k, ours)
		p.lossy(t, s, heard, c)
	}
	st := s.sctp()
	t.Logf("interleaving %v, zero checksum %v, max-message-size %v, %d retransmissions, %d lost, RTT %.1f ms",
		st.Interleaved, st.ZeroChecksum, p.announced(t, s), st.Retransmissions, s.path.lost.Load(), st.SmoothedRoundTripTime*1e3)
	if st.Interleaved != p.interleaves || st.ZeroChecksum != p.zeroChecksum {
		t.Errorf("interleaving %v, zero checksum %v", st.Interleaved, st.ZeroChecksum)
	}
	p.large(t, s)
	p.closes(t, s, theirs)
}

func (p *dataPeer) announced(t *testing.T, s *dataServer) int {
	m := regexp.MustCompile(`a=max-message-size:(\d+)`).FindStringSubmatch(s.offer)
	if m == nil {
		return 65536 // RFC 8841 §6.1
	}
	n, err := strconv.Atoi(m[1])
	if err != nil {
		t.Error(err)
	}
	return n
}

// describes wants a channel to be of one kind here and of another there.
func (p *dataPeer) describes(t *testing.T, here, there dataKind, c *dataChannel) {
	t.Helper()
	u := func(v *uint16) int {
		if v == nil {
			return -1
		}
		return int(*v)
	}
	if c.Ordered() == here.unordered || u(c.MaxRetransmits()) != here.rexmit || u(c.MaxPacketLifeTime()) != here.lifetime || c.Protocol() != "interop" {
		t.Errorf("%s here: ordered %v, %d retransmissions, %d ms, protocol %q", c.Label(), c.Ordered(), u(c.MaxRetransmits()), u(c.MaxPacketLifeTime()), c.Protocol())
	}
	if p.silent {
		return
	}
	v := c.said()
	if v.Label != c.Label() || v.Protocol != "interop" || v.Ordered == there.unordered || u(v.MaxRetransmits) != there.rexmit || u(v.MaxPacketLifeTime) != there.lifetime {
		t.Errorf("%s there: %q %q, ordered %v, %d retransmissions, %d ms", c.Label(), v.Label, v.Protocol, v.Ordered, u(v.MaxRetransmits), u(v.MaxPacketLifeTime))
	}
}

// echoes sends messages of all kinds, one after the other.
func (p *dataPeer) echoes(t *testing.T, k dataKind, c *dataChannel) {
	t.Helper()
	sizes := []int{1, 1000, 1200, 20_000, 65536}
	if !p.mute {
		sizes = append(sizes, 0)
	}
	for n, size := range sizes {
		text := n&1 == 1
		want := bytes.Repeat([]byte{byte('a' + n)}, size)
		var err error
		if text {
			err = c.SendText(string(want))
		} else {
			err = c.Send(want)
		}
		if err != nil {
			t.Fatal(err)
		}
		if m := dataAwait(t, fmt.Sprintf("message of %d bytes on %s", size, c.Label()), c.in); m.Text != text || !bytes.Equal(m.Data, want) {
			t.Errorf("%s: text %v, %d bytes came back for %d", c.Label(), m.Text, len(m.Data), size)
		}
	}
}

// lossy sends messages over a path which loses one packet of 20 each way. What
// is reliable comes back once and in order where that was promised; of the
// rest, nothing comes twice, and what comes last without loss arrives.
func (p *dataPeer) lossy(t *testing.T, s *dataServer, k dataKind, c *dataChannel) {
	t.Helper()
	const count = 60
	s.path.n.Store(20)
	for n := range count {
		b := make([]byte, 3000)
		binary.BigEndian.PutUint32(b, uint32(n))
		if err := c.Send(b); err != nil {
			t.Fatal(err)
		}
	}
	seen, last := map[uint32]bool{}, -1
	take := func(m sluice.Message) {
		n := binary.BigEndian.Uint32(m.Data)
		if n > count || seen[n] || len(m.Data) != 3000 || (!k.unordered && int(n) < last) {
			t.Errorf("%s: message %d of %d bytes, after %d, seen %v", c.Label(), n, len(m.Data), last, seen[n])
		}
		seen[n], last = true, int(n)
	}
	if k.reliable() {
		for range count {
			take(dataAwait(t, fmt.Sprintf("message %d under loss on %s", len(seen), c.Label()), c.in))
		}
	}
	s.path.n.Store(0)
	b := make([]byte, 3000)
	binary.BigEndian.PutUint32(b, count)
	for !seen[count] {
		// A message may wait for retransmissions of those before it, and be late itself.
		if err := c.Send(b); err != nil {
			t.Fatal(err)
		}
		after := time.After(2 * time.Second)
	wait:
		for !seen[count] {
			select {
			case m := <-c.in:
				take(m)
			case <-after:
				if k.reliable() || len(seen) == 0 {
					t.Fatalf("%s: after the loss nothing comes", c.Label())
				}
				break wait
			}
		}
	}
	if k.unordered {
		drainEchoes(t, c, take)
	}
}

// drainEchoes waits for the echoes of what was overtaken: the answer to one
// more message may overtake them, too, so each is asked for until all is quiet.
func drainEchoes(t *testing.T, c *dataChannel, take func(sluice.Message)) {
	t.Helper()
	quiet := time.NewTimer(300 * time.Millisecond)
	for {
		select {
		case m := <-c.in:
			take(m)
			quiet.Reset(300 * time.Millisecond)
		case <-quiet.C:
			return
		}
	}
}

// large sends a message of 10 MiB, or of the largest that the peer takes, and
// wants it back; or a hash of it, and one back of the largest that it sends.
func (p *dataPeer) large(t *testing.T, s *dataServer) {
	t.Helper()
	if n := p.announced(t, s); n != p.takes {
		t.Errorf("the peer takes %d bytes", n)
	}
	size := dataLargest
	if p.takes > 0 {
		size = min(size, p.takes)
	}
	want := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(want)
	c := s.open("large", nil)
	send := func(b []byte) []byte {
		if err := c.Send(b); err != nil {
			t.Fatal(err)
		}
		return dataAwait(t, "answer to a large message", c.in).Data
	}
	if p.sends < size {
		c.command(fmt.Sprintf("limit %d", p.sends))
		h := fnv.New32a()
		h.Write(want)
		if got := string(send(want)); got != fmt.Sprintf("%d %d", size, h.Sum32()) {
			t.Errorf("of %d bytes came %.100q", size, got)
		}
		t.Logf("a message of %d bytes sent", size)
		want = want[:p.sends]
	}
	if got := send(want); !bytes.Equal(got, want) {
		t.Errorf("%d bytes of %d came back", len(got), len(want))
	}
	t.Logf("messages of %d bytes sent and received", len(want))
}

// closes closes channels from here, from there and from both sides at once,
// and uses new ones, which have the same ids.
func (p *dataPeer) closes(t *testing.T, s *dataServer, theirs map[string]*dataChannel) {
	t.Helper()
	for i, k := range dataKinds {
		c := theirs[k.name]
		switch i % 3 {
		case 0:
			c.Close()
		case 1:
			if err := c.SendText("!close"); err != nil {
				t.Fatal(err)
			}
		case 2:
			if err := c.SendText("!close"); err != nil {
				t.Fatal(err)
			}
			c.Close()
		}
		dataAwait(t, "close of "+k.name, c.closed)
	}
	for round := range 3 {
		for _, k := range dataKinds[:2] {
			c := s.open(fmt.Sprintf("again %d %s", round, k.name), k.init())
			p.describes(t, k, k, c)
			p.echoes(t, k, c)
			c.Close()
			dataAwait(t, "close", c.closed)
		}
	}
}

// dataProgram starts a program of peers, which lasts as long as the test.
func dataProgram(argv func(t *testing.T) []string) func(t *testing.T, s *dataServer) {
	return func(t *testing.T, s *dataServer) {
		list, err := json.Marshal(dataOptions())
		if err != nil {
			t.Fatal(err)
		}
		a := argv(t)
		ctx, cancel := context.WithCancel(context.Background())
		cmd := exec.CommandContext(ctx, a[0], append(a[1:], s.url, string(list))...)
		endWithParent(cmd)
		cmd.WaitDelay = time.Second
		log := &logBuffer{}
		cmd.Stdout, cmd.Stderr = log, log
		if err := cmd.Start(); err != nil {
			cancel()
			t.Fatal(err)
		}
		t.Cleanup(func() {
			cancel()
			_ = cmd.Wait() // it was killed
			if t.Failed() {
				t.Logf("the peer's log:\n%s", log.tail(40))
			}
		})
	}
}

// dataBrowser opens a page.
func dataBrowser(b browser) func(t *testing.T, s *dataServer) {
	return func(t *testing.T, s *dataServer) {
		b.open(t).start("data", s.url, options{"channels": dataOptions()})
	}
}

var (
	// chromiumIDATA offers what Chromium does not offer by itself.
	chromiumIDATA = browser{name: "chromium-idata", kind: "chromium", args: []string{
		"--use-fake-ui-for-media-stream", "--force-fieldtrials=WebRTC-DataChannelMessageInterleaving/Enabled/",
	}}
	firefoxUsrsctp = browser{name: "firefox-usrsctp", kind: "firefox", prefs: map[string]any{"media.peerconnection.sctp.use_dcsctp": false}}
)

// Chromium 156 has interleaving behind a field trial. Firefox 153 interleaves with
// either of its stacks; dcSCTP, its default, takes 10 MiB, but sends nothing of
// such a message, and does not say so. Neither lets checksums out (RFC 9653): no field trial or preference of either
// asks for it. werift 0.24.4 says in its OPEN that every partially reliable channel
// is ordered. webrtcbin and werift send nothing for an empty message.
var dataPeers = []dataPeer{
	{name: "chromium", start: dataBrowser(chromium), takes: 262144, sends: 262144},
	{name: "chromium-interleaving", start: dataBrowser(chromiumIDATA), takes: 262144, sends: 262144, interleaves: true},
	{name: "firefox", start: dataBrowser(firefox), takes: 1073741823, sends: 4 << 20, interleaves: true},
	{name: "firefox-usrsctp", start: dataBrowser(firefoxUsrsctp), takes: 1073741823, sends: dataLargest, interleaves: true},
	{name: "werift", takes: 65536, sends: 65536, mute: true, ordersPartial: true, start: dataProgram(func(t *testing.T) []string {
		return []string{npm(t, "werift"), "peers/data_werift.mjs"}
	})},
	{name: "libdatachannel", takes: dataLargest, sends: dataLargest, silent: true, zeroChecksum: true, start: dataProgram(func(t *testing.T) []string {
		return []string{npm(t, "node-datachannel"), "peers/data_libdatachannel.mjs"}
	})},
	{name: "aiortc", takes: 65536, sends: 65536, start: dataProgram(func(t *testing.T) []string {
		return []string{python(t, "import aiortc", "apt-get install python3-aiortc"), "peers/data_aiortc.py"}
	})},
	{name: "gstreamer", takes: 65536, sends: 65536, mute: true, start: dataProgram(func(t *testing.T) []string {
		return []string{python(t, gstreamerModules, gstreamerInstall), "peers/data_gstreamer.py"}
	})},
}

const (
	gstreamerInstall = "apt-get install python3-gi gir1.2-gst-plugins-bad-1.0 gstreamer1.0-plugins-good gstreamer1.0-plugins-bad gstreamer1.0-nice"
	gstreamerModules = "import gi; gi.require_version('GstWebRTC', '1.0'); from gi.repository import Gst, GstWebRTC, GstSdp; Gst.init(None)\n" +
		"for e in 'webrtcbin nicesrc dtlsenc sctpenc'.split(): assert Gst.ElementFactory.find(e), e"
)

// TestDataChannels has each peer do everything that data channels are.
func TestDataChannels(t *testing.T) {
	for i := range dataPeers {
		p := &dataPeers[i]
		t.Run(p.name, func(t *testing.T) { p.test(t) })
	}
}
