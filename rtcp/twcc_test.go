package rtcp

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/internal/vectors"
)

const ms = mono.Time(time.Millisecond)

// statuses reads all feedback packets of b, in their order.
func statuses(t testing.TB, b []byte) (out []Status, feedback []TWCC) {
	t.Helper()
	if len(b) > 0 && !Valid(b) {
		t.Fatalf("not valid: %x", b)
	}
	for len(b) > 0 {
		p, rest, err := Next(b)
		if err != nil {
			t.Fatal(err)
		}
		f, ok := ParseTWCC(p)
		if !ok {
			t.Fatalf("not parsed: %x", b)
		}
		feedback = append(feedback, f)
		s := f.Statuses()
		for st, ok := s.Next(); ok; st, ok = s.Next() {
			out = append(out, st)
		}
		b = rest
	}
	return out, feedback
}

// The example packets are written out by hand from the draft's §3.1.
func TestFeedbackBytes(t *testing.T) {
	for _, v := range []struct {
		name string
		seqs []uint16
		at   []mono.Time
		want string
	}{
		{"one", []uint16{0x100}, []mono.Time{64 * ms}, "8fcd0005 00000001 00000002 0100 0001 000001 00 2001 00 00"},
		{"a run", []uint16{1, 2, 3}, []mono.Time{64 * ms, 65 * ms, 66 * ms}, "8fcd0006 00000001 00000002 0001 0003 000001 00 2003 00 04 04 000000"},
		{"a loss", []uint16{1, 3}, []mono.Time{64 * ms, 65 * ms}, "8fcd0005 00000001 00000002 0001 0003 000001 00 a800 00 04"},
		{"a large delta", []uint16{1, 2}, []mono.Time{64 * ms, 164 * ms}, "8fcd0006 00000001 00000002 0001 0002 000001 00 d800 00 0190 000000"},
		{"a step back", []uint16{1, 2}, []mono.Time{65 * ms, 64 * ms}, "8fcd0006 00000001 00000002 0001 0002 000001 00 d800 04 fffc 000000"},
		{"late by a quarter of a second", []uint16{1}, []mono.Time{64*ms + 63*ms}, "8fcd0005 00000001 00000002 0001 0001 000001 00 2001 fc 00"},
	} {
		var r Recorder
		for i, s := range v.seqs {
			r.Record(s, v.at[i])
		}
		wantBytes(t, v.name, r.Append(nil, 1, 2), v.want)
		if r.Pending() != 0 || len(r.Append(nil, 1, 2)) != 0 {
			t.Errorf("%s: something is left", v.name)
		}
	}
}

func TestParseTWCCRefuses(t *testing.T) {
	for name, s := range map[string]string{
		"no chunk":               "8fcd0004 00000001 00000002 0001 0001 000001 00",
		"no delta":               "8fcd0005 00000001 00000002 0001 0002 000001 00 4002 0000",
		"reserved symbol, run":   "8fcd0005 00000001 00000002 0001 0001 000001 00 6001 0000",
		"reserved symbol in two": "8fcd0005 00000001 00000002 0001 0001 000001 00 f000 0000",
		"an empty run":           "8fcd0005 00000001 00000002 0001 0001 000001 00 0000 0000",
		"too few chunks":         "8fcd0005 00000001 00000002 0001 2000 000001 00 0fff 0fff",
	} {
		if _, ok := ParseTWCC(first(t, vectors.Hex(t, s))); ok {
			t.Error(name)
		}
	}
	long := "8fcd0006 00000001 00000002 0001 %s 000001 00 1fff 0002 0000 0000"
	for count, want := range map[string]bool{"2000": true, "2001": false} {
		if _, ok := ParseTWCC(first(t, vectors.Hex(t, strings.Replace(long, "%s", count, 1)))); ok != want {
			t.Errorf("%s statuses: %v", count, ok)
		}
	}
	// The twins: a reserved symbol beyond the count, a negative reference.
	f, ok := ParseTWCC(first(t, vectors.Hex(t, "8fcd0005 00000001 00000002 ffff 0001 ffffff 07 cfff 0000")))
	if !ok || f.Reference != -64*time.Millisecond || f.Feedback != 7 || f.Base != 65535 {
		t.Errorf("%+v, %v", f, ok)
	}
}

// ledger compares what a Recorder reports with what it was told.
type ledger struct {
	t        *testing.T
	rec      Recorder
	arrived  map[uint16]mono.Time
	reported map[uint16]bool
	feedback uint8
}

func (l *ledger) record(seq int64, at mono.Time) {
	l.rec.Record(uint16(seq), at)
	if _, dup := l.arrived[uint16(seq)]; !dup {
		l.arrived[uint16(seq)] = at
	}
}

func (l *ledger) flush() {
	for l.rec.Pending() > 0 {
		b := l.rec.Append(nil, 1, 2)
		if len(b) > MaxFeedback || len(b) == 0 {
			l.t.Fatalf("%d bytes", len(b))
		}
		sts, fbs := statuses(l.t, b)
		for _, f := range fbs {
			if f.Feedback != l.feedback {
				l.t.Fatalf("feedback packet %d, want %d", f.Feedback, l.feedback)
			}
			l.feedback++
		}
		for _, s := range sts {
			l.check(s)
		}
	}
}

