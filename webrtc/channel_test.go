package webrtc

import (
	"encoding/binary"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// linked is a connected couple, a's first channel open.
func linked(t testing.TB) (a, b *PeerConnection, dc, peer *DataChannel) {
	t.Helper()
	a, b = couple(t)
	dc, peer = link(t, a, b, "first", nil)
	return a, b, dc, peer
}

// link opens one channel from a to b and negotiates where that is needed.
func link(t testing.TB, a, b *PeerConnection, label string, init *DataChannelInit) (dc, peer *DataChannel) {
	t.Helper()
	incoming := make(chan *DataChannel, 1)
	b.OnDataChannel(func(dc *DataChannel) {
		if dc.Label() == label {
			incoming <- dc
		}
	})
	dc = must(a.CreateDataChannel(label, init))(t)
	open := opened(dc)
	if a.dataSectionNegotiated() == nil {
		negotiate(t, a, b, nil)
	}
	await(t, "open", open)
	return dc, await(t, "incoming channel", incoming)
}

func (pc *PeerConnection) dataSectionNegotiated() (s *section) {
	_ = pc.do(func(monoTime) error {
		if pc.currentLocal != nil {
			s = pc.dataSection()
		}
		return nil
	})
	return s
}

func opened(dc *DataChannel) <-chan struct{} {
	c := make(chan struct{}, 8)
	dc.OnOpen(func() { c <- struct{}{} })
	return c
}

func closedOf(dc *DataChannel) <-chan struct{} {
	c := make(chan struct{}, 8)
	dc.OnClose(func() { c <- struct{}{} })
	return c
}

func TestChannelParametersReachThePeer(t *testing.T) {
	a, b, _, _ := linked(t)
	u := func(n uint16) *uint16 { return &n }
	for _, init := range []DataChannelInit{
		{},
		{Unordered: true},
		{MaxRetransmits: u(0)},
		{MaxRetransmits: u(65535), Unordered: true},
		{MaxPacketLifeTime: u(0), Unordered: true},
		{MaxPacketLifeTime: u(1500), Protocol: "proto/1"},
		{Priority: PriorityHigh, Protocol: "протокол"},
		{Priority: PriorityVeryLow},
		{ID: u(1000)},
	} {
		for _, label := range []string{"", "plain", "日本語 🎛️ \x00\r\n", strings.Repeat("é", 30000)} {
			dc, in := link(t, a, b, label, &init)
			if in.Label() != label || in.Protocol() != init.Protocol || in.Ordered() == init.Unordered || in.Negotiated() {
				t.Errorf("%+v: %.20q %q ordered %v", init, in.Label(), in.Protocol(), in.Ordered())
			}
			same := func(x, y *uint16) bool { return x == nil && y == nil || x != nil && y != nil && *x == *y }
			if !same(in.MaxRetransmits(), init.MaxRetransmits) || !same(in.MaxPacketLifeTime(), init.MaxPacketLifeTime) {
				t.Errorf("%+v arrives with other limits", init)
			}
			id, ok := dc.ID()
			if other, ok2 := in.ID(); !ok || !ok2 || id != other || init.ID != nil && id != *init.ID {
				t.Errorf("ids %d and %d", id, other)
			}
			echo(t, b, dc)
			done := closedOf(dc)
			if err := dc.Close(); err != nil {
				t.Fatal(err)
			}
			await(t, "close", done)
		}
	}
}

func TestChannelArgumentsOutOfRange(t *testing.T) {
	a, _, dc, _ := linked(t)
	u := func(n uint16) *uint16 { return &n }
	bad := func(want error, label string, init *DataChannelInit) {
		t.Helper()
		if _, err := a.CreateDataChannel(label, init); !errors.Is(err, want) {
			t.Errorf("%.20q %+v: %v", label, init, err)
		}
	}
	bad(ErrType, strings.Repeat("x", 65536), nil)
	bad(ErrType, "", &DataChannelInit{Protocol: strings.Repeat("x", 65536)})
	bad(ErrType, "\xff", nil)
	bad(ErrType, "", &DataChannelInit{MaxPacketLifeTime: u(1), MaxRetransmits: u(1)})
	bad(ErrType, "", &DataChannelInit{Negotiated: true})
	bad(ErrType, "", &DataChannelInit{Negotiated: true, ID: u(65535)})
	must(a.CreateDataChannel("", &DataChannelInit{Negotiated: true, ID: u(77)}))(t)
	bad(ErrOperation, "", &DataChannelInit{Negotiated: true, ID: u(77)})
	if err := dc.SendText("\xff\xfe"); !errors.Is(err, ErrType) {
		t.Errorf("text that is no UTF-8: %v", err)
	}
	if err := dc.Send(make([]byte, maxMessageSize+1)); !errors.Is(err, ErrType) {
		t.Errorf("message too long: %v", err)
	}
	closed := closedOf(dc)
	if err := dc.Close(); err != nil {
		t.Fatal(err)
	}
	if err := dc.Send(nil); !errors.Is(err, ErrInvalidState) {
		t.Errorf("send while closing: %v", err)
	}
	await(t, "close", closed)
	if err := errors.Join(dc.Close(), dc.Close()); err != nil {
		t.Errorf("close again: %v", err)
	}
	if err := dc.Send(nil); !errors.Is(err, ErrInvalidState) {
		t.Errorf("send after close: %v", err)
	}
	a.Close()
	bad(ErrInvalidState, "late", nil)
}

func TestSendBeforeOpenIsRefused(t *testing.T) {
	a := newPC(t, Config{Engine: newEngine(t, 1)})
	dc := must(a.CreateDataChannel("x", nil))(t)
	if err := dc.Send([]byte("x")); !errors.Is(err, ErrInvalidState) {
		t.Error(err)
	}
	if _, ok := dc.ID(); ok || dc.ReadyState() != DataChannelConnecting {
		t.Error("an unnegotiated channel has an id")
	}
	done := closedOf(dc)
	if err := dc.Close(); err != nil {
		t.Fatal(err)
	}
	await(t, "close of a channel that never opened", done)
}

func TestNegotiatedChannelsMeetById(t *testing.T) {
	a, b := couple(t)
	id, far := uint16(42), uint16(65534)
	var all [2][2]*DataChannel
	for i, pc := range []*PeerConnection{a, b} {
		for k, id := range []*uint16{&id, &far} {
			all[i][k] = must(pc.CreateDataChannel("n", &DataChannelInit{Negotiated: true, ID: id}))(t)
		}
		pc.OnDataChannel(func(*DataChannel) { t.Error("a negotiated channel is announced") })
	}
	var opens []<-chan struct{}
	for i := range all {
		for k := range all[i] {
			opens = append(opens, opened(all[i][k]))
		}
	}
	negotiate(t, a, b, nil)
	for _, o := range opens {
		await(t, "open", o)
	}
	for k := range 2 {
		echo(t, b, all[0][k])
		echo(t, a, all[1][k])
	}
	done := closedOf(all[1][0])
	all[0][0].Close()
	await(t, "close", done)
}

func TestOnOpenIsCalledOnceHoweverLateItIsSet(t *testing.T) {
	a, b := couple(t)
	var n atomic.Int32
	heard := make(chan struct{}, 1)
	b.OnDataChannel(func(dc *DataChannel) {
		dc.OnOpen(func() { n.Add(1) })
		heard <- struct{}{}
	})
	dc := must(a.CreateDataChannel("x", nil))(t)
	open := opened(dc)
	negotiate(t, a, b, nil)
	await(t, "open", open)
	await(t, "channel", heard)
	// The lane announces the channel first, and then that it is open.
	if err := b.do(func(monoTime) error { return nil }); err != nil {
		t.Fatal(err)
	}
	settled(t, a)
	settled(t, b)
	settled(t, b) // what a handler queued
	if n.Load() != 1 || len(open) != 0 {
		t.Errorf("OnOpen called %d times by the answerer, %d more by the offerer", n.Load(), len(open))
	}
}

func TestThousandChannels(t *testing.T) {
	n := 1000
	if testing.Short() {
		n = 100
	}
	a, b := couple(t)
	var echoes atomic.Int32
	all := make(chan struct{})
	b.OnDataChannel(func(dc *DataChannel) {
		dc.OnMessage(func(m Message) {
			if string(m.Data) != dc.Label() {
				t.Errorf("%q on %q", m.Data, dc.Label())
			}
			if int(echoes.Add(1)) == n {
				close(all)
			}
		})
	})
	list := make([]*DataChannel, n)
	for i := range list {
		dc := must(a.CreateDataChannel(fmt.Sprint("channel ", i), nil))(t)
		dc.OnOpen(func() {
			if err := dc.SendText(dc.Label()); err != nil {
				t.Error(err)
			}
		})
		list[i] = dc
	}
	negotiate(t, a, b, nil)
	await(t, "messages", all)
	ids := map[uint16]bool{}
	for _, dc := range list {
		id, _ := dc.ID()
		if ids[id] {
			t.Fatalf("id %d twice", id)
		}
		ids[id] = true
	}
	done := make(chan struct{}, n)
	for i, dc := range list {
		dc.OnClose(func() { done <- struct{}{} })
		if i%2 == 0 {
			dc.Close()
		}
	}
	for i := range n / 2 {
		await(t, fmt.Sprint("close ", i), done)
	}
	if got := len(channelsOf(a)); got != n/2 {
		t.Errorf("%d channels are left", got)
	}
	echo(t, b, list[1])
}

func channelsOf(pc *PeerConnection) (list []*DataChannel) {
	_ = pc.do(func(monoTime) error {
		for _, dc := range pc.channels {
			list = append(list, dc)
		}
		return nil
	})
	return list
}

func TestLargestMessageOfThePeerIsHonoured(t *testing.T) {
	for _, c := range []struct {
		line string
		most int
	}{{"a=max-message-size:1000\r", 1000}, {"a=x-none\r", 65536}, {"a=max-message-size:100000000\r", maxWhole}, {"a=max-message-size:0\r", maxWhole}} {
		a, b := couple(t)
		dc := must(a.CreateDataChannel("x", nil))(t)
		open := opened(dc)
		if err := a.SetLocalDescription(SessionDescription{}); err != nil {
			t.Fatal(err)
		}
		if err := b.SetRemoteDescription(a.LocalDescription()); err != nil {
			t.Fatal(err)
		}
		if err := b.SetLocalDescription(SessionDescription{}); err != nil {
			t.Fatal(err)
		}
		answer := b.LocalDescription()
		answer.SDP = regexp.MustCompile(`(?m)^a=max-message-size.*\r$`).ReplaceAllString(answer.SDP, c.line)
		if err := a.SetRemoteDescription(answer); err != nil {
			t.Fatal(err)
		}
		await(t, "open", open)
		if err := dc.Send(make([]byte, c.most+1)); !errors.Is(err, ErrType) {
			t.Errorf("%s: a byte more: %v", c.line, err)
		}
		if c.most <= maxMessageSize {
			if err := dc.Send(make([]byte, c.most)); err != nil {
				t.Errorf("%s: %v", c.line, err)
			}
			echo(t, b, dc)
		}
	}
}

func TestBufferedAmountRisesAndFallsAndTellsAtTheThreshold(t *testing.T) {
	a, _, dc, peer := linked(t)
	low := make(chan int64, 100)
	dc.SetBufferedAmountLowThreshold(300000)
	if dc.BufferedAmountLowThreshold() != 300000 {
		t.Error(dc.BufferedAmountLowThreshold())
	}
	dc.OnBufferedAmountLow(func() { low <- dc.BufferedAmount() })
	// The peer does not read yet, so that its window closes.
	msg := make([]byte, 100000)
	sent := int64(0)
	for {
		err := dc.Send(msg)
		if errors.Is(err, ErrOperation) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		sent += int64(len(msg))
		if sent > maxBuffered+8<<20 {
			t.Fatal("the buffer has no bound")
		}
	}
	if n := dc.BufferedAmount(); n > maxBuffered || n < maxBuffered/2 {
		t.Errorf("%d bytes are buffered", n)
	}
	// While the window was open, the amount may have gone up and down.
	if err := a.do(func(monoTime) error { return nil }); err != nil {
		t.Fatal(err)
	}
	settled(t, a)
	for len(low) > 0 {
		<-low
	}
	var got atomic.Int64
	all := make(chan struct{})
	peer.OnMessage(func(m Message) {
		if got.Add(int64(len(m.Data))) == sent {
			close(all)
		}
	})
	if n := await(t, "low buffer", low); n > 300000 {
		t.Errorf("told at %d bytes", n)
	}
	await(t, "everything", all)
	for end := time.Now().Add(patience); dc.BufferedAmount() != 0; tick() {
		if time.Now().After(end) {
			t.Fatalf("%d bytes stay buffered", dc.BufferedAmount())
		}
	}
	if len(low) != 0 {
		t.Error("told twice")
	}
}

func TestMessagesBeforeCloseArrive(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 4
	}
	a, b, _, _ := linked(t)
	for round := range rounds {
		dc, in := link(t, a, b, "burst", nil)
		const n = 300
		next := uint32(0)
		closed := make(chan struct{})
		in.OnMessage(func(m Message) {
			if got := binary.BigEndian.Uint32(m.Data); got != next {
				t.Errorf("%d, not %d", got, next)
			}
			next++
		})
		in.OnClose(func() { close(closed) })
		for i := range uint32(n) {
			if err := dc.Send(append(binary.BigEndian.AppendUint32(nil, i), make([]byte, 500)...)); err != nil {
				t.Fatal(err)
			}
		}
		dc.Close()
		await(t, "close", closed)
		if next != n {
			t.Fatalf("round %d: %d messages of %d", round, next, n)
		}
	}
}

