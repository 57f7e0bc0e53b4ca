package rtcp

import (
	"bytes"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/vectors"
)

// first returns the first packet of b, which must parse.
func first(t testing.TB, b []byte) Packet {
	t.Helper()
	p, _, err := Next(b)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func wantBytes(t *testing.T, what string, got []byte, want string) {
	t.Helper()
	if !bytes.Equal(got, vectors.Hex(t, want)) {
		t.Errorf("%s: %x, want %s", what, got, want)
	}
}

func TestReports(t *testing.T) {
	blocks := []ReportBlock{
		{SSRC: 1, FractionLost: 2, Lost: -3, Highest: 4, Jitter: 5, LastSR: 6, Delay: 7},
		{SSRC: 8, FractionLost: 255, Lost: 1<<23 - 1, Highest: 9},
	}
	info := SenderInfo{NTP: 0x0102030405060708, RTP: 9, Packets: 10, Octets: 11}
	b := AppendSR(nil, 0xaa, info, blocks)
	wantBytes(t, "SR", b, `82c80012 000000aa 0102030405060708 00000009 0000000a 0000000b
		00000001 02fffffd 00000004 00000005 00000006 00000007 00000008 ff7fffff 00000009 00000000 00000000 00000000`)
	sr, ok := ParseSR(first(t, b))
	if !ok || sr.SSRC != 0xaa || sr.Info != info || sr.Blocks.Len() != 2 || sr.Blocks.At(0) != blocks[0] || sr.Blocks.At(1) != blocks[1] {
		t.Errorf("SR: %+v", sr)
	}
	b = AppendRR(b[:0], 0xbb, blocks[:1])
	wantBytes(t, "RR", b, `81c90007 000000bb 00000001 02fffffd 00000004 00000005 00000006 00000007`)
	rr, ok := ParseRR(first(t, b))
	if !ok || rr.SSRC != 0xbb || rr.Blocks.Len() != 1 || rr.Blocks.At(0) != blocks[0] {
		t.Errorf("RR: %+v", rr)
	}
	if _, ok := ParseSR(first(t, b)); ok {
		t.Error("an RR is an SR")
	}
	b[0]++ // one block more than there is
	if _, ok := ParseRR(first(t, b)); ok {
		t.Error("a block beyond the end")
	}
	b = AppendRR(nil, 1, []ReportBlock{{Lost: 1 << 30}, {Lost: -1 << 30}})
	rr, _ = ParseRR(first(t, b))
	if rr.Blocks.At(0).Lost != 1<<23-1 || rr.Blocks.At(1).Lost != -1<<23 {
		t.Error("the count of lost packets wraps")
	}
	if rr, _ = ParseRR(first(t, AppendRR(nil, 1, make([]ReportBlock, 40)))); rr.Blocks.Len() != MaxBlocks {
		t.Errorf("%d blocks", rr.Blocks.Len())
	}
}

func items(p Packet) (out []Item) {
	s, _ := ParseSDES(p)
	for it, ok := s.Next(); ok; it, ok = s.Next() {
		out = append(out, it)
	}
	return out
}

func TestSDES(t *testing.T) {
	for cname, want := range map[string]string{
		"":     "81ca0002 00000007 01000000",
		"a":    "81ca0002 00000007 01016100",
		"ab":   "81ca0003 00000007 01026162 00000000",
		"abcd": "81ca0003 00000007 01046162 63640000",
	} {
		b := AppendSDES(nil, 7, cname)
		wantBytes(t, cname, b, want)
		if got := items(first(t, b)); len(got) != 1 || string(got[0].Text) != cname || got[0].Kind != ItemCNAME || got[0].SSRC != 7 {
			t.Errorf("%q: %+v", cname, got)
		}
	}
	if got := items(first(t, AppendSDES(nil, 7, strings.Repeat("x", 300)))); len(got[0].Text) != MaxText {
		t.Error("a long name is not cut")
	}

	// Two chunks, the first with two items and padding of a whole word.
	got := items(first(t, vectors.Hex(t, "82ca0006 00000001 0101610c 02626300 00000002 0f013000 00000000")))
	want := []Item{{1, 1, []byte("a")}, {1, 12, []byte("bc")}, {2, 15, []byte("0")}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("two chunks: %+v", got)
	}
	for name, s := range map[string]string{
		"item beyond the end":    "81ca0002 00000001 01036161",
		"no item":                "81ca0001 00000001",
		"more chunks than bytes": "9fca0002 00000001 00000000",
		"length cut":             "81ca0002 00000001 01016101",
	} {
		if got := items(first(t, vectors.Hex(t, s))); len(got) > 1 || (len(got) == 1 && name != "length cut") {
			t.Errorf("%s: %+v", name, got)
		}
	}
}

func TestBYE(t *testing.T) {
	b := AppendBYE(nil, "gone", 1, 2)
	wantBytes(t, "BYE", b, "82cb0004 00000001 00000002 04676f6e 65000000")
	bye, ok := ParseBYE(first(t, b))
	if !ok || bye.SSRCs.Len() != 2 || bye.SSRCs.At(1) != 2 || string(bye.Reason) != "gone" {
		t.Errorf("%+v", bye)
	}
	bye, ok = ParseBYE(first(t, AppendBYE(nil, "", 9)))
	if !ok || bye.SSRCs.Len() != 1 || bye.Reason != nil {
		t.Errorf("%+v", bye)
	}
	for name, s := range map[string]string{"source": "82cb0001 00000001", "reason": "81cb0002 00000001 04616161"} {
		if _, ok := ParseBYE(first(t, vectors.Hex(t, s))); ok {
			t.Errorf("%s beyond the end", name)
		}
	}
}

func TestPLIAndFIR(t *testing.T) {
	b := AppendPLI(nil, 1, 2)
	wantBytes(t, "PLI", b, "81ce0002 00000001 00000002")
	if p, ok := ParsePLI(first(t, b)); !ok || p != (PLI{1, 2}) {
		t.Errorf("%+v", p)
	}
	b = AppendFIR(nil, 1, []FIREntry{{3, 4}, {5, 6}})
	wantBytes(t, "FIR", b, "84ce0006 00000001 00000000 00000003 04000000 00000005 06000000")
	f, ok := ParseFIR(first(t, b))
	if !ok || f.Len() != 2 || f.At(1) != (FIREntry{5, 6}) || f.Sender != 1 {
		t.Errorf("%+v", f)
	}
	if _, ok := ParsePLI(first(t, b)); ok {
		t.Error("a FIR is a PLI")
	}
	for _, s := range []string{"84ce0002 00000001 00000000", "84ce0003 00000001 00000000 00000003", "84ce0001 00000001"} {
		if _, ok := ParseFIR(first(t, vectors.Hex(t, s))); ok {
			t.Errorf("%s is a FIR", s)
		}
	}
}

func TestREMB(t *testing.T) {
	for _, v := range []struct{ bits, want uint64 }{{0, 0}, {1, 1}, {1<<18 - 1, 1<<18 - 1}, {1 << 18, 1 << 18}, {1<<18 + 1, 1 << 18},
		{2_500_000, 2_500_000 &^ 15}, {1<<64 - 1, (1<<18 - 1) << 46}} {
		p, ok := ParseREMB(first(t, AppendREMB(nil, 1, v.bits, []uint32{7, 8})))
		if !ok || p.Bits != v.want || p.Sender != 1 || p.SSRCs.Len() != 2 || p.SSRCs.At(0) != 7 {
			t.Errorf("%d: %+v", v.bits, p)
		}
	}
	wantBytes(t, "REMB", AppendREMB(nil, 1, 1_000_000, []uint32{7}), "8fce0005 00000001 00000000 52454d42 010bd090 00000007")
	p, ok := ParseREMB(first(t, vectors.Hex(t, "8fce0004 00000001 00000000 52454d42 00ffffff")))
	if !ok || p.Bits != 1<<64-1 {
		t.Errorf("an estimate beyond 64 bits: %+v", p)
	}
	for name, s := range map[string]string{"source beyond the end": "8fce0004 00000001 00000000 52454d42 01000001",
		"another identifier": "8fce0004 00000001 00000000 52454d43 00000001"} {
		if _, ok := ParseREMB(first(t, vectors.Hex(t, s))); ok {
			t.Error(name)
		}
	}
}

func lost(n NACK) (out []uint16) {
	l := n.Lost()
	for s, ok := l.Next(); ok; s, ok = l.Next() {
		out = append(out, s)
	}
	return out
}

func TestNACK(t *testing.T) {
	for _, v := range []struct {
		seqs  []uint16
		pairs int
	}{{[]uint16{5}, 1}, {[]uint16{5, 6, 21}, 1}, {[]uint16{5, 22}, 2}, {[]uint16{65530, 65535, 0, 10, 11}, 2}, {[]uint16{9, 3}, 2}} {
		pairs := NACKPairs(nil, v.seqs)
		n, ok := ParseNACK(first(t, AppendNACK(nil, 1, 2, pairs)))
		if !ok || n.Sender != 1 || n.Media != 2 || n.Len() != v.pairs || !slices.Equal(lost(n), v.seqs) || n.At(0) != pairs[0] {
			t.Errorf("%v: %v as %v", v.seqs, lost(n), pairs)
		}
	}
	if got := NACKPairs(nil, []uint16{4, 4, 5, 5}); !slices.Equal(got, []NACKPair{{4, 1}}) {
		t.Errorf("repetitions: %v", got)
	}
	if got := NACKPairs([]NACKPair{{1, 0}}, []uint16{2}); len(got) != 2 {
		t.Error("what dst held is changed")
	}
	wantBytes(t, "NACK", AppendNACK(nil, 1, 2, []NACKPair{{0x1234, 0x8001}}), "81cd0003 00000001 00000002 12348001")
	if _, ok := ParseNACK(first(t, vectors.Hex(t, "81cd0002 00000001 00000002"))); ok {
		t.Error("a NACK of nothing")
	}
}

func TestNTP(t *testing.T) {
	at := time.Date(2026, 8, 9, 10, 11, 12, 345678901, time.UTC)
	if got := FromNTP(NTPTime(at), at.Add(-time.Hour)); !got.Equal(at) {
		t.Errorf("%v became %v", at, got)
	}
	if got := NTPTime(time.Date(1900, 1, 1, 0, 0, 1, 5e8, time.UTC)); got != 1<<32|1<<31 {
		t.Errorf("1.5 s is %#x", got)
	}
	wrap := time.Date(2036, 2, 7, 6, 28, 16, 0, time.UTC)
	if NTPTime(wrap) != 0 || !FromNTP(0, at).Equal(wrap) {
		t.Error("the wrap of 2036")
	}
	for d, want := range map[time.Duration]uint32{0: 0, -1: 0, time.Second: 1 << 16, time.Second / 2: 1 << 15, 1 << 62: 1<<32 - 1, 65536 * time.Second: 1<<32 - 1} {
		if got := Delay(d); got != want {
			t.Errorf("Delay(%v) is %d, want %d", d, got, want)
		}
	}
	if DelayDuration(3<<15) != 1500*time.Millisecond {
		t.Error("DelayDuration")
	}
	sr := CompactNTP(NTPTime(at))
	rtt, ok := RoundTrip(at.Add(150*time.Millisecond), ReportBlock{LastSR: sr, Delay: Delay(100 * time.Millisecond)})
	if !ok || (rtt-50*time.Millisecond).Abs() > 50*time.Microsecond {
		t.Errorf("round trip %v, %v", rtt, ok)
	}
	for name, r := range map[string]ReportBlock{"no report": {}, "delay too long": {LastSR: sr, Delay: Delay(time.Second)}} {
		if _, ok := RoundTrip(at.Add(150*time.Millisecond), r); ok {
			t.Error(name)
		}
	}
}

// What is malformed is refused without looking further.
func TestClass09_MalformedCompounds(t *testing.T) {
	for _, v := range []struct {
		name string
		b    string
		want error
	}{
		{"cut header", "80c900", ErrShort},
		{"shorter than its length", "80c90001 000000", ErrShort},
		{"version 1", "40c90001 00000000", ErrVersion},
		{"padding of an empty packet", "a0c90000", ErrPadding},
		{"padding of zero", "a0c90001 00000000", ErrPadding},
		{"padding not of words", "a0c90001 00000003", ErrPadding},
		{"padding longer than the body", "a0c90001 00000008", ErrPadding},
		{"padding of the whole body", "a0c90001 00000004", nil},
		{"nothing but a header", "80c90000", nil},
	} {
		_, _, err := Next(vectors.Hex(t, v.b))
		if err != v.want {
			t.Errorf("%s: %v, want %v", v.name, err, v.want)
		}
		if Valid(vectors.Hex(t, v.b)) != (v.want == nil) {
			t.Errorf("%s: Valid disagrees", v.name)
		}
	}
}

// Every length from 0 to 64 of every type, filled with ones and with zeros.
func TestClass14_ShortPackets(t *testing.T) {
	for typ := 192; typ < 224; typ++ {
		for count := range 32 {
			for n := range 65 {
				for _, fill := range []byte{0, 0xff} {
					b := bytes.Repeat([]byte{fill}, n)
					copy(b, []byte{0x80 | byte(count), byte(typ), 0, byte(max(n/4-1, 0))})
					walk(b)
				}
			}
		}
	}
}

// walk reads all there is in b and returns the number of steps.
func walk(b []byte) (steps int) {
	for len(b) > 0 {
		p, rest, err := Next(b)
		if err != nil {
			return steps
		}
		b, steps = rest, steps+1
		if sr, ok := ParseSR(p); ok {
			for i := range sr.Blocks.Len() {
				sr.Blocks.At(i)
			}
		}
		if rr, ok := ParseRR(p); ok {
			for i := range rr.Blocks.Len() {
				rr.Blocks.At(i)
			}
		}
		steps += len(items(p))
		if bye, ok := ParseBYE(p); ok {
			for i := range bye.SSRCs.Len() {
				bye.SSRCs.At(i)
			}
		}
		ParsePLI(p)
		if f, ok := ParseFIR(p); ok {
			for i := range f.Len() {
				f.At(i)
			}
		}
		if r, ok := ParseREMB(p); ok {
			for i := range r.SSRCs.Len() {
				r.SSRCs.At(i)
			}
		}
		if n, ok := ParseNACK(p); ok {
			steps += len(lost(n))
		}
		if x, ok := ParseXR(p); ok {
			for block, ok := x.Next(); ok; block, ok = x.Next() {
				steps++
				ParseRRTR(block)
				ParseDLRR(block)
				ParseXRSummary(block)
				ParseXRVoIP(block)
				ParseXRTimes(block)
				if t, ok := ParseXRTrace(block); ok {
					bits := t.Bits()
					for _, _, ok := bits.Next(); ok; _, _, ok = bits.Next() {
						steps++
					}
				}
			}
		}
		if f, ok := ParseTWCC(p); ok {
			s := f.Statuses()
			for _, ok := s.Next(); ok; _, ok = s.Next() {
				steps++
			}
		}
	}
	return steps
}

func TestCompoundRules(t *testing.T) {
	rr, sdes, pli := AppendRR(nil, 1, nil), AppendSDES(nil, 1, "x"), AppendPLI(nil, 1, 2)
	app := vectors.Hex(t, "80cc0002 00000001 6e616d65") // skipped, like XR
	for _, v := range []struct {
		name            string
		b               []byte
		valid, compound bool
	}{
		{"empty", nil, false, false},
		{"full", slices.Concat(rr, sdes, app, pli), true, true},
		{"reduced size", pli, true, false},
		{"without CNAME", slices.Concat(rr, pli), true, false},
		{"report not first", slices.Concat(sdes, rr), true, false},
		{"CNAME last", slices.Concat(rr, app, pli, sdes), true, true},
		{"bytes left", append(slices.Concat(rr, sdes), 0x80), false, true},
		{"padding in the middle", slices.Concat(AppendPadding(slices.Clone(rr), 0, 4), sdes), false, true},
		{"padding at the end", AppendPadding(slices.Concat(rr, sdes), len(rr), 8), true, true},
		{"padding of three", AppendPadding(slices.Concat(rr, sdes), len(rr), 3), true, true},
	} {
		if Valid(v.b) != v.valid {
			t.Errorf("%s: Valid is %v", v.name, !v.valid)
		}
		if v.valid && Compound(v.b) != v.compound {
			t.Errorf("%s: Compound is %v", v.name, !v.compound)
		}
	}
	for n := range 256 {
		if IsRTCP([]byte{0x80, byte(n)}) != (n >= 192 && n <= 223) {
			t.Errorf("second byte %d", n)
		}
	}
	if IsRTCP([]byte{0x80}) || IsRTCP(nil) {
		t.Error("one byte is RTCP")
	}
}

func TestNothingAllocates(t *testing.T) {
	b := make([]byte, 0, 4000)
	blocks, pairs := make([]ReportBlock, 3), make([]NACKPair, 0, 10)
	seqs, ssrcs := []uint16{1, 2, 50}, []uint32{1, 2}
	var rec Recorder
	seq := uint16(0)
	once := func() {
		b = AppendSR(b[:0], 1, SenderInfo{}, blocks)
		b = AppendRR(b, 1, blocks)
		b = AppendSDES(b, 1, "name")
		pairs = NACKPairs(pairs[:0], seqs)
		b = AppendNACK(b, 1, 2, pairs)
		b = AppendPLI(b, 1, 2)
		b = AppendREMB(b, 1, 1e6, ssrcs)
		b = AppendBYE(b, "bye", 1, 2)
		for range 50 {
			seq += 1 + seq%3
			rec.Record(seq, 1e9+1e6*1000)
		}
		b = rec.Append(b, 1, 2)
		if !Valid(b) || !Compound(b) {
			t.Fatal("not valid")
		}
		for rest := b; len(rest) > 0; {
			var p Packet
			p, rest, _ = Next(rest)
			if f, ok := ParseTWCC(p); ok {
				s := f.Statuses()
				for _, ok := s.Next(); ok; _, ok = s.Next() {
				}
			}
			if n, ok := ParseNACK(p); ok {
				l := n.Lost()
				for _, ok := l.Next(); ok; _, ok = l.Next() {
				}
			}
		}
	}
	once()
	if n := testing.AllocsPerRun(100, once); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
