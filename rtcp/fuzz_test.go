package rtcp

import (
	"bytes"
	"slices"
	"testing"

	"github.com/sluicertc/sluice/internal/mono"
)

// again writes what p says with AppendX, or returns nil if no parser takes it.
func again(p Packet) []byte {
	if sr, ok := ParseSR(p); ok {
		blocks := make([]ReportBlock, sr.Blocks.Len())
		for i := range blocks {
			blocks[i] = sr.Blocks.At(i)
		}
		return AppendSR(nil, sr.SSRC, sr.Info, blocks)
	}
	if rr, ok := ParseRR(p); ok {
		blocks := make([]ReportBlock, rr.Blocks.Len())
		for i := range blocks {
			blocks[i] = rr.Blocks.At(i)
		}
		return AppendRR(nil, rr.SSRC, blocks)
	}
	if bye, ok := ParseBYE(p); ok {
		return AppendBYE(nil, string(bye.Reason), list(bye.SSRCs)...)
	}
	if pli, ok := ParsePLI(p); ok {
		return AppendPLI(nil, pli.Sender, pli.Media)
	}
	if f, ok := ParseFIR(p); ok && f.Len() <= MaxList {
		entries := make([]FIREntry, f.Len())
		for i := range entries {
			entries[i] = f.At(i)
		}
		return AppendFIR(nil, f.Sender, entries)
	}
	if r, ok := ParseREMB(p); ok {
		return AppendREMB(nil, r.Sender, r.Bits, list(r.SSRCs))
	}
	if n, ok := ParseNACK(p); ok && n.Len() <= MaxList {
		pairs := make([]NACKPair, n.Len())
		for i := range pairs {
			pairs[i] = n.At(i)
		}
		return AppendNACK(nil, n.Sender, n.Media, pairs)
	}
	return nil
}

func list(s SSRCs) (out []uint32) {
	for i := range s.Len() {
		out = append(out, s.At(i))
	}
	return out
}

func FuzzNext(f *testing.F) {
	f.Add(slices.Concat(AppendSR(nil, 1, SenderInfo{NTP: 2}, []ReportBlock{{SSRC: 3}}), AppendSDES(nil, 1, "x"),
		AppendNACK(nil, 1, 2, []NACKPair{{3, 4}}), AppendPLI(nil, 1, 2), AppendFIR(nil, 1, []FIREntry{{2, 3}}),
		AppendREMB(nil, 1, 1e6, []uint32{4}), AppendBYE(nil, "why", 1)))
	var r Recorder
	for i := range uint16(100) {
		r.Record(i*i, mono.Time(i)*50*ms)
	}
	f.Add(r.Append(nil, 1, 2))
	f.Add(AppendPadding(AppendRR(nil, 1, nil), 0, 8))
	f.Fuzz(func(t *testing.T, b []byte) {
		orig := bytes.Clone(b)
		if steps := walk(b); steps > len(b)*MaxFeedbackSpan/8 {
			t.Fatalf("%d steps for %d bytes", steps, len(b))
		}
		Compound(b)
		valid := Valid(b)
		for rest := b; len(rest) > 0; {
			p, r, err := Next(rest)
			if err != nil {
				if valid {
					t.Fatal("valid, but does not parse")
				}
				break
			}
			rest = r
			// What was parsed and written once, stays as it is from then on.
			if once := again(p); once != nil {
				p2, left, err := Next(once)
				if err != nil || len(left) != 0 {
					t.Fatalf("written packet does not parse: %x", once)
				}
				if twice := again(p2); !bytes.Equal(once, twice) {
					t.Fatalf("%x became %x", once, twice)
				}
			}
		}
		if !bytes.Equal(b, orig) {
			t.Fatal("reading wrote")
		}
	})
}

// Any script of arrivals is reported completely, in packets that parse.
func FuzzRecorder(f *testing.F) {
	f.Add([]byte{0, 1, 0, 0, 2, 1, 0xff, 0xff, 0xff, 0, 1, 0, 0x80, 0, 9})
	f.Fuzz(func(t *testing.T, script []byte) {
		var r Recorder
		now := mono.Time(1e12)
		pending := map[uint16]bool{}
		for ; len(script) >= 3; script = script[3:] {
			seq := uint16(script[0])<<8 | uint16(script[1])
			now += mono.Time(script[2]) * mono.Time(script[2]) * ms
			r.Record(seq, now)
			pending[seq] = true
			if script[2]%16 == 15 {
				break
			}
		}
		for r.Pending() > 0 {
			b := r.Append(nil, 1, 2)
			if len(b) == 0 || len(b) > MaxFeedback {
				t.Fatalf("%d bytes", len(b))
			}
			sts, _ := statuses(t, b)
			for _, s := range sts {
				if s.Received {
					delete(pending, s.Seq)
				}
			}
		}
		if len(pending) > 0 {
			t.Fatalf("never reported: %v", pending)
		}
	})
}
