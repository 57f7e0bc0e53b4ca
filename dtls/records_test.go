package dtls

import (
	"bytes"
	"encoding/binary"
	"fmt"
	mrand "math/rand/v2"
	"slices"
	"testing"
)

// recordPair makes two record layers that talk to each other.
func recordPair(t testing.TB) (a, b *Records) {
	t.Helper()
	k1, k2 := bytes.Repeat([]byte{1}, 16), bytes.Repeat([]byte{2}, 16)
	iv1, iv2 := [4]byte{1, 2, 3, 4}, [4]byte{5, 6, 7, 8}
	a, err := newRecords12(false, k1, k2, iv1[:], iv2[:])
	if err != nil {
		t.Fatal(err)
	}
	b, err = newRecords12(false, k2, k1, iv2[:], iv1[:])
	if err != nil {
		t.Fatal(err)
	}
	return a, b
}

func seal(t testing.TB, r *Records, msg []byte) []byte {
	t.Helper()
	b := make([]byte, len(msg)+r.Overhead())
	n, err := r.Seal(b, msg)
	if err != nil || n != len(b) {
		t.Fatal(n, err)
	}
	return b
}

func TestRecordsRoundTripInEveryPlace(t *testing.T) {
	a, b := recordPair(t)
	for _, n := range []int{0, 1, 15, 16, 17, 1200, maxFragment} {
		msg := make([]byte, n)
		for i := range msg {
			msg[i] = byte(i)
		}
		apart := make([]byte, n+RecordOverhead)
		front := append(slices.Clone(msg), make([]byte, RecordOverhead)...)
		within := make([]byte, n+RecordOverhead)
		copy(within[RecordHeadroom:], msg)
		for where, s := range map[string][2][]byte{
			"apart": {apart, msg}, "front": {front, front[:n]}, "within": {within, within[RecordHeadroom : RecordHeadroom+n]},
		} {
			k, err := a.Seal(s[0], s[1])
			if err != nil || k != n+RecordOverhead {
				t.Fatalf("seal %s %d: %d %v", where, n, k, err)
			}
			rec, rest, ok := SplitRecord(s[0])
			if !ok || len(rest) != 0 || len(rec) != k || Epoch(rec) != 1 {
				t.Fatalf("sealed record does not split")
			}
			for at, dst := range map[string]func(r []byte) []byte{
				"apart":      func(r []byte) []byte { return make([]byte, n) },
				"record":     func(r []byte) []byte { return r },
				"payload":    func(r []byte) []byte { return r[headerLen:] },
				"ciphertext": func(r []byte) []byte { return r[RecordHeadroom:] },
			} {
				r := slices.Clone(rec)
				saved := b.open.window
				d := dst(r)
				m, typ, err := b.Open(d, r)
				if err != nil || typ != ContentApplicationData || !bytes.Equal(d[:m], msg) {
					t.Fatalf("open %s %d: %v", at, n, err)
				}
				b.open.window = saved
			}
		}
	}
}

func TestRecordsRefuse(t *testing.T) {
	a, b := recordPair(t)
	good := seal(t, a, []byte("hello"))
	change := func(at int, v byte) []byte {
		r := slices.Clone(good)
		r[at] = v
		return r
	}
	for name, tc := range map[string]struct {
		rec []byte
		err error
	}{
		"epoch 0":     {change(4, 0), ErrEpoch},
		"epoch 2":     {change(4, 2), ErrEpoch},
		"version":     {change(2, 0xff), ErrRecord},
		"ccs":         {change(0, ContentChangeCipherSpec), ErrAuth},
		"heartbeat":   {change(0, 24), ErrAuth},
		"type":        {change(0, ContentAlert), ErrAuth},
		"sequence":    {change(10, 9), ErrAuth},
		"length":      {change(12, 3), ErrRecord},
		"cut":         {good[:len(good)-1], ErrRecord},
		"short":       {good[:RecordOverhead-1], ErrRecord},
		"empty":       {nil, ErrRecord},
		"plaintext":   {plainRecord(ContentApplicationData, []byte("x")), ErrEpoch},
		"plain alert": {plainRecord(ContentAlert, []byte{2, 40}), ErrEpoch},
	} {
		if n, typ, err := b.Open(make([]byte, 64), tc.rec); err != tc.err || n != 0 || typ != 0 {
			t.Errorf("%s: %d %d %v, want %v", name, n, typ, err, tc.err)
		}
	}
	if _, _, err := b.Open(make([]byte, 4), good); err != ErrShortBuffer {
		t.Error(err)
	}
	if n, _, err := b.Open(make([]byte, 5), good); err != nil || n != 5 {
		t.Error("the good record was not accepted after all that:", err)
	}
	if _, err := a.Seal(make([]byte, 41), []byte("hello")); err != ErrShortBuffer {
		t.Error(err)
	}
	if _, err := a.Seal(make([]byte, 1<<15), make([]byte, maxFragment+1)); err != ErrTooLong {
		t.Error(err)
	}
	if _, err := a.SealAs(make([]byte, 99), ContentChangeCipherSpec, []byte{1}); err != ErrContentType {
		t.Error(err)
	}
	s := b.Stats()
	if s.Opened != 1 || s.Forged != 4 || s.Epoch != 4 || s.Malformed != 5 {
		t.Errorf("%+v", s)
	}
}

