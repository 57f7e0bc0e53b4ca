package rtcp

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/sluicertc/sluice/internal/vectors"
)

// xrBlock returns the only block of the only packet of b.
func xrBlock(t testing.TB, b []byte) XRBlock {
	t.Helper()
	p, rest, err := Next(b)
	x, ok := ParseXR(p)
	if err != nil || !ok || len(rest) != 0 {
		t.Fatalf("%x: %v", b, err)
	}
	block, ok := x.Next()
	if _, more := x.Next(); !ok || more {
		t.Fatalf("%x: not one block", b)
	}
	return block
}

// The layouts of RFC 3611 §4, byte by byte.
func TestExtendedReportLayouts(t *testing.T) {
	r := XRRange{SSRC: 0x12345689, Begin: 5, End: 12, Thinning: 1}
	whole := r
	whole.Thinning = 0
	summary := XRSummary{
		XRRange: whole, HasLost: true, HasJitter: true, Hops: XRIPv6, Lost: 1, Duplicates: 2,
		MinJitter: 3, MaxJitter: 4, MeanJitter: 5, JitterSD: 6, MinHops: 7, MaxHops: 8, MeanHops: 9, HopsSD: 10,
	}
	voip := XRVoIP{
		SSRC: 0x0a0b0c0d, LossRate: 1, DiscardRate: 2, BurstDensity: 3, GapDensity: 4, BurstDuration: 0x1111, GapDuration: 0x2222,
		RoundTrip: 0x3333, EndSystem: 0x4444, SignalLevel: -15, NoiseLevel: -70, RERL: XRUnavailable, Gmin: 16, R: 93, ExtR: 127,
		MOSListening: 41, MOSCall: 40, Config: 0xf5, JitterNominal: 60, JitterMax: 120, JitterAbsMax: 500,
	}
	for _, c := range []struct {
		name  string
		b     []byte
		want  string
		check func(b XRBlock) bool
	}{
		{"loss", AppendXRTrace(AppendXR(nil, 1), 0, false, r, []uint16{0x4006, 0x0006, 0x8765}),
			`80cf0006 00000001 01010004 12345689 0005000c 40060006 87650000`, func(b XRBlock) bool {
				x, ok := ParseXRTrace(b)
				return ok && x.XRRange == r && x.Len() == 3 && x.Seq(0) == 6
			}},
		{"duplicates", AppendXRTrace(AppendXR(nil, 1), 0, true, r, []uint16{0x4123, 0x3fff}),
			`80cf0005 00000001 02010003 12345689 0005000c 41233fff`, func(b XRBlock) bool {
				x, ok := ParseXRTrace(b)
				return ok && x.XRRange == r && b.Type == XRDuplicateRLE
			}},
		{"times", AppendXRTimes(AppendXR(nil, 1), 0, r, []uint32{0x11111111, 0x22222222, 0x33333333}),
			`80cf0007 00000001 03010005 12345689 0005000c 11111111 22222222 33333333`, func(b XRBlock) bool {
				x, ok := ParseXRTimes(b)
				return ok && x.Len() == 3 && x.Seq(2) == 10 && x.At(2) == 0x33333333
			}},
		{"rrtr", AppendRRTR(AppendXR(nil, 1), 0, 0x0102030405060708),
			`80cf0004 00000001 04000002 01020304 05060708`, func(b XRBlock) bool {
				ntp, ok := ParseRRTR(b)
				return ok && ntp == 0x0102030405060708
			}},
		{"dlrr", AppendDLRR(AppendXR(nil, 1), 0, []DLRREntry{{0x88888888, 0x12345678, 0x99999999}, {1, 2, 3}}),
			`80cf0008 00000001 05000006 88888888 12345678 99999999 00000001 00000002 00000003`, func(b XRBlock) bool {
				d, ok := ParseDLRR(b)
				return ok && d.Len() == 2 && d.At(1) == DLRREntry{1, 2, 3}
			}},
		{"summary", AppendXRSummary(AppendXR(nil, 1), 0, &summary),
			`80cf000b 00000001 06b00009 12345689 0005000c 00000001 00000002 00000003 00000004 00000005 00000006 0708090a`, func(b XRBlock) bool {
				s, ok := ParseXRSummary(b)
				return ok && s == summary
			}},
		{"voip", AppendXRVoIP(AppendXR(nil, 1), 0, &voip),
			`80cf000a 00000001 07000008 0a0b0c0d 01020304 11112222 33334444 f1ba7f10 5d7f2928 f500003c 007801f4`, func(b XRBlock) bool {
				v, ok := ParseXRVoIP(b)
				return ok && v == voip
			}},
	} {
		wantBytes(t, c.name, c.b, c.want)
		if b := xrBlock(t, c.b); !c.check(b) {
			t.Errorf("%s: does not read as written", c.name)
		}
	}
}