func (l *ledger) check(s Status) {
	switch {
	case !s.Received && l.reported[s.Seq]:
		l.t.Fatalf("%d called lost after it was reported", s.Seq)
	case !s.Received || l.reported[s.Seq]: // lost, or a duplicate with a time of its own
		return
	}
	const period = time.Duration(1<<24) * refUnit
	at, ok := l.arrived[s.Seq]
	if diff := (time.Duration(at) - s.At) % period; !ok || diff < 0 || diff >= deltaUnit {
		l.t.Fatalf("%d reported at %v, arrived %v, off by %v", s.Seq, s.At, time.Duration(at), diff)
	}
	l.reported[s.Seq] = true
}

// settle checks that nothing was left out, and forgets.
func (l *ledger) settle() {
	for s := range l.arrived {
		if !l.reported[s] {
			l.t.Fatalf("%d never reported", s)
		}
	}
	clear(l.arrived)
	clear(l.reported)
}

// All that was recorded is reported, with its time, under random loss,
// reordering, jitter, pauses and wraps; nothing reported as received is called
// lost afterwards; no datagram is too long.
func TestFeedbackReportsEveryArrival(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 7))
		l := ledger{t: t, arrived: map[uint16]mono.Time{}, reported: map[uint16]bool{}}
		seq, now := int64(r.IntN(65536)), mono.Time(r.Int64N(1<<50))
		first := seq
		for range 60 {
			for range r.IntN(800) {
				seq++
				now += mono.Time(r.Int64N(int64(2 * time.Millisecond)))
				switch r.IntN(200) {
				case 0:
					seq += int64(r.IntN(400))
				case 1:
					now += mono.Time(r.Int64N(int64(12 * time.Second)))
				}
				if r.IntN(10) == 0 {
					continue // lost
				}
				n := seq
				if r.IntN(15) == 0 {
					n = max(seq-int64(r.IntN(40)), first)
				}
				l.record(n, now+mono.Time(r.Int64N(int64(3*time.Millisecond))))
			}
			l.flush()
			if seq-first > 20000 { // numbers come round again
				l.settle()
				first = seq + 1
			}
		}
		l.settle()
		if l.rec.Dropped != 0 {
			t.Errorf("%d dropped", l.rec.Dropped)
		}
	}
}

// A packet that comes after its successors were reported goes out alone.
func TestLateArrivalIsReportedAlone(t *testing.T) {
	var r Recorder
	for _, s := range []uint16{10, 11, 13, 14} {
		r.Record(s, 100*ms)
	}
	r.Append(nil, 1, 2)
	r.Record(12, 150*ms)
	r.Record(16, 151*ms)
	sts, fbs := statuses(t, r.Append(nil, 1, 2))
	want := []Status{{12, true, 150 * time.Millisecond}, {15, false, 0}, {16, true, 151 * time.Millisecond}}
	if len(fbs) != 2 || len(sts) != 3 || sts[0] != want[0] || sts[1] != want[1] || sts[2] != want[2] {
		t.Errorf("%d packets: %+v", len(fbs), sts)
	}
}

func TestLossAtTheEndIsReportedWithWhatFollows(t *testing.T) {
	var r Recorder
	r.Record(65534, ms)
	r.Append(nil, 1, 2)
	r.Record(2, 2*ms)
	sts, _ := statuses(t, r.Append(nil, 1, 2))
	if len(sts) != 4 || sts[0].Seq != 65535 || sts[0].Received || sts[3].Seq != 2 || !sts[3].Received {
		t.Errorf("%+v", sts)
	}
}

func TestRecorderIsBounded(t *testing.T) {
	var r Recorder
	for i := range MaxRecorded + 100 {
		r.Record(uint16(i), mono.Time(i)*ms)
	}
	if r.Pending() != MaxRecorded || r.Dropped != 100 {
		t.Errorf("%d pending, %d dropped", r.Pending(), r.Dropped)
	}
	total := 0
	for r.Pending() > 0 {
		sts, _ := statuses(t, r.Append(nil, 1, 2))
		total += len(sts)
	}
	if total != MaxRecorded {
		t.Errorf("%d reported", total)
	}
}

// A gap too long for one packet starts another, and is not reported.
func TestLongGapSplits(t *testing.T) {
	var r Recorder
	r.Record(1, ms)
	r.Record(2+MaxFeedbackSpan, 2*ms)
	sts, fbs := statuses(t, r.Append(nil, 1, 2))
	if len(fbs) != 2 || len(sts) != 2 || sts[1].Seq != 2+MaxFeedbackSpan {
		t.Errorf("%d packets, %d statuses", len(fbs), len(sts))
	}
	r.Record(1+2*MaxFeedbackSpan, 3*ms)
	if sts, _ = statuses(t, r.Append(nil, 1, 2)); len(sts) != MaxFeedbackSpan-1 {
		t.Errorf("%d statuses", len(sts))
	}
}