// A peer that sends more than 2^14 bytes in a record breaks RFC 6347 §4.1.
func TestOpenRefusesOverlongRecord(t *testing.T) {
	_, b := recordPair(t)
	rec := make([]byte, maxFragment+1+RecordOverhead)
	putHeader(rec, ContentApplicationData, 1<<48, len(rec)-headerLen)
	if _, _, err := b.Open(make([]byte, len(rec)), rec); err != ErrRecord {
		t.Fatal(err)
	}
}

func TestKeysAreUsedUpAtTheirLimits(t *testing.T) {
	a, b := recordPair(t)
	a.seal.next = maxSequence
	rec := seal(t, a, []byte("last"))
	if sequence(rec) != maxSequence {
		t.Fatal("wrong sequence number")
	}
	if _, _, err := b.Open(make([]byte, 9), rec); err != nil {
		t.Fatal(err)
	}
	if _, err := a.Seal(make([]byte, 99), []byte("x")); err != ErrKeyExhausted || !a.Exhausted() {
		t.Fatal("2^48 records and one:", err)
	}
	a, b = recordPair(t)
	a.seal.blocks = maxSealBlocks - 2
	seal(t, a, make([]byte, 16))
	if _, err := a.Seal(make([]byte, 99), nil); err != ErrKeyExhausted {
		t.Fatal("confidentiality limit:", err)
	}
	rec = seal(t, b, []byte("x"))
	a.stats.Forged = maxForgeries
	if _, _, err := a.Open(make([]byte, 99), rec); err != ErrKeyExhausted {
		t.Fatal("integrity limit:", err)
	}
}

func TestBatchesEqualSingles(t *testing.T) {
	var batch Batch
	const peers, each = 3, 20
	var sealers, openers, twins [peers]*Records
	for i := range sealers {
		sealers[i], openers[i] = recordPair(t)
		twins[i], _ = recordPair(t)
	}
	var jobs []RecordJob
	for k := 0; k < each; k++ {
		for i := range sealers {
			msg := []byte(fmt.Sprintf("message %d to %d", k, i))
			jobs = append(jobs, RecordJob{Records: sealers[i], Src: msg, Dst: make([]byte, len(msg)+RecordOverhead)})
		}
	}
	jobs[7].Dst = jobs[7].Dst[:3]
	batch.SealBatch(jobs)
	var opens []RecordJob
	for i, j := range jobs {
		if i == 7 {
			if j.Err != ErrShortBuffer || j.N != 0 {
				t.Fatal(j.Err)
			}
			continue
		}
		want := seal(t, twins[i%peers], j.Src)
		if j.Err != nil || !bytes.Equal(j.Dst[:j.N], want) {
			t.Fatalf("job %d: %v", i, j.Err)
		}
		opens = append(opens, RecordJob{Records: openers[i%peers], Src: j.Dst[:j.N], Dst: j.Dst[RecordHeadroom:]})
	}
	opens[3].Src = slices.Clone(opens[3].Src)
	opens[3].Dst = make([]byte, 99)
	again := opens[3]
	again.Src, again.Dst = slices.Clone(again.Src), make([]byte, 99)
	forged := again
	forged.Src = slices.Clone(again.Src)
	forged.Src[len(forged.Src)-1] ^= 1
	opens = slices.Insert(opens, 4, forged, again, RecordJob{Records: openers[0], Src: []byte{1}})
	batch.OpenBatch(opens)
	for i, j := range opens {
		var want error
		switch i {
		case 4:
			want = ErrAuth
		case 5:
			want = ErrReplay
		case 6:
			want = ErrRecord
		}
		if j.Err != want || (want == nil) != (j.ContentType == ContentApplicationData) {
			t.Fatalf("job %d: %v, want %v", i, j.Err, want)
		}
		if want == nil && !bytes.HasPrefix(j.Dst[:j.N], []byte("message ")) {
			t.Fatalf("job %d: %q", i, j.Dst[:j.N])
		}
	}
}

