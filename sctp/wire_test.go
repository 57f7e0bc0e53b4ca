package sctp

import (
	"bytes"
	"slices"
	"testing"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/internal/vectors"
)

func only(t testing.TB, b []byte) chunk {
	t.Helper()
	c, rest, ok := nextChunk(b)
	if !ok || len(rest) != 0 {
		t.Fatalf("not one chunk: %x", b)
	}
	return c
}

// Bytes written out by hand from the figures of RFC 9260 §3.3, RFC 3758 §3.2,
// RFC 6525 §4 and RFC 8832 §5.1.
func TestChunksAsInTheRFCs(t *testing.T) {
	check := func(name string, got []byte, want string) {
		t.Helper()
		if w := vectors.Hex(t, want); !bytes.Equal(got, w) {
			t.Errorf("%s\n got %x\nwant %x", name, got, w)
		}
	}
	d := dataChunk{flags: flagBegin | flagEnd, tsn: 0x01020304, sid: 5, ssn: 6, ppid: 51, payload: []byte("abc")}
	check("DATA", appendData(nil, &d), "00 03 0013 01020304 0005 0006 00000033 616263 00")
	check("SACK", appendSack(nil, 100, 0x10000, []tsnRange{{102, 103}, {106, 106}}, []uint32{99}),
		"03 00 001c 00000064 00010000 0002 0001 0002 0003 0006 0006 00000063")
	check("FORWARD TSN", appendForward(nil, typeForwardTSN, 7, []skip{{sid: 1, mid: 2}, {sid: 3, mid: 4}}), "c0 00 0010 00000007 0001 0002 0003 0004")
	i := initChunk{tag: 1, window: 0x20000, out: 10, in: 20, tsn: 9, forwardTSN: true, reconfig: true}
	check("INIT", appendInit(nil, typeInit, &i), "01 00 001e 00000001 00020000 000a 0014 00000009 c000 0004 8008 0006 c0 82 0000")
	check("ABORT", appendError(nil, typeAbort, flagT, causeUserAbort, []byte("bye")), "06 01 000b 000c 0007 627965 00")
	check("ABORT without cause", appendError(nil, typeAbort, 0, 0, nil), "06 00 0004")
	r := reconfig{next: 1, peerNext: 11, last: 3, sids: []uint16{4}}
	check("RE-CONFIG", r.appendReset(nil), "82 00 0016 000d 0012 00000001 0000000a 00000003 0004 0000")
	retransmits := uint16(3)
	check("OPEN", appendOpen(nil, &ChannelParams{Label: "ab", Protocol: "c", Unordered: true, MaxRetransmits: &retransmits, Priority: 256}),
		"03 81 0100 00000003 0002 0001 6162 63")
	if n := r.resetLen(); n != len(r.appendReset(nil)) {
		t.Errorf("resetLen %d", n)
	}
}