func TestExtendedReportsOfManyBlocks(t *testing.T) {
	b := AppendRR(nil, 1, nil)
	start := len(b)
	b = AppendXR(b, 7)
	b = AppendRRTR(b, start, 1)
	b = append(b, 200, 3, 0, 1, 9, 9, 9, 9) // a type from the future
	b[start+3] += 2
	b = AppendDLRR(b, start, []DLRREntry{{1, 2, 3}})
	if !Valid(b) {
		t.Fatalf("%x", b)
	}
	_, rest, _ := Next(b)
	x, ok := ParseXR(first(t, rest))
	var types []uint8
	for block, ok := x.Next(); ok; block, ok = x.Next() {
		types = append(types, block.Type)
	}
	if !ok || x.Sender != 7 || !slices.Equal(types, []uint8{XRRRTR, 200, XRDLRR}) {
		t.Errorf("%v of %d", types, x.Sender)
	}
	if _, ok := ParseXR(first(t, b)); ok {
		t.Error("a receiver report is an extended one")
	}
}

// A report cannot grow beyond what its length says.
func TestExtendedReportsAreBounded(t *testing.T) {
	b := AppendXR(nil, 1)
	r := XRRange{End: MaxXRPackets}
	for range 9 {
		b = AppendXRTimes(b, 0, r, make([]uint32, MaxXRPackets))
	}
	if !Valid(b) || len(b) > 4<<16 || len(b) < 3<<16 {
		t.Errorf("%d bytes, valid %v", len(b), Valid(b))
	}
	for name, got := range map[string][]byte{
		"count":  AppendXRTimes(nil, 0, XRRange{End: 2}, make([]uint32, 1)),
		"length": AppendXRTimes(nil, 0, XRRange{End: MaxXRPackets + 1}, make([]uint32, MaxXRPackets+1)),
	} {
		if len(got) != 0 {
			t.Errorf("%s: %d bytes", name, len(got))
		}
	}
	if d, ok := ParseDLRR(xrBlock(t, AppendDLRR(AppendXR(nil, 1), 0, make([]DLRREntry, 1000)))); !ok || d.Len() != MaxList {
		t.Errorf("%d entries", d.Len())
	}
	for packets, want := range map[uint16]bool{MaxXRPackets: true, MaxXRPackets + 1: false, 65535: false} {
		block := xrBlock(t, AppendXRTrace(AppendXR(nil, 1), 0, false, XRRange{End: packets}, []uint16{xrMaxRun, xrMaxRun}))
		if _, ok := ParseXRTrace(block); ok != want {
			t.Errorf("a trace of %d packets: %v", packets, ok)
		}
	}
}

func TestClass09_BrokenExtendedReportBlocks(t *testing.T) {
	p := func(s string) Packet { return Packet{Type: TypeXR, Body: vectors.Hex(t, s)} }
	for name, s := range map[string]string{
		"block beyond the end":  "00000001 04000003 00000000 00000000",
		"no room for a block":   "00000001",
		"lengths of everything": "00000001 0400ffff",
	} {
		x, ok := ParseXR(p(s))
		if block, more := x.Next(); !ok || more {
			t.Errorf("%s: %+v", name, block)
		}
		if _, more := x.Next(); more {
			t.Errorf("%s: goes on", name)
		}
	}
	if _, ok := ParseXR(p("")); ok {
		t.Error("no sender")
	}
	for _, s := range []string{"04000001 00000000", "05000002 00000000 00000000", "01000001 00000000", "02000000", "03000000",
		"03000003 00000000 00000002 00000000", "06000008" + string(bytes.Repeat([]byte("00000000"), 8)), "07000000"} {
		x, _ := ParseXR(p("00000001" + s))
		b, ok := x.Next()
		if !ok {
			t.Fatalf("%s is no block", s)
		}
		if xrAgain(nil, 0, b) != nil {
			t.Errorf("%s is taken", s)
		}
	}
	if _, ok := ParseXRTrace(XRBlock{Type: XRRRTR, Body: make([]byte, 8)}); ok {
		t.Error("a reference time is a trace")
	}
}