func TestChannelClosedByEitherSideOrBoth(t *testing.T) {
	rounds := 20
	if testing.Short() {
		rounds = 4
	}
	a, b, _, _ := linked(t)
	for range rounds {
		for _, by := range []string{"opener", "peer", "both", "opener at once"} {
			if by == "opener at once" {
				dc := must(a.CreateDataChannel("brief", nil))(t)
				done := closedOf(dc)
				dc.Close()
				await(t, "close of a channel without an id", done)
				continue
			}
			dc, in := link(t, a, b, by, nil)
			ca, cb := closedOf(dc), closedOf(in)
			dc.OnError(func(err error) { t.Error(err) })
			in.OnError(func(err error) { t.Error(err) })
			if by != "peer" {
				dc.Close()
			}
			if by != "opener" {
				in.Close()
			}
			await(t, "close at the opener", ca)
			await(t, "close at the peer", cb)
			if dc.ReadyState() != DataChannelClosed || in.ReadyState() != DataChannelClosed {
				t.Errorf("%s: %v, %v", by, dc.ReadyState(), in.ReadyState())
			}
		}
	}
	if n := len(channelsOf(a)); n != 1 {
		t.Errorf("%d channels", n)
	}
	if err := a.do(func(monoTime) error {
		if n := len(a.starting); n != 0 {
			t.Errorf("%d channels are starting", n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

func TestClosingTheConnectionEndsEveryChannelHoweverYoung(t *testing.T) {
	a, b, dc, in := linked(t)
	young := must(a.CreateDataChannel("young", nil))(t)
	var list []<-chan struct{}
	for _, c := range []*DataChannel{dc, in, young} {
		list = append(list, closedOf(c))
	}
	conn := in.Detach()
	a.Close()
	for i, c := range list {
		await(t, fmt.Sprint("close ", i), c)
	}
	if _, err := conn.Read(make([]byte, 1)); err == nil {
		t.Error("a read succeeds")
	}
	await(t, "end of the peer", b.Done())
}

func TestPrioritiesShareTheAssociation(t *testing.T) {
	a, b, _, _ := linked(t)
	high, hIn := link(t, a, b, "high", &DataChannelInit{Priority: PriorityHigh})
	low, lIn := link(t, a, b, "low", &DataChannelInit{Priority: PriorityVeryLow})
	var order []string
	done := make(chan struct{})
	const n = 200
	count := func(name string) func(Message) {
		return func(Message) {
			order = append(order, name)
			if len(order) == 2*n {
				close(done)
			}
		}
	}
	hIn.OnMessage(count("h"))
	lIn.OnMessage(count("l"))
	msg := make([]byte, 10000)
	for range n {
		if err := errors.Join(low.Send(msg), high.Send(msg)); err != nil {
			t.Fatal(err)
		}
	}
	await(t, "messages", done)
	if i := slices.Index(order, "h"); i < 0 {
		t.Fatal("nothing of high priority")
	}
	last := func(name string) int {
		for i := len(order) - 1; ; i-- {
			if order[i] == name {
				return i
			}
		}
	}
	if last("h") > last("l") {
		t.Error("what has priority ends last")
	}
}
