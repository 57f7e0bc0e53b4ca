package sctp

import (
	"slices"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/netem"
	"github.com/sluicertc/sluice/internal/simtest"
)

func resetRequest(seq, last uint32, sids ...uint16) []byte {
	r := reconfig{next: seq, peerNext: 1, last: last, sids: sids}
	return r.appendReset(nil)
}

// answer returns the result of the first response among out.
func answer(t *testing.T, out []chunk) (seq, result uint32) {
	t.Helper()
	c := has(out, typeReconfig)
	if c == nil {
		t.Fatalf("no answer: %+v", out)
	}
	p, _, ok := nextParam(c.value)
	if !ok || p.typ != paramResetResponse || len(p.value) != 8 {
		t.Fatalf("not a response: %x", c.value)
	}
	return uint32(p.value[3]) | uint32(p.value[2])<<8, uint32(p.value[7])
}

func TestResetRequestsAndTheirAnswers(t *testing.T) {
	a := established(t, Config{MaxStreams: 100})
	try := func(name string, chunk []byte, want uint32) {
		t.Helper()
		must(t, a.HandlePacket(simtest.Epoch, packet(a.tag, chunk)))
		out, _ := drain(a, simtest.Epoch)
		if _, got := answer(t, out); got != want {
			t.Errorf("%s: result %d, want %d", name, got, want)
		}
	}
	// The peer's numbers begin at its initial TSN, 1000.
	try("ahead", resetRequest(1001, 999, 1), resultBadSeq)
	try("good", resetRequest(1000, 999, 1, 2), resultPerformed)
	try("repeated", resetRequest(1000, 999, 1, 2), resultPerformed)
	try("old", resetRequest(998, 999, 1), resultBadSeq)
	try("stream too high", resetRequest(1001, 999, 100), resultWrongSSN)
	try("not all there", resetRequest(1002, 1000, 1), resultInProgress)
	try("repeated meanwhile", resetRequest(1002, 1000, 1), resultInProgress)
	try("another meanwhile", resetRequest(1003, 1000, 2), resultBusy)
	must(t, a.HandlePacket(simtest.Epoch, packet(a.tag, appendData(nil, &dataChunk{flags: 3, tsn: 1000, sid: 1, ppid: 53, payload: []byte("x")}))))
	out, _ := drain(a, simtest.Epoch)
	if seq, got := answer(t, out); got != resultPerformed || seq != 1002 {
		t.Errorf("deferred: %d for %d", got, seq)
	}
	try("repeated afterwards", resetRequest(1002, 1000, 1), resultPerformed)
	try("all streams", resetRequest(1003, 1000), resultPerformed)
	in := func(typ uint16, seq byte, more ...byte) []byte {
		return appendChunk(nil, typeReconfig, 0, appendParam(nil, typ, append([]byte{0, 0, 3, seq}, more...)))
	}
	try("incoming", in(paramIncomingReset, 236, 0, 1), resultDenied)
	try("TSN", in(paramTSNReset, 237), resultDenied)
	try("add incoming", in(paramAddIncoming, 238, 0, 1, 0, 0), resultDenied)
	try("add outgoing beyond", in(paramAddOutgoing, 239, 0, 1, 0, 0), resultDenied)
	a.inStreams = 50
	try("add outgoing", in(paramAddOutgoing, 240, 0, 50, 0, 0), resultPerformed)
	if a.inStreams != 100 {
		t.Error(a.inStreams)
	}
	var kinds []EventKind
	for {
		e, ok := a.Event()
		if !ok {
			break
		}
		kinds = append(kinds, e.Kind)
	}
	if !slices.Equal(kinds, []EventKind{EventStreamsReset, EventMessage, EventStreamsReset, EventStreamsReset}) {
		t.Error(kinds)
	}
	for _, bad := range [][]byte{
		appendChunk(nil, typeReconfig, 0, []byte{0}), in(paramOutgoingReset, 241), in(99, 241),
		appendChunk(nil, typeReconfig, 0, appendParam(nil, paramOutgoingReset, make([]byte, 13))),
	} {
		if err := a.HandlePacket(simtest.Epoch, packet(a.tag, bad)); err != ErrMalformed {
			t.Errorf("%x: %v", bad, err)
		}
	}
}

