package dataplane

import (
	"bytes"
	"testing"
	"time"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/sctp"
	"github.com/sluicertc/sluice/srtp"
)

// association is a pair of transports of one rig that are each other's peers,
// with data channels between them.
type association struct {
	r      *rig
	ends   [2]*peer
	events [2][]ChannelEvent
}

// channelEndpoint notes channel events.
type channelEndpoint struct {
	endpoint
	events *[]ChannelEvent
}

func (e *channelEndpoint) HandleChannel(_ mono.Time, ev ChannelEvent) {
	*e.events = append(*e.events, ev)
}

func (r *rig) associate() *association {
	a := &association{r: r}
	records := shakeHands(r.t, r.now)
	for i := range a.ends {
		p := r.newPeer(0, srtp.AEAD_AES_128_GCM)
		p.tr.endpoint = &channelEndpoint{events: &a.events[i]}
		p.tr.SetRecords(records[i])
		p.tr.SetChannels(sctp.NewChannels(sctp.Config{Budget: r.e.shards[0].channelMemory}, i == 0))
		a.ends[i] = p
	}
	a.pass(500 * time.Millisecond)
	return a
}

// carry takes datagrams from each end to the other. lose, if set, tells which
// to lose, and may change or add some.
func (a *association) carry(lose func(from int, b []byte) [][]byte) (carried int) {
	for i, p := range a.ends {
		var batch [][]byte
		for _, b := range a.r.take(p.addr) {
			if lose == nil {
				batch = append(batch, b)
			} else {
				batch = append(batch, lose(i, b)...)
			}
		}
		carried += len(batch)
		if len(batch) > 0 {
			a.r.deliver(0, a.ends[1-i].addr, batch...)
		}
	}
	return carried
}

func (a *association) pass(d time.Duration) {
	for end := a.r.now.Add(d); a.r.now < end; a.r.now = a.r.now.Add(time.Millisecond) {
		a.r.step()
		a.carry(nil)
	}
}

// shakeHands gives the records of a client and a server that have shaken hands.
func shakeHands(t testing.TB, now mono.Time) (records [2]*dtls.Records) {
	t.Helper()
	var conns [2]*dtls.Conn
	for i, role := range []dtls.Role{dtls.Client, dtls.Server} {
		cert, err := dtls.GenerateCertificate(time.Unix(1700000000, 0))
		if err != nil {
			t.Fatal(err)
		}
		conns[i], err = dtls.New(dtls.Config{Role: role, Certificate: cert, VerifyPeer: func([]byte) error { return nil }})
		if err != nil {
			t.Fatal(err)
		}
		conns[i].Start(now)
	}
	buf := make([]byte, 2048)
	for range 10 {
		for i, c := range conns {
			for n := c.Transmit(now, buf); n > 0; n = c.Transmit(now, buf) {
				_ = conns[1-i].HandlePacket(now, bytes.Clone(buf[:n]))
			}
		}
	}
	for i, c := range conns {
		if records[i] = c.Records(); records[i] == nil {
			t.Fatalf("end %d did not connect", i)
		}
	}
	return records
}

func newMeter(t *testing.T) *Meter { return &Meter{Failed: func(err error) { t.Error(err) }} }

func (a *association) open(t *testing.T) uint16 {
	t.Helper()
	var id uint16
	a.ends[0].tr.Channels(func(c *sctp.Channels, now mono.Time) {
		var err error
		if id, err = c.Open(now, sctp.ChannelParams{Label: "x"}); err != nil {
			t.Error(err)
		}
	})
	a.pass(20 * time.Millisecond)
	return id
}

func (a *association) messages(end int) (list [][]byte) {
	for _, ev := range a.events[end] {
		if ev.Kind == sctp.ChannelMessage {
			list = append(list, ev.Data)
		}
	}
	return list
}

func TestBulkOfAChannelLeavesInSegmentedRuns(t *testing.T) {
	r := newRig(t, 1)
	a := r.associate()
	id := a.open(t)
	before := r.conns[0].runs
	msg := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	a.ends[0].tr.Send(newMeter(t), id, false, msg)
	a.pass(200 * time.Millisecond)
	if got := a.messages(1); len(got) != 1 || !bytes.Equal(got[0], msg) {
		t.Fatalf("%d messages", len(got))
	}
	if n := r.conns[0].runs - before; n == 0 {
		t.Error("64 KiB left packet by packet")
	}
}

// Records of one read are opened together: forged, repeated and short ones
// among them are dropped, each by itself, and the rest keeps its order.
func TestRecordsOfOneReadAreJudgedOneByOne(t *testing.T) {
	r := newRig(t, 1)
	a := r.associate()
	id := a.open(t)
	const n = 40
	for i := range n {
		a.ends[0].tr.Send(newMeter(t), id, false, bytes.Repeat([]byte{byte(i)}, 1000))
	}
	before := r.drops(DropRecord)
	bad := 0
	for range 300 {
		r.step()
		a.carry(func(from int, b []byte) [][]byte {
			if from != 0 {
				return [][]byte{b}
			}
			bad += 3
			forged := bytes.Clone(b)
			forged[len(forged)-1] ^= 1
			short := []byte{23, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 9, 0, 4, 1, 2, 3, 4}
			return [][]byte{forged, b, short, b}
		})
		r.now = r.now.Add(time.Millisecond)
	}
	got := a.messages(1)
	if len(got) != n {
		t.Fatalf("%d messages of %d", len(got), n)
	}
	for i, m := range got {
		if len(m) != 1000 || m[0] != byte(i) || m[999] != byte(i) {
			t.Fatalf("message %d is another", i)
		}
	}
	if d := r.drops(DropRecord) - before; d != uint64(bad) {
		t.Errorf("%d records dropped, %d were bad", d, bad)
	}
}

