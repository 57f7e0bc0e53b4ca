package sctp

import (
	"errors"
	"fmt"
	"testing"
	"time"
)

// unorderedPending is how the last message queued on a stream will leave.
func (p *dcPair) unorderedPending(i int, id uint16) bool {
	s := p.c[i].assoc.tx.streams[id]
	if s == nil || s.queue.len() == 0 {
		p.t.Fatal("nothing is queued")
	}
	return (*s.queue.at(s.queue.len() - 1)).unordered
}

// RFC 8832 §6: data may follow the OPEN at once, so the channel is open.
func TestChannelIsOpenBeforeItsAck(t *testing.T) {
	ab, ba := plain()
	ab.Delay, ba.Delay = 50*time.Millisecond, 50*time.Millisecond
	for _, interleave := range []bool{false, true} {
		p := newChannelPair(t, Config{Interleave: interleave}, ab, ba).connect()
		p.Sleep(time.Second)
		began := p.Now
		id := p.open(0, ChannelParams{Label: "x"})
		p.Drain(0)
		if p.count(0, ChannelReady, id) != 1 {
			t.Fatalf("not open: %v", p.ev[0])
		}
		p.send(0, id, true, "at once")
		if !p.Run(time.Second, func() bool { return len(p.got[1]) == 1 }) {
			t.Fatal("no message")
		}
		if d := p.Now.Sub(began); d != ab.Delay {
			t.Errorf("the message took %v", d)
		}
		if p.count(1, ChannelOpened, id) != 1 {
			t.Error("a message before its channel")
		}
		p.Sleep(time.Second)
		if p.count(0, ChannelReady, id) != 1 || p.count(0, ChannelClosed, id) != 0 {
			t.Errorf("after the ACK: %v", p.ev[0])
		}
	}
}

// RFC 8832 §6: messages leave in order until the ACK, or a message, has come.
func TestUnorderedChannelIsOrderedUntilThePeerKnowsIt(t *testing.T) {
	for _, answer := range []string{"ack", "message"} {
		t.Run(answer, func(t *testing.T) {
			ab, ba := plain()
			p := newChannelPair(t, Config{}, ab, ba).connect()
			id := p.open(0, ChannelParams{Unordered: true})
			p.send(0, id, true, "early")
			if p.unorderedPending(0, id) {
				t.Fatal("it may overtake the OPEN")
			}
			if answer == "message" {
				// The ACK is a message like others, and as likely to be lost.
				p.Run(time.Second, func() bool { return p.count(1, ChannelOpened, id) == 1 })
				p.c[0].channels[id].acked = false
				p.send(0, id, true, "still early")
				if p.unorderedPending(0, id) {
					t.Fatal("neither ACK nor message has come")
				}
				p.send(1, id, true, "hello")
				p.Run(time.Second, func() bool { return len(p.got[0]) == 1 })
			} else {
				p.Sleep(time.Second)
			}
			p.send(0, id, true, "late")
			if !p.unorderedPending(0, id) {
				t.Error("still in order")
			}
		})
	}
}

// The packet with the OPEN is lost, what was sent behind it is not: it waits,
// and whatever the channel promises, the beginning is in order.
func TestMessagesBehindALostOpenWaitForIt(t *testing.T) {
	for _, params := range []ChannelParams{
		{}, {Unordered: true}, {Unordered: true, MaxRetransmits: ptr(0)}, {MaxPacketLifeTime: ptr(1)},
	} {
		for _, interleave := range []bool{false, true} {
			t.Run(fmt.Sprint(params.Unordered, params.MaxRetransmits != nil, params.MaxPacketLifeTime != nil, interleave), func(t *testing.T) {
				ab, ba := plain()
				p := newChannelPair(t, Config{Interleave: interleave}, ab, ba).connect()
				p.Sleep(time.Second)
				p.Links[0].SetDown(true)
				id := p.open(0, params)
				p.Flush()
				p.Links[0].SetDown(false)
				const n = 5
				for i := range n {
					p.send(0, id, true, fmt.Sprint(i))
					p.Flush()
				}
				p.Sleep(30 * time.Second)
				if p.count(1, ChannelOpened, id) != 1 || p.c[1].unwanted != 0 {
					t.Fatalf("%v, %d messages of no channel", p.ev[1], p.c[1].unwanted)
				}
				if len(p.got[1]) != n {
					t.Fatalf("%d messages", len(p.got[1]))
				}
				for i, m := range p.got[1] {
					if string(m.Data) != fmt.Sprint(i) {
						t.Errorf("%q came as number %d", m.Data, i)
					}
				}
			})
		}
	}
}