func TestChecksumIsCRC32cInLittleEndian(t *testing.T) {
	// CRC-32C of "123456789" is e3069283 (RFC 3720 B.4 and every catalogue).
	pkt := append(appendHeader(nil, header{5000, 5001, 0xdeadbeef}), 0x0b, 0, 0, 4)
	seal(pkt)
	h, err := parseHeader(pkt, false)
	if err != nil || h != (header{5000, 5001, 0xdeadbeef}) {
		t.Fatal(h, err)
	}
	for bit := range len(pkt) * 8 {
		b := slices.Clone(pkt)
		b[bit/8] ^= 1 << (bit % 8)
		if _, err := parseHeader(b, false); err != ErrChecksum {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
	b := append([]byte("12345678"), 0, 0, 0, 0)
	if checksum(b) != checksum(append([]byte(nil), b...)) {
		t.Error("not a function of the bytes")
	}
}

// TestClass21_InitParameters walks INIT through every truncation and length
// error: no panic, and nothing malformed is taken.
func TestClass21_InitParameters(t *testing.T) {
	i := initChunk{tag: 1, window: 1 << 17, out: 10, in: 20, tsn: 9, forwardTSN: true, reconfig: true}
	whole := appendInit(nil, typeInit, &i)
	c := only(t, whole)
	for n := range len(c.value) {
		cut := chunk{typ: typeInit, value: c.value[:n]}
		// The parameters begin at 16; after the first, at 20.
		if _, ok := parseInit(cut); ok != (n == 16 || n == 20) {
			t.Errorf("cut to %d: %v", n, ok)
		}
	}
	for at := initFixedLen; at+4 <= len(c.value); at += 4 {
		for _, length := range []byte{0, 1, 2, 3, 200} {
			b := slices.Clone(c.value)
			b[at+2], b[at+3] = 0, length
			if _, ok := parseInit(chunk{typ: typeInit, value: b}); ok && at < 24 {
				t.Errorf("parameter at %d with length %d taken", at, length)
			}
		}
	}
	// The negative twin: the last parameter's padding may be there or not.
	for _, b := range [][]byte{c.value, append(slices.Clone(c.value), 0, 0)} {
		if got, ok := parseInit(chunk{typ: typeInit, value: b[:len(c.value)]}); !ok || !got.forwardTSN || !got.reconfig {
			t.Errorf("%+v %v", got, ok)
		}
	}
}

func TestUnknownParametersByTheirTopBits(t *testing.T) {
	base := appendInit(nil, typeInit, &initChunk{tag: 1, out: 1, in: 1})[chunkHeaderLen:]
	for _, c := range []struct {
		typ          uint16
		goOn, report bool
	}{{0x3001, false, false}, {0x7001, false, true}, {0xb001, true, false}, {0xf001, true, true}} {
		b := appendParam(slices.Clone(base), c.typ, []byte{1, 2, 3})
		b = appendParam(b, paramForwardTSN, nil)
		i, ok := parseInit(chunk{typ: typeInit, value: b})
		if !ok || i.forwardTSN != c.goOn || (len(i.unknown) == 8) != c.report {
			t.Errorf("%x: %+v %v", c.typ, i, ok)
		}
		ack := only(t, appendInit(nil, typeInitAck, &i))
		if back, ok := parseInit(ack); !ok || bytes.Contains(ack.value, []byte{byte(c.typ >> 8), byte(c.typ), 0, 7, 1, 2, 3}) != c.report {
			t.Errorf("%x: INIT ACK %x %+v", c.typ, ack.raw, back)
		}
	}
	// Reports are bounded.
	b := slices.Clone(base)
	for range 100 {
		b = appendParam(b, 0xf001, make([]byte, 20))
	}
	if i, ok := parseInit(chunk{value: b}); !ok || len(i.unknown) > maxEcho {
		t.Errorf("%d bytes to report", len(i.unknown))
	}
}

// TestClass22_CookieIsOpaqueAndAuthentic: no bit of a cookie may change, no
// other association's cookie is taken, and it holds no secret or address.
func TestClass22_CookieIsOpaqueAndAuthentic(t *testing.T) {
	key, other := [32]byte{1}, [32]byte{2}
	k := cookie{
		at: mono.Time(12345), localTag: 1, peerTag: 2, localTSN: 3, peerTSN: 4, window: 5,
		localTie: 6, peerTie: 7, out: 8, in: 9, forwardTSN: true,
	}
	b := k.append(nil, &key)
	if got, ok := parseCookie(b, &key); !ok || got != k {
		t.Fatalf("%+v %v", got, ok)
	}
	for bit := range len(b) * 8 {
		c := slices.Clone(b)
		c[bit/8] ^= 1 << (bit % 8)
		if _, ok := parseCookie(c, &key); ok {
			t.Fatalf("bit %d may change", bit)
		}
	}
	if _, ok := parseCookie(b, &other); ok {
		t.Error("another key's cookie is taken")
	}
	for n := range len(b) {
		if _, ok := parseCookie(b[:n], &key); ok {
			t.Errorf("cut to %d", n)
		}
	}
	if bytes.Contains(b, key[:]) {
		t.Error("the key is in the cookie")
	}
}

func FuzzChunks(f *testing.F) {
	f.Add(appendData(nil, &dataChunk{flags: 3, tsn: 1, sid: 2, ssn: 3, ppid: 51, payload: []byte("hello")}))
	f.Add(appendSack(nil, 1, 2, []tsnRange{{3, 4}}, []uint32{5}))
	f.Add(appendForward(nil, typeForwardTSN, 1, []skip{{sid: 2, mid: 3}}))
	f.Add(appendInit(nil, typeInit, &initChunk{tag: 1, out: 2, in: 3, forwardTSN: true, reconfig: true}))
	f.Add(appendInit(nil, typeInitAck, &initChunk{tag: 1, out: 2, in: 3, reconfig: true, cookie: []byte("cookie")}))
	f.Fuzz(func(t *testing.T, b []byte) {
		for range 1 + len(b)/4 {
			c, rest, ok := nextChunk(b)
			if !ok {
				return
			}
			roundTrip(t, c)
			b = rest
		}
		if len(b) != 0 {
			t.Fatal("chunks do not end")
		}
	})
}

// roundTrip parses a chunk and appends it again. Reserved bits and padding may
// change.
func roundTrip(t *testing.T, c chunk) {
	switch c.typ {
	case typeData:
		if d, ok := parseData(c); ok {
			if got := appendData(nil, &d); !bytes.Equal(got[:len(c.raw)], c.raw) {
				t.Fatalf("DATA %x became %x", c.raw, got)
			}
		}
	case typeSack:
		if s, ok := parseSack(c); ok {
			var gaps []tsnRange
			for i := range s.numGaps() {
				first, last := s.gap(i)
				gaps = append(gaps, tsnRange{first, last})
			}
			var dups []uint32
			for d := s.dups; len(d) > 0; d = d[4:] {
				dups = append(dups, uint32(d[0])<<24|uint32(d[1])<<16|uint32(d[2])<<8|uint32(d[3]))
			}
			if got := appendSack(nil, s.cum, s.window, gaps, dups); !bytes.Equal(got[4:], c.value) {
				t.Fatalf("SACK %x became %x", c.value, got[4:])
			}
		}
	case typeForwardTSN:
		if f, ok := parseForward(c); ok {
			var list []skip
			for i := range f.numStreams() {
				list = append(list, f.stream(i))
			}
			if got := appendForward(nil, c.typ, f.cum, list); !bytes.Equal(got[4:], c.value) {
				t.Fatalf("FORWARD TSN %x became %x", c.value, got[4:])
			}
		}
	case typeInit, typeInitAck:
		if i, ok := parseInit(c); ok {
			got := only(t, appendInit(nil, c.typ, &i))
			j, ok := parseInit(got)
			i.unknown, j.unknown = nil, nil
			if !ok || i.tag != j.tag || i.window != j.window || i.tsn != j.tsn || i.out != j.out || i.in != j.in ||
				i.forwardTSN != j.forwardTSN || i.reconfig != j.reconfig || !bytes.Equal(i.cookie, j.cookie) {
				t.Fatalf("%+v became %+v", i, j)
			}
		}
	}
}

func FuzzOpen(f *testing.F) {
	n := uint16(7)
	f.Add(appendOpen(nil, &ChannelParams{Label: "label", Protocol: "p", MaxRetransmits: &n, Unordered: true}))
	f.Add(appendOpen(nil, &ChannelParams{MaxPacketLifeTime: &n, Priority: 512}))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, ok := parseOpen(b)
		if !ok {
			return
		}
		got := appendOpen(nil, &p)
		// The reliability parameter of a reliable channel is ignored, and cut to
		// 16 bits otherwise.
		if !bytes.Equal(got[:4], b[:4]) || !bytes.Equal(got[8:], b[8:]) {
			t.Fatalf("%x became %x", b, got)
		}
	})
}

func FuzzCookie(f *testing.F) {
	key := [32]byte{9}
	f.Add((&cookie{at: 1, localTag: 2}).append(nil, &key))
	f.Fuzz(func(t *testing.T, b []byte) {
		if k, ok := parseCookie(b, &key); ok && !bytes.Equal(k.append(nil, &key), b) {
			t.Fatalf("%x", b)
		}
	})
}
