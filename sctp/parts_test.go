package sctp

import (
	"bytes"
	"crypto/sha256"
	"hash"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/netem"
)

// stream sends one message of total bytes in parts, and wants the same at the
// other end, with no more than limit bytes held on either side.
func stream(t *testing.T, p *pair, total, part, limit int) {
	t.Helper()
	rng := rand.New(rand.NewPCG(1, 2))
	sent, got := sha256.New(), sha256.New()
	data := body(1, 1<<20)
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	left, arrived, ended := total, 0, false
	p.a[1].SetParts(1, true)
	p.manual = true
	drain := p.Drain
	p.Drain = func(i int) {
		drain(i)
		for _, e := range p.got[1] {
			got.Write(e.Data)
			arrived += len(e.Data)
			p.a[1].Consume(e.SID, len(e.Data))
			if ended {
				t.Fatal("a part after the end")
			}
			ended = !e.More
		}
		p.got[1] = p.got[1][:0]
		if m := p.a[1].rx.data.bytes; m > limit {
			t.Fatalf("%d bytes held by the receiver", m)
		}
		for left > 0 {
			at := rng.IntN(len(data) - part)
			b := data[at : at+min(left, 1+rng.IntN(part))]
			err := p.a[0].WritePart(p.Now, 1, 53, b, left > len(b), SendOptions{})
			if err == ErrSendBufferFull {
				return
			}
			must(t, err)
			sent.Write(b)
			left -= len(b)
			if m := p.a[0].tx.cost; m > limit {
				t.Fatalf("%d bytes held by the sender", m)
			}
		}
	}
	if !p.Run(30*time.Minute, func() bool { return ended }) {
		t.Fatalf("%d of %d bytes: %v", arrived, total, p.other)
	}
	if arrived != total || !equal(sent, got) {
		t.Errorf("%d of %d bytes, or altered", arrived, total)
	}
	p.Drain = drain
	p.Sleep(10 * time.Second)
	p.idle()
}

func equal(a, b hash.Hash) bool { return bytes.Equal(a.Sum(nil), b.Sum(nil)) }

func TestTenMebibytesInParts(t *testing.T) {
	for seed := range uint64(4) {
		ab, ba := both(seed, netem.Config{Delay: 10 * time.Millisecond, Loss: .02, Reorder: .02, Duplicate: .01, Rate: 100e6})
		cfg := Config{Interleave: seed&1 == 1, MaxMessageSize: 16 << 10, MaxReceiveBuffer: 128 << 10, MaxReceiveMemory: 256 << 10, MaxSendBuffer: 256 << 10}
		p := newPair(t, cfg, ab, ba)
		p.Burst = seed&2 != 0
		p.connect()
		p.a[0].SetMaxSendMessageSize(0)
		stream(t, p, 10<<20, 40<<10, 512<<10)
	}
}

// With I-DATA the other streams do not wait for a message without end; with
// DATA they do.
func TestOpenMessageAndOtherStreams(t *testing.T) {
	for _, wide := range []bool{true, false} {
		ab, ba := plain()
		p := newPair(t, Config{Interleave: wide}, ab, ba).connect()
		p.a[1].SetParts(1, true)
		must(t, p.a[0].WritePart(p.Now, 1, 53, body(1, 3000), true, SendOptions{}))
		p.write(0, 2, body(2, 100), SendOptions{})
		p.Sleep(time.Second)
		if err := p.a[0].Write(p.Now, 1, 53, []byte{1}, SendOptions{}); err != ErrMessageOpen {
			t.Error(err)
		}
		parts, others := 0, 0
		for _, e := range p.got[1] {
			if e.SID == 2 {
				others++
			} else if parts += len(e.Data); !e.More {
				t.Error("ended")
			}
		}
		if parts != 3000 || others != b2i(wide) {
			t.Errorf("wide %v: %d bytes of the open message, %d other messages", wide, parts, others)
		}
		must(t, p.a[0].WritePart(p.Now, 1, 53, body(1, 10), false, SendOptions{}))
		p.write(0, 1, body(3, 50), SendOptions{})
		p.Sleep(time.Second)
		if n := len(p.got[1]); p.a[0].MessageOpen(1) || n < 4 || len(p.got[1][n-1].Data) != 50 && len(p.got[1][n-2].Data) != 50 {
			t.Errorf("wide %v: %d messages", wide, n)
		}
		p.idle()
	}
}