func TestRecordsAllocateNothing(t *testing.T) {
	a, b := recordPair(t)
	msg, rec, out := make([]byte, 1200), make([]byte, 1300), make([]byte, 1300)
	check := func(name string, f func()) {
		t.Helper()
		if n := testing.AllocsPerRun(200, f); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
	check("Seal and Open", func() {
		n, err := a.Seal(rec, msg)
		if err != nil {
			t.Fatal(err)
		}
		r, _, _ := SplitRecord(rec[:n])
		if _, _, err := b.Open(out, r); err != nil {
			t.Fatal(err)
		}
	})
	check("Open of forgeries and replays", func() {
		rec[700] ^= 1
		b.Open(out, rec[:1200+RecordOverhead])
	})
	var batch Batch
	seals, opens := make([]RecordJob, 16), make([]RecordJob, 16)
	buf := make([]byte, 16*1300)
	check("batches", func() {
		for i := range seals {
			seals[i] = RecordJob{Records: a, Src: msg, Dst: buf[i*1300 : (i+1)*1300]}
		}
		batch.SealBatch(seals)
		for i := range opens {
			opens[i] = RecordJob{Records: b, Src: seals[i].Dst[:seals[i].N], Dst: seals[i].Dst}
		}
		batch.OpenBatch(opens)
		for i := range opens {
			if opens[i].Err != nil {
				t.Fatal(opens[i].Err)
			}
		}
	})
}

func TestReplayWindowAgainstModel(t *testing.T) {
	for seed := uint64(0); seed < 20; seed++ {
		rng := mrand.New(mrand.NewPCG(seed, 2))
		var w replayWindow
		seen := map[uint64]bool{}
		top, any := uint64(0), false
		base := uint64(0)
		for i := 0; i < 5000; i++ {
			switch rng.IntN(50) {
			case 0:
				base += rng.Uint64N(2000)
			case 1:
				base += rng.Uint64N(1 << 40)
			default:
				base += rng.Uint64N(3)
			}
			seq := base - min(base, rng.Uint64N(300))
			got := w.fresh(seq)
			switch {
			case seen[seq] && got:
				t.Fatalf("seed %d: %d accepted twice", seed, seq)
			case !seen[seq] && !got && (!any || top < seq || top-seq < 192):
				t.Fatalf("seed %d: %d refused, top %d", seed, seq, top)
			case any && top > seq && top-seq >= 256 && got:
				t.Fatalf("seed %d: %d accepted, top %d", seed, seq, top)
			}
			if got {
				w.accept(seq)
				seen[seq], any = true, true
				top = max(top, seq)
			}
		}
	}
}

func TestSplitRecordNeedsAWholeRecord(t *testing.T) {
	two := append(plainRecord(22, []byte("abc")), plainRecord(21, nil)...)
	rec, rest, ok := SplitRecord(two)
	if !ok || len(rec) != 16 || len(rest) != 13 || cap(rec) != 16 {
		t.Fatal(len(rec), len(rest), ok)
	}
	for n := 0; n < 16; n++ {
		if _, _, ok := SplitRecord(two[:n]); ok {
			t.Fatalf("%d bytes are a record", n)
		}
	}
	long := make([]byte, 1<<16)
	binary.BigEndian.PutUint16(long[11:], maxPayload+1)
	if _, _, ok := SplitRecord(long); ok {
		t.Fatal("a record longer than allowed")
	}
}

func BenchmarkRecords(b *testing.B) {
	a, o := recordPair(b)
	msg, rec := make([]byte, 1200), make([]byte, 1300)
	b.Run("seal/1200B", func(b *testing.B) {
		b.SetBytes(1200)
		for b.Loop() {
			a.Seal(rec, msg)
		}
	})
	b.Run("seal+open/1200B", func(b *testing.B) {
		b.SetBytes(1200)
		out := make([]byte, 1300)
		for b.Loop() {
			n, _ := a.Seal(rec, msg)
			if _, _, err := o.Open(out, rec[:n]); err != nil {
				b.Fatal(err)
			}
		}
	})
}
