package sctp

import (
	"fmt"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/netem"
)

// An open message is given up: before any of it has left, while it is on its
// way, and when all of it has arrived; ordered and not, with messages before it
// and after. Nothing of it may be taken for a message, and nothing else is lost.
func TestOpenMessageGivenUp(t *testing.T) {
	for seed := range uint64(30) {
		for _, wide := range []bool{false, true} {
			for _, unordered := range []bool{false, true} {
				for _, wait := range []time.Duration{0, 5 * time.Millisecond, 25 * time.Millisecond, 3 * time.Second} {
					name := fmt.Sprintf("seed %d, wide %v, unordered %v, after %v", seed, wide, unordered, wait)
					ab, ba := both(seed, netem.Config{Delay: 10 * time.Millisecond, Loss: .05})
					p := newPair(t, Config{Interleave: wide}, ab, ba).connect()
					p.a[1].SetParts(1, seed&1 == 1)
					opt := SendOptions{Unordered: unordered}
					p.write(0, 1, body(1, 5000), opt)
					for range 6 {
						must(t, p.a[0].WritePart(p.Now, 1, 53, make([]byte, 5000), true, opt))
					}
					p.write(0, 2, body(2, 2000), SendOptions{})
					p.Sleep(wait)
					must(t, p.a[0].AbortPart(p.Now, 1))
					if p.a[0].MessageOpen(1) {
						t.Fatalf("%s: still open", name)
					}
					must(t, p.a[0].AbortPart(p.Now, 1)) // nothing to give up
					p.write(0, 1, body(3, 5000), opt)
					p.Sleep(20 * time.Second)
					whole, open, aborted := 0, 0, p.count(1, EventMessageAborted)
					for _, e := range p.got[1] {
						open += len(e.Data)
						if e.More {
							continue
						}
						if open != 5000 && open != 2000 && aborted == 0 {
							t.Errorf("%s: a message of %d bytes", name, open)
						}
						open = 0
						whole++
					}
					if whole != 3 || aborted > 1 {
						t.Errorf("%s: %d messages, %d given up", name, whole, aborted)
					}
					p.idle()
				}
			}
		}
	}
}

// What is held for a reset can be given up, too, and the reset goes on.
func TestHeldOpenMessageGivenUp(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{}, ab, ba).connect()
	p.write(0, 1, body(1, 100), SendOptions{})
	must(t, p.a[0].ResetStreams(p.Now, []uint16{1}))
	p.write(0, 1, body(2, 100), SendOptions{})
	must(t, p.a[0].WritePart(p.Now, 1, 53, []byte("gone"), true, SendOptions{}))
	must(t, p.a[0].WritePart(p.Now, 1, 53, []byte("gone"), true, SendOptions{}))
	must(t, p.a[0].AbortPart(p.Now, 1))
	p.write(0, 1, body(3, 100), SendOptions{})
	p.Sleep(5 * time.Second)
	if len(p.got[1]) != 3 || p.count(0, EventResetDone) != 1 || p.a[0].BufferedAmount(1) != 0 {
		t.Errorf("%d messages, %d resets, %d buffered", len(p.got[1]), p.count(0, EventResetDone), p.a[0].BufferedAmount(1))
	}
	p.idle()
}

// A peer without RFC 3758 cannot be told that the rest will not come.
func TestOpenMessageIsNotGivenUpWithoutForwardTSN(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{}, ab, ba).connect()
	p.a[0].peer.forwardTSN = false
	must(t, p.a[0].WritePart(p.Now, 1, 53, make([]byte, 5000), true, SendOptions{}))
	must(t, p.a[0].AbortPart(p.Now, 1)) // nothing has left
	must(t, p.a[0].WritePart(p.Now, 1, 53, make([]byte, 5000), true, SendOptions{}))
	p.Sleep(time.Second)
	if err := p.a[0].AbortPart(p.Now, 1); err != ErrMessageOpen {
		t.Error(err)
	}
	must(t, p.a[0].WritePart(p.Now, 1, 53, []byte{1}, false, SendOptions{}))
	p.Sleep(time.Second)
	if len(p.got[1]) != 1 || len(p.got[1][0].Data) != 5001 {
		t.Errorf("%d messages", len(p.got[1]))
	}
}

// A channel that is closed by either side while a message is open closes.
func TestChannelClosesWithAnOpenMessage(t *testing.T) {
	for _, side := range []int{0, 1} {
		ab, ba := plain()
		p := newChannelPair(t, Config{}, ab, ba).connect()
		id, err := p.c[0].Open(p.Now, ChannelParams{Label: "file"})
		must(t, err)
		p.Sleep(time.Second)
		must(t, p.c[0].Send(p.Now, id, false, []byte("before")))
		must(t, p.c[0].SendPart(p.Now, id, false, make([]byte, 100_000), true))
		p.Sleep(15 * time.Millisecond)
		p.c[side].Close(p.Now, id)
		if !p.Run(time.Second, func() bool { return p.count(0, ChannelClosed, id) == 1 && p.count(1, ChannelClosed, id) == 1 }) {
			t.Fatalf("closed by %d: %v %v", side, p.ev[0], p.ev[1])
		}
		if len(p.got[1]) != 1 || string(p.got[1][0].Data) != "before" {
			t.Errorf("closed by %d: %d messages", side, len(p.got[1]))
		}
	}
}

// Config.ReadParts has messages in parts from the first on, even where they
// overtake the OPEN; it is taken whole itself.
func TestAllStreamsInParts(t *testing.T) {
	for seed := range uint64(10) {
		ab, ba := both(seed, netem.Config{Delay: 10 * time.Millisecond, Loss: .1})
		cfg := Config{ReadParts: true, MaxMessageSize: 16 << 10, MaxSendMessageSize: 4 << 20, Interleave: seed&1 == 1}
		p := newChannelPair(t, cfg, ab, ba).connect()
		label := string(make([]byte, 10_000))
		for round := range 2 { // the second has an id which was used before
			id, err := p.c[0].Open(p.Now, ChannelParams{Label: label, ID: ptr(4)})
			must(t, err)
			must(t, p.c[0].Send(p.Now, id, false, make([]byte, 1<<20)))
			n, parts := 0, 0
			if !p.Run(time.Minute, func() bool {
				for _, e := range p.got[1] {
					n += len(e.Data)
					parts++
				}
				p.got[1] = nil
				return n == 1<<20
			}) {
				t.Fatalf("seed %d, round %d: %d bytes, %v", seed, round, n, p.ev[1])
			}
			if e := p.find(1, ChannelOpened, id); e == nil || e.Params.Label != label || parts < 5 {
				t.Errorf("seed %d: %+v, %d parts", seed, e, parts)
			}
			p.ev[0], p.ev[1] = nil, nil
			p.c[round].Close(p.Now, id)
			p.Run(10*time.Second, func() bool { return p.count(0, ChannelClosed, id) == 1 && p.count(1, ChannelClosed, id) == 1 })
		}
	}
}
