package h264

import (
	"testing"

	"github.com/sluicertc/sluice/internal/vectors"
)

func TestIsKeyframe(t *testing.T) {
	for _, v := range []struct {
		name, b string
		want    bool
	}{
		{"empty", "", false},
		{"IDR slice", "65 88", true},
		{"SPS", "67 42", true},
		{"PPS", "68 ce", false},
		{"slice", "41 9a", false},
		{"forbidden bit", "e5 88", false},
		{"STAP-A: SPS and PPS", "78 0002 6742 0002 68ce", true},
		{"STAP-A: PPS, then IDR", "78 0002 68ce 0002 6588", true},
		{"STAP-A: PPS and SEI", "78 0002 68ce 0002 0605", false},
		{"STAP-A: unit beyond the end", "78 0002 68ce 0009 6588", false},
		{"STAP-A: unit of nothing", "78 0000 0002 6588", false},
		{"STAP-A: length cut", "78 00", false},
		{"STAP-A: forbidden bit within", "78 0002 e742", false},
		{"STAP-A: alone", "78", false},
		{"FU-A: IDR start", "7c 85 88", true},
		{"FU-A: IDR middle", "7c 05 88", false},
		{"FU-A: IDR end", "7c 45 88", false},
		{"FU-A: slice start", "7c 81 9a", false},
		{"FU-A: SPS start", "7c 87 42", true},
		{"FU-A: header cut", "7c 85", false},
		{"FU-A: alone", "7c", false},
		{"FU-B", "7d 85 88", false},
	} {
		if IsKeyframe(vectors.Hex(t, v.b)) != v.want {
			t.Errorf("%s: %v", v.name, !v.want)
		}
	}
}

func TestNothingAllocates(t *testing.T) {
	b := vectors.Hex(t, "78 0002 68ce 0002 6588")
	if n := testing.AllocsPerRun(100, func() { IsKeyframe(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzIsKeyframe(f *testing.F) {
	f.Add(vectors.Hex(f, "78 0002 68ce 0002 6588"))
	f.Add(vectors.Hex(f, "7c 85 88"))
	f.Fuzz(func(t *testing.T, b []byte) {
		// A unit that starts a key frame does so in an aggregation too.
		if n := len(b); n > 0 && n < 1<<16 && b[0]&typeMask < typeSTAPA {
			stap := append([]byte{typeSTAPA, byte(n >> 8), byte(n)}, b...)
			if IsKeyframe(stap) != IsKeyframe(b) {
				t.Fatal("differs in an aggregation")
			}
		}
		IsKeyframe(b)
	})
}