// The peer closes a channel whose OPEN it has just got: what was sent is lost,
// which ChannelClosed says, and the id may be used again.
func TestPeerRefusesAChannelThatIsInUse(t *testing.T) {
	ab, ba := plain()
	p := newChannelPair(t, Config{}, ab, ba).connect()
	p.c[1].names = maxRemoteNames
	id := p.open(0, ChannelParams{Label: "x", ID: ptr(10)})
	for range 20 {
		p.send(0, id, true, "in vain")
	}
	if !p.Run(5*time.Second, func() bool { return p.count(0, ChannelClosed, id) == 1 }) {
		t.Fatal("not closed")
	}
	if p.count(0, ChannelReady, id) != 1 || p.count(0, ChannelClosing, id) != 1 || p.find(0, ChannelClosed, id).Err != ErrChannelRefused {
		t.Errorf("%v", p.ev[0])
	}
	if len(p.got[1]) != 0 || p.c[1].assoc.rx.data.bytes != 0 {
		t.Errorf("%d messages, %d bytes are held", len(p.got[1]), p.c[1].assoc.rx.data.bytes)
	}
	if err := p.c[0].Send(p.Now, id, true, []byte("x")); !errors.Is(err, ErrNoChannel) {
		t.Error(err)
	}
	p.c[1].names = 0
	p.ev = [2][]ChannelEvent{}
	p.open(0, ChannelParams{Label: "x", ID: ptr(10)})
	p.send(0, id, true, "again")
	if !p.Run(5*time.Second, func() bool { return len(p.got[1]) == 1 && p.c[0].channels[id].acked }) {
		t.Errorf("%v %v", p.ev[0], p.ev[1])
	}
}

// A channel that is closed before the ACK closes in order, everything sent
// before it delivered.
func TestChannelClosedBeforeItsAckDeliversEverything(t *testing.T) {
	for _, lose := range []bool{false, true} {
		ab, ba := plain()
		p := newChannelPair(t, Config{}, ab, ba).connect()
		p.Links[0].SetDown(lose)
		id := p.open(0, ChannelParams{Unordered: true})
		p.send(0, id, true, "last words")
		p.c[0].Close(p.Now, id)
		p.Flush()
		p.Links[0].SetDown(false)
		if !p.Run(20*time.Second, func() bool { return p.count(0, ChannelClosed, id) == 1 && p.count(1, ChannelClosed, id) == 1 }) {
			t.Fatalf("%v %v", p.ev[0], p.ev[1])
		}
		if len(p.got[1]) != 1 || p.find(0, ChannelClosed, id).Err != nil || p.find(1, ChannelClosed, id).Err != nil {
			t.Errorf("%d messages, %v %v", len(p.got[1]), p.ev[0], p.ev[1])
		}
	}
}

// No id is left: it is the channel that fails, at once, and the others stay.
func TestChannelWithoutAnIDIsNeverOpen(t *testing.T) {
	ab, ba := plain()
	p := newChannelPair(t, Config{MaxStreams: 2}, ab, ba).connect()
	id := p.open(0, ChannelParams{})
	if _, err := p.c[0].Open(p.Now, ChannelParams{}); !errors.Is(err, ErrNoFreeChannel) {
		t.Fatal(err)
	}
	p.send(0, id, true, "x")
	if !p.Run(time.Second, func() bool { return len(p.got[1]) == 1 }) || p.count(0, ChannelReady, id) != 1 {
		t.Errorf("%v", p.ev[0])
	}
}