func TestMessagesBehindADeferredResetWait(t *testing.T) {
	a := established(t, Config{})
	send := func(tsn uint32, ssn uint16, s string) {
		must(t, a.HandlePacket(simtest.Epoch, packet(a.tag, appendData(nil, &dataChunk{flags: 3, tsn: tsn, sid: 1, ssn: ssn, ppid: 53, payload: []byte(s)}))))
	}
	send(1000, 0, "old 0")
	must(t, a.HandlePacket(simtest.Epoch, packet(a.tag, resetRequest(1000, 1001, 1))))
	send(1002, 0, "new 0")
	send(1001, 1, "old 1")
	send(1003, 1, "new 1")
	got := ""
	for {
		e, ok := a.Event()
		if !ok {
			break
		}
		if e.Kind == EventStreamsReset {
			got += "reset,"
		} else {
			got += string(e.Data) + ","
		}
	}
	if got != "old 0,old 1,reset,new 0,new 1," {
		t.Error(got)
	}
}

func TestResetStartsNumbersAnewAndKeepsWhatIsWritten(t *testing.T) {
	for seed := range uint64(30) {
		ab, ba := both(seed, netem.Config{Loss: .1, Reorder: .1, Delay: 20 * time.Millisecond, Jitter: 5 * time.Millisecond})
		p := newPair(t, Config{MaxInitRetransmits: 50}, ab, ba).connect()
		n := 0
		for round := range 6 {
			for range 10 {
				for i := range 2 {
					p.write(i, 1, body(n, 2500), SendOptions{})
					p.write(i, 2, body(n, 100), SendOptions{})
				}
				n++
			}
			for i := range 2 { // both at once
				must(t, p.a[i].ResetStreams(p.Now, []uint16{1, 2}))
			}
			if round%2 == 0 {
				p.Sleep(30 * time.Millisecond)
			} else if !p.Run(time.Minute, func() bool { return p.count(0, EventResetDone) > round && p.count(1, EventResetDone) > round }) {
				t.Fatalf("seed %d: reset not done: %v", seed, p.other)
			}
		}
		if !p.Run(5*time.Minute, func() bool { return len(p.got[0]) == 2*n && len(p.got[1]) == 2*n }) {
			t.Fatalf("seed %d: %d and %d of %d messages", seed, len(p.got[0]), len(p.got[1]), 2*n)
		}
		for i := range 2 {
			next := map[uint16]int{}
			for _, e := range p.got[i] {
				if string(e.Data) != string(body(next[e.SID], len(e.Data))) {
					t.Fatalf("seed %d: stream %d out of order at %d", seed, e.SID, next[e.SID])
				}
				next[e.SID]++
			}
		}
	}
}

func TestResetWithoutSupportFails(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{}, ab, ba)
	must(t, p.a[0].ResetStreams(p.Now, []uint16{1})) // before it is known
	p.connect()
	p.Sleep(time.Second)
	if p.count(0, EventResetDone) != 1 {
		t.Error("early request forgotten")
	}
	p.a[0].peer.reconfig = false
	if err := p.a[0].ResetStreams(p.Now, []uint16{1}); err != ErrNoStreamReset {
		t.Error(err)
	}
	p.a[0].Abort(p.Now, "")
	if err := p.a[0].ResetStreams(p.Now, []uint16{1}); err != ErrClosed {
		t.Error(err)
	}
	if err := p.a[1].ResetStreams(p.Now, []uint16{65535}); err != ErrInvalidStream {
		t.Error(err)
	}
}

func TestDeniedResetResumesTheStream(t *testing.T) {
	a := established(t, Config{})
	must(t, a.Write(simtest.Epoch, 1, 53, []byte("a"), SendOptions{}))
	must(t, a.ResetStreams(simtest.Epoch, []uint16{1}))
	must(t, a.Write(simtest.Epoch, 1, 53, []byte("b"), SendOptions{}))
	drain(a, simtest.Epoch)
	v := append(be32(a.rc.next), be32(resultDenied)...)
	must(t, a.HandlePacket(simtest.Epoch, packet(a.tag, appendChunk(nil, typeReconfig, 0, appendParam(nil, paramResetResponse, v)))))
	out, _ := drain(a, simtest.Epoch)
	d, ok := parseData(*has(out, typeData))
	if !ok || d.ssn != 1 || string(d.payload) != "b" {
		t.Errorf("%+v", d)
	}
	for {
		e, ok := a.Event()
		if !ok {
			t.Fatal("no ResetDone")
		}
		if e.Kind == EventResetDone {
			if e.Err != ErrResetDenied {
				t.Error(e.Err)
			}
			break
		}
	}
}

