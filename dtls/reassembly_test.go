package dtls

import (
	"bytes"
	mrand "math/rand/v2"
	"testing"
)

func TestReassemblyOfShuffledOverlappingFragments(t *testing.T) {
	for seed := uint64(0); seed < 50; seed++ {
		rng := mrand.New(mrand.NewPCG(seed, 3))
		var a reassembler
		a.restart(uint16(seed))
		var want []message
		var frags []fragment
		for i := 0; i < 6; i++ {
			body := make([]byte, rng.IntN(3)*rng.IntN(900))
			for k := range body {
				body[k] = byte(rng.Uint32())
			}
			m := newMessage(uint8(i+1), uint16(seed)+uint16(i), body)
			want = append(want, m)
			f := fragment{typ: m.typ, seq: m.seq, length: len(body)}
			for at := 0; at < len(body); {
				n := min(1+rng.IntN(300), len(body)-at)
				from := at - min(at, rng.IntN(50)) // overlaps what went before
				f.offset, f.body = from, body[from:at+n]
				frags = append(frags, f)
				at += n
			}
			if len(body) == 0 {
				frags = append(frags, f)
			}
		}
		frags = append(frags, frags...)
		rng.Shuffle(len(frags), func(i, j int) { frags[i], frags[j] = frags[j], frags[i] })
		got := 0
		for _, f := range frags {
			if err := a.add(0, f); err != nil && err != ErrUnexpected {
				t.Fatal(err)
			}
			for m, ok := a.peek(0); ok; m, ok = a.peek(0) {
				if m.typ != want[got].typ || m.seq != want[got].seq || !bytes.Equal(m.raw, want[got].raw) {
					t.Fatalf("seed %d: message %d differs", seed, got)
				}
				a.pop()
				got++
			}
		}
		if got != len(want) || a.bytes != 0 {
			t.Fatalf("seed %d: %d messages, %d bytes left", seed, got, a.bytes)
		}
	}
}

func TestReassemblyNeedsEveryByte(t *testing.T) {
	body := make([]byte, 200)
	for missing := range body {
		var a reassembler
		f := fragment{typ: 1, length: len(body)}
		for at := range body {
			if at != missing {
				f.offset, f.body = at, body[at:at+1]
				a.add(0, f)
			}
		}
		if _, ok := a.peek(0); ok {
			t.Fatalf("whole without byte %d", missing)
		}
		f.offset, f.body = missing, body[missing:missing+1]
		a.add(0, f)
		if _, ok := a.peek(0); !ok {
			t.Fatal("not whole")
		}
	}
}

func TestReassemblyHealsAfterForgedFragment(t *testing.T) {
	var a reassembler
	body := []byte("genuine")
	a.add(0, fragment{typ: 2, length: 5000, offset: 9, body: []byte("forged")})
	a.add(0, fragment{typ: 1, length: len(body), body: body})
	if m, ok := a.peek(0); !ok || string(m.body()) != "genuine" {
		t.Fatal("a forged fragment keeps its place")
	}
	// What is authentic cannot be displaced by what is not.
	a.restart(0)
	a.add(1, fragment{typ: typeFinished, length: 4, body: []byte("au")})
	if err := a.add(0, fragment{typ: typeFinished, length: 2, body: []byte("xx")}); err != ErrUnexpected {
		t.Fatal(err)
	}
	a.add(1, fragment{typ: typeFinished, length: 4, offset: 2, body: []byte("th")})
	if m, ok := a.peek(0); !ok || string(m.body()) != "auth" {
		t.Fatal("authentic message displaced")
	}
}

func TestClass07_ReassemblyIsBounded(t *testing.T) {
	rng := mrand.New(mrand.NewPCG(7, 7))
	var a reassembler
	b := make([]byte, 1400)
	for i := 0; i < 200_000; i++ {
		f := fragment{typ: uint8(rng.IntN(25)), seq: uint16(rng.IntN(12)), length: rng.IntN(1 << 15)}
		if rng.IntN(10) == 0 {
			f.seq, f.length = uint16(rng.Uint32()), rng.IntN(1<<24)
		}
		f.offset = rng.IntN(f.length + 1)
		f.body = b[:min(len(b), f.length-f.offset)]
		if f.seq == 0 && i%1000 != 0 {
			continue // it would complete, and nobody takes it
		}
		a.add(0, f)
		sum := 0
		for k := range a.slots {
			sum += a.slots[k].size()
		}
		if sum != a.bytes || sum > maxReassembly {
			t.Fatalf("holds %d bytes, accounts for %d", sum, a.bytes)
		}
	}
	// Its negative twin: the longest message in sequence still gets through.
	long := fragment{typ: 11, length: maxMessage}
	for at := 0; at < maxMessage; at += 1024 {
		long.offset, long.body = at, b[:1024]
		if err := a.add(0, long); err != nil {
			t.Fatal(err)
		}
	}
	if _, ok := a.peek(0); !ok {
		t.Fatal("the expected message starves behind future ones")
	}
	long.length = maxMessage + 1
	if err := a.add(0, long); err != ErrBuffered {
		t.Fatal(err)
	}
}