func TestPartsRefuseWhatCannotBe(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{MaxSendMessageSize: 1000}, ab, ba).connect()
	a := p.a[0]
	if err := a.WritePart(p.Now, 1, 53, []byte{1}, true, SendOptions{Reliability: Rexmit}); err != ErrMessageOpen {
		t.Error(err)
	}
	must(t, a.WritePart(p.Now, 1, 53, make([]byte, 900), true, SendOptions{}))
	if err := a.WritePart(p.Now, 1, 53, make([]byte, 101), true, SendOptions{}); err != ErrMessageTooLarge {
		t.Error(err)
	}
	if err := a.WritePart(p.Now, 1, 53, nil, false, SendOptions{}); err != ErrEmptyMessage {
		t.Error(err)
	}
	must(t, a.WritePart(p.Now, 1, 53, make([]byte, 100), false, SendOptions{}))
	p.Sleep(time.Second)
	if len(p.got[1]) != 1 || len(p.got[1][0].Data) != 1000 {
		t.Errorf("%d messages", len(p.got[1]))
	}
}

func TestClass24_PartsAreBounded(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{MaxPartsSize: 50_000, MaxSendMessageSize: 1 << 20}, ab, ba).connect()
	p.a[1].SetParts(1, true)
	p.write(0, 1, make([]byte, 60_000), SendOptions{})
	p.Sleep(5 * time.Second)
	if err, ok := p.closed(1); !ok || err != ErrPeerMessage {
		t.Errorf("%v %v", ok, err)
	}
}

// A message given up in the middle is reported as such, and the next one comes.
func TestMessageInPartsGivenUp(t *testing.T) {
	aborted, whole := 0, 0
	for seed := range uint64(40) {
		ab, ba := both(seed, netem.Config{Delay: 10 * time.Millisecond, Loss: .02})
		p := newPair(t, Config{Interleave: seed&1 == 1}, ab, ba).connect()
		p.a[1].SetParts(1, true)
		for n := range 10 {
			p.write(0, 1, body(n, 60_000), SendOptions{Reliability: Rexmit})
		}
		p.write(0, 1, []byte("the end"), SendOptions{})
		if !p.Run(time.Minute, func() bool {
			n := len(p.got[1])
			return n > 0 && string(p.got[1][n-1].Data) == "the end"
		}) {
			t.Fatalf("seed %d: no end", seed)
		}
		size := 0
		for _, e := range p.got[1] {
			if size += len(e.Data); !e.More {
				size = 0
				whole++
			}
		}
		aborted += p.count(1, EventMessageAborted)
		p.Sleep(5 * time.Second)
		p.idle()
	}
	if aborted < 40 || whole < 80 {
		t.Errorf("%d given up, %d whole", aborted, whole)
	}
}

// A reset waits for the end of an open message, and what is written meanwhile
// for the reset.
func TestResetWaitsForTheEndOfAnOpenMessage(t *testing.T) {
	for _, wide := range []bool{true, false} {
		ab, ba := plain()
		p := newPair(t, Config{Interleave: wide}, ab, ba).connect()
		part := func(s string, more bool) {
			must(t, p.a[0].WritePart(p.Now, 1, 53, []byte(s), more, SendOptions{}))
			p.Sleep(100 * time.Millisecond)
		}
		part("one ", true)
		must(t, p.a[0].ResetStreams(p.Now, []uint16{1}))
		p.Sleep(time.Second)
		if p.count(0, EventResetDone) != 0 {
			t.Fatal("reset too early")
		}
		part("message", false)
		part("two ", true)
		must(t, p.a[0].ResetStreams(p.Now, []uint16{1}))
		part("more", false)
		p.Sleep(time.Second)
		if p.count(0, EventResetDone) != 2 || len(p.got[1]) != 2 || string(p.got[1][0].Data) != "one message" || string(p.got[1][1].Data) != "two more" {
			t.Errorf("wide %v: %d resets, %v", wide, p.count(0, EventResetDone), p.got[1])
		}
	}
}

func TestChannelInParts(t *testing.T) {
	ab, ba := plain()
	p := newChannelPair(t, Config{MaxSendBuffer: 100 << 10}, ab, ba).connect()
	id, err := p.c[0].Open(p.Now, ChannelParams{Label: "file"})
	must(t, err)
	p.Sleep(time.Second)
	p.c[1].SetParts(id, true)
	for range 5 {
		must(t, p.c[0].SendPart(p.Now, id, true, bytes.Repeat([]byte("x"), 10_000), true))
		p.Sleep(50 * time.Millisecond)
	}
	must(t, p.c[0].SendPart(p.Now, id, true, []byte("y"), false))
	p.Sleep(time.Second)
	n, parts := 0, 0
	for _, e := range p.got[1] {
		if e.Kind == ChannelMessage {
			parts++
			n += len(e.Data)
			if !e.Text || e.More != (n < 50_001) {
				t.Errorf("text %v, more %v at %d", e.Text, e.More, n)
			}
		}
	}
	if n != 50_001 || parts < 5 || parts > 60 {
		t.Errorf("%d bytes in %d parts", n, parts)
	}
}