func TestEngineCountsItsAssociations(t *testing.T) {
	a := newRig(t, 1).associate()
	var id uint16
	a.ends[0].tr.Channels(func(c *sctp.Channels, now mono.Time) {
		var err error
		if id, err = c.Open(now, sctp.ChannelParams{Label: "x"}); err != nil {
			t.Error(err)
		}
	})
	a.pass(10 * time.Millisecond)
	send := func() {
		m := newMeter(t)
		a.ends[0].tr.Send(m, id, false, make([]byte, 1000))
		a.pass(2 * countInterval)
		a.ends[0].tr.Channels(func(*sctp.Channels, mono.Time) {}) // counts what came since
		a.pass(10 * time.Millisecond)
	}
	send()
	st := a.r.e.Stats().Channels
	if st.Associations != 2 || st.BytesSent < 1000 || st.BytesReceived != st.BytesSent || st.PacketsSent == 0 || st.PacketsReceived == 0 ||
		st.SRTT <= 0 || st.CWND <= 0 || st.PeerWindow <= 0 || st.MTU < 2000 || st.Retransmissions != 0 {
		t.Fatalf("%+v", st)
	}
	send()
	for _, p := range a.ends {
		p.tr.Close(nil)
	}
	a.r.step()
	st = a.r.e.Stats().Channels
	if st.Associations != 0 || st.SRTT != 0 || st.CWND != 0 || st.PeerWindow != 0 || st.MTU != 0 || st.BytesSent < 2000 || st.BytesReceived != st.BytesSent {
		t.Fatalf("after the end: %+v", st)
	}
}

func TestEndpointIsToldThatKeysAreNearlyUsedUp(t *testing.T) {
	a := newRig(t, 1).associate()
	p := a.ends[0]
	ep := p.tr.endpoint.(*channelEndpoint)
	told := func() (n int) {
		for _, typ := range ep.types {
			if typ == dtls.KeyLimitNear {
				n++
			}
		}
		return n
	}
	a.pass(3 * reportInterval)
	if told() != 0 {
		t.Fatal("fresh keys are reported")
	}
	ask := func(want int) {
		t.Helper()
		p.tr.shard.Post(func(_ *Shard, now mono.Time) { p.tr.askForKeys(now) })
		a.r.step()
		if told() != want {
			t.Fatalf("told %d times, not %d", told(), want)
		}
	}
	ask(1)
	ask(1)
	a.pass(keyInterval)
	ask(2)
}

// Memory that all associations share may be gone when a message comes: it waits
// and arrives, in its place, and the channel's end does behind it.
func TestMessagesWaitForMemory(t *testing.T) {
	r := newRig(t, 1)
	r.e.shards[0].channelMemory = sctp.NewBudget(0)
	a := r.associate()
	id := a.open(t)
	a.pass(20 * time.Millisecond)
	m := newMeter(t)
	const messages, size = 40, 60000
	for i := range messages {
		a.ends[0].tr.Send(m, id, false, bytes.Repeat([]byte{byte(i)}, size))
	}
	a.ends[0].tr.CloseChannel(id)
	a.r.step()
	if n := len(a.ends[0].tr.chans.waiting); n == 0 || m.Buffered() < messages*size/2 {
		t.Fatalf("%d messages wait, %d bytes are buffered", n, m.Buffered())
	}
	got, closed := 0, 0
	for range 200 {
		a.events[1] = nil
		a.pass(10 * time.Millisecond)
		for _, ev := range a.events[1] {
			if ev.Kind == sctp.ChannelClosed {
				closed++
			}
			if ev.Kind != sctp.ChannelMessage {
				continue
			}
			if closed > 0 || len(ev.Data) != size || ev.Data[0] != byte(got) {
				t.Fatalf("message %d: %d bytes of %d", got, len(ev.Data), ev.Data[0])
			}
			got++
			a.ends[1].tr.Channels(func(c *sctp.Channels, _ mono.Time) { c.Consume(ev.ID, size) })
		}
	}
	if got != messages || closed != 1 || m.Buffered() != 0 || len(a.ends[0].tr.chans.waiting) != 0 {
		t.Fatalf("%d of %d messages came, %d bytes are buffered, closed %d times", got, messages, m.Buffered(), closed)
	}
}

// The association looks for the path's MTU with long packets, which IP must
// not cut; what fits is found and used.
func TestProbesOfThePathAreSentWhole(t *testing.T) {
	const most = 1300 // bytes of a datagram that the path takes
	a := newRig(t, 1).associate()
	id := a.open(t)
	a.pass(20 * time.Millisecond)
	probes, longest, m := 0, 0, newMeter(t)
	for i := range 4000 { // of 5 ms
		if i%20 == 0 {
			a.ends[0].tr.Send(m, id, false, make([]byte, 20_000))
		}
		a.r.step()
		for _, m := range a.r.conns[0].sent {
			if m.Whole {
				probes++
			} else {
				longest = max(longest, len(m.Buf))
			}
		}
		a.carry(func(_ int, b []byte) [][]byte {
			if len(b) > most {
				return nil
			}
			return [][]byte{b}
		})
		for _, ev := range a.events[1] {
			if ev.Kind == sctp.ChannelMessage {
				a.ends[1].tr.Channels(func(c *sctp.Channels, _ mono.Time) { c.Consume(ev.ID, len(ev.Data)) })
			}
		}
		a.events[1] = nil
		a.r.now = a.r.now.Add(5 * time.Millisecond)
	}
	if probes == 0 || longest <= 1200 || longest > most || m.Buffered() != 0 {
		t.Fatalf("%d probes, packets of up to %d bytes of %d, %d bytes are buffered, %+v", probes, longest, most, m.Buffered(), a.r.e.Stats().Channels)
	}
}