func TestStreamsAreAddedAndResetFromTheOtherSide(t *testing.T) {
	for seed := range uint64(10) {
		ab, ba := both(seed, netem.Config{Loss: .1, Delay: 10 * time.Millisecond})
		p := newPair(t, Config{MaxStreams: 40, ServeReconfig: true}, ab, ba)
		p.a[1].cfg.MaxStreams = 10 // says so in its INIT
		p.connect()
		p.a[1].cfg.MaxStreams = 40
		if err := p.a[0].Write(p.Now, 20, 53, []byte{1}, SendOptions{}); err != ErrInvalidStream {
			t.Error(err)
		}
		must(t, p.a[0].AddStreams(p.Now, 15, 5))
		done := func(i, n int) func() bool { return func() bool { return p.count(i, EventReconfigDone) == n } }
		if !p.Run(time.Minute, done(0, 2)) {
			t.Fatalf("seed %d: %v", seed, p.other)
		}
		p.Sleep(20 * time.Second)
		if a, b := p.a[0], p.a[1]; a.outStreams != 25 || b.inStreams != 25 || a.inStreams != 15 || b.outStreams != 15 {
			t.Fatalf("seed %d: %d %d, %d %d", seed, a.outStreams, b.inStreams, b.outStreams, a.inStreams)
		}
		for n := range 5 {
			p.write(0, 20, body(n, 3000), SendOptions{})
			p.write(1, 12, body(n, 3000), SendOptions{})
		}
		must(t, p.a[0].ResetIncoming(p.Now, []uint16{12})) // while it is in use
		must(t, p.a[1].ResetIncoming(p.Now, nil))
		if !p.Run(time.Minute, func() bool { return p.count(0, EventReconfigDone) == 3 && p.count(1, EventReconfigDone) == 2 }) {
			t.Fatalf("seed %d: %v", seed, p.other)
		}
		if !p.Run(time.Minute, func() bool { return len(p.got[0]) == 5 && len(p.got[1]) == 5 }) {
			t.Fatal("lost")
		}
		p.Sleep(20 * time.Second)
		if p.count(0, EventStreamsReset) != 1 || p.count(1, EventStreamsReset) != 1 {
			t.Errorf("seed %d: %v", seed, p.other)
		}
		p.write(1, 12, body(1, 10), SendOptions{})
		if !p.Run(time.Minute, func() bool { return len(p.got[0]) == 6 }) {
			t.Error("nothing after the reset")
		}
	}
}

func TestRequestsOfThePeerAreDeniedByDefault(t *testing.T) {
	ab, ba := plain()
	p := newPair(t, Config{MaxStreams: 40}, ab, ba).connect()
	p.a[0].inStreams = 30
	must(t, p.a[0].ResetIncoming(p.Now, []uint16{1}))
	must(t, p.a[0].AddStreams(p.Now, 0, 5))
	for range maxRequests - 1 {
		must(t, p.a[0].ResetIncoming(p.Now, []uint16{1}))
	}
	if err := p.a[0].ResetIncoming(p.Now, []uint16{1}); err != ErrSendBufferFull {
		t.Error(err)
	}
	if !p.Run(time.Minute, func() bool { return p.count(0, EventReconfigDone) == maxRequests+1 }) {
		t.Fatal(p.other)
	}
	for _, e := range p.other[0] {
		if e.Kind == EventReconfigDone && e.Err != ErrResetDenied {
			t.Error(e.Err)
		}
	}
}

// A peer which has received everything and says without end that it is at it is
// asked anew, with another number.
func TestStaleAnswerToAResetIsAskedAgain(t *testing.T) {
	a := established(t, Config{})
	must(t, a.ResetStreams(simtest.Epoch, []uint16{1}))
	now, first := simtest.Epoch, a.rc.next
	for range staleAnswers {
		out, _ := drain(a, now)
		if has(out, typeReconfig) == nil {
			t.Fatal("no request")
		}
		v := append(be32(a.rc.next), be32(resultInProgress)...)
		must(t, a.HandlePacket(now, packet(a.tag, appendChunk(nil, typeReconfig, 0, appendParam(nil, paramResetResponse, v)))))
		now = a.rc.timer
		a.HandleTimeout(now)
	}
	if a.rc.next != first+1 || a.rc.kind != paramOutgoingReset {
		t.Errorf("request %d after %d", a.rc.next, first)
	}
	drain(a, now)
	v := append(be32(a.rc.next), be32(resultPerformed)...)
	must(t, a.HandlePacket(now, packet(a.tag, appendChunk(nil, typeReconfig, 0, appendParam(nil, paramResetResponse, v)))))
	if a.rc.kind != 0 {
		t.Error("not done")
	}
}
