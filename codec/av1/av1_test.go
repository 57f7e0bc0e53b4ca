package av1

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
		{"header alone", "08", false},
		{"N", "08 01 30", true},
		{"N with Z", "88 01 30", false},
		{"one element: sequence header", "10 08 00", true},
		{"one element: frame", "10 30 00", false},
		{"one element: sequence header with extension and size", "10 0e 00 01 00", true},
		{"one element, continued", "90 08 00", false},
		{"two elements: frame header, sequence header", "20 02 18 00 08 00", true},
		{"two elements: continued, then sequence header", "a0 02 18 00 08 00", true},
		{"two elements, neither", "20 02 18 00 30 00", false},
		{"two counted, three there", "20 02 18 00 30 02 08 00", false},
		{"lengths: temporal delimiter, sequence header", "00 01 10 02 08 00", true},
		{"lengths: element of nothing, sequence header", "00 00 02 08 00", true},
		{"length beyond the end", "00 05 08 00", false},
		{"length without end", "00 ff ff ff ff ff ff ff ff ff 08", false},
		{"long length", "00 82 00 08 00", true},
		{"huge length", "00 ff ff ff ff ff ff ff 7f 08", false},
		{"forbidden bit", "10 88 00", false},
	} {
		if IsKeyframe(vectors.Hex(t, v.b)) != v.want {
			t.Errorf("%s: %v", v.name, !v.want)
		}
	}
}

func TestNothingAllocates(t *testing.T) {
	b := vectors.Hex(t, "20 02 18 00 08 00")
	if n := testing.AllocsPerRun(100, func() { IsKeyframe(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzIsKeyframe(f *testing.F) {
	f.Add(vectors.Hex(f, "20 02 18 00 08 00"))
	f.Add(vectors.Hex(f, "00 01 10 02 08 00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		key := IsKeyframe(b)
		// The mark decides alone, and a continued element never does.
		if len(b) > 1 {
			b[0] = b[0]&^continues | newCoded
			if !IsKeyframe(b) {
				t.Fatal("marked, but no key frame")
			}
			b[0] |= continues
			if IsKeyframe(b) {
				t.Fatal("continued and marked")
			}
		} else if key {
			t.Fatal("a key frame without a frame")
		}
	})
}