// Every trace comes back from its chunks, whatever its range and thinning.
func TestTracesComeBack(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	var chunks []uint16
	for range 500 {
		r := XRRange{SSRC: 1, Begin: uint16(rnd.Uint32()), Thinning: uint8(rnd.IntN(16))}
		r.End = r.Begin + uint16(rnd.IntN(1+min(MaxXRPackets<<r.Thinning, 1<<rnd.IntN(17)-1)))
		trace := make([]bool, r.Len())
		flip := 1 + rnd.IntN(40)
		for i := range trace {
			trace[i] = i > 0 && trace[i-1]
			if rnd.IntN(flip) == 0 {
				trace[i] = !trace[i]
			}
		}
		chunks = XRChunks(chunks[:0], trace)
		if len(chunks) > maxXRChunks {
			t.Fatalf("%d chunks", len(chunks))
		}
		x, ok := ParseXRTrace(xrBlock(t, AppendXRTrace(AppendXR(nil, 1), 0, false, r, chunks)))
		if !ok {
			t.Fatal("does not parse")
		}
		it, n := x.Bits(), 0
		for seq, one, ok := it.Next(); ok; seq, one, ok = it.Next() {
			if one != trace[n] || seq != r.Seq(n) || seq%(1<<r.Thinning) != 0 {
				t.Fatalf("%+v: packet %d is %d %v", r, n, seq, one)
			}
			n++
		}
		if n != len(trace) {
			t.Fatalf("%+v: %d packets of %d", r, n, len(trace))
		}
	}
	it := XRBits{chunks: vectors.Hex(t, "4000 4002 0000 ffff"), left: 9, step: 1} // a run of none, of two, the end
	for i := range 2 {
		if seq, one, ok := it.Next(); !ok || !one || int(seq) != i {
			t.Errorf("%d %v %v", seq, one, ok)
		}
	}
	if _, _, ok := it.Next(); ok {
		t.Error("goes on behind the null chunk")
	}
}

func TestExtendedReportsDoNotAllocate(t *testing.T) {
	trace, times := make([]bool, 100), make([]uint32, 100)
	r := XRRange{End: 100}
	var b []byte
	var chunks []uint16
	round := func() {
		b = AppendRRTR(AppendXR(b[:0], 1), 0, 2)
		b = AppendDLRR(b, 0, []DLRREntry{{1, 2, 3}})
		chunks = XRChunks(chunks[:0], trace)
		b = AppendXRTimes(AppendXRTrace(b, 0, false, r, chunks), 0, r, times)
		b = AppendXRVoIP(AppendXRSummary(b, 0, &XRSummary{}), 0, &XRVoIP{})
		if walk(b) == 0 {
			t.Fatal("nothing read")
		}
	}
	round()
	if n := testing.AllocsPerRun(100, round); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// xrAgain appends what the block says to the report at start, nil if no parser
// takes it.
func xrAgain(b []byte, start int, block XRBlock) []byte {
	if ntp, ok := ParseRRTR(block); ok {
		return AppendRRTR(b, start, ntp)
	}
	if d, ok := ParseDLRR(block); ok {
		entries := make([]DLRREntry, d.Len())
		for i := range entries {
			entries[i] = d.At(i)
		}
		return AppendDLRR(b, start, entries)
	}
	if x, ok := ParseXRTrace(block); ok {
		var trace []bool
		it := x.Bits()
		for _, one, ok := it.Next(); ok; _, one, ok = it.Next() {
			trace = append(trace, one)
		}
		return AppendXRTrace(b, start, block.Type == XRDuplicateRLE, x.XRRange, XRChunks(nil, trace))
	}
	if x, ok := ParseXRTimes(block); ok && x.Len() <= MaxXRPackets {
		times := make([]uint32, x.Len())
		for i := range times {
			times[i] = x.At(i)
		}
		return AppendXRTimes(b, start, x.XRRange, times)
	}
	if s, ok := ParseXRSummary(block); ok {
		return AppendXRSummary(b, start, &s)
	}
	if v, ok := ParseXRVoIP(block); ok {
		return AppendXRVoIP(b, start, &v)
	}
	return nil
}

func FuzzXR(f *testing.F) {
	r := XRRange{SSRC: 1, Begin: 65530, End: 30, Thinning: 1}
	b := AppendRRTR(AppendXR(nil, 1), 0, 2)
	b = AppendDLRR(b, 0, []DLRREntry{{1, 2, 3}})
	b = AppendXRTrace(b, 0, false, r, XRChunks(nil, make([]bool, r.Len())))
	b = AppendXRTrace(b, 0, true, r, []uint16{0xffff, 0x4001})
	b = AppendXRTimes(b, 0, r, make([]uint32, r.Len()))
	b = AppendXRVoIP(AppendXRSummary(b, 0, &XRSummary{Hops: XRIPv4}), 0, &XRVoIP{})
	f.Add(b[4:])
	f.Fuzz(func(t *testing.T, body []byte) {
		x, ok := ParseXR(Packet{Type: TypeXR, Body: body[:len(body)&^3]})
		if !ok {
			return
		}
		for block, ok := x.Next(); ok; block, ok = x.Next() {
			once := xrAgain(AppendXR(nil, x.Sender), 0, block)
			if len(once) <= 8 { // none, or too large to be written
				continue
			}
			if twice := xrAgain(AppendXR(nil, x.Sender), 0, xrBlock(t, once)); !bytes.Equal(once, twice) {
				t.Fatalf("%x became %x", once, twice)
			}
		}
	})
}
