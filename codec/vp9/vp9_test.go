package vp9

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
		{"descriptor alone", "08", false},
		{"begin", "08 82", true},
		{"not the beginning", "00 82", false},
		{"predicted", "48 82", false},
		{"short picture id", "88 01 82", true},
		{"long picture id", "88 80 01 82", true},
		{"cut picture id", "88 80", false},
		{"non-flexible layers", "a8 01 00 07 82", true},
		{"non-flexible, upper spatial layer", "a8 01 03 07 82", false},
		{"non-flexible, upper temporal layer", "a8 01 20 07 82", true},
		{"non-flexible, cut TL0PICIDX", "a8 01 00", false},
		{"flexible layers", "b8 01 00 82", true},
		{"flexible, dependent", "b8 01 01 82", false},
		{"flexible, predicted", "f8 01 00 02 82", false},
		{"structure: one layer with size", "8a 01 10 02800168 82", true},
		{"structure: size cut", "8a 01 10 028001", false},
		{"structure: group", "8a 01 08 02 00 14 01 82", true},
		{"structure: group cut", "8a 01 08 02 00 14", false},
		{"structure: three layers, group", "aa 01 00 00 58 01020304 05060708 090a0b0c 01 04 01 82", true},
		{"structure cut", "8a 01", false},
	} {
		if IsKeyframe(vectors.Hex(t, v.b)) != v.want {
			t.Errorf("%s: %v", v.name, !v.want)
		}
	}
}

func TestParse(t *testing.T) {
	got, ok := Parse(vectors.Hex(t, "ed 81 02 b5 09 00"))
	want := Descriptor{Predicted: true, Begin: true, End: true, NotReference: true, PictureID: 0x102, LongID: true,
		TID: 5, SwitchUp: true, SID: 2, Dependent: true, TL0PicIdx: 9, Len: 5}
	if !ok || got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	if got, ok := Parse(vectors.Hex(t, "50 03 05 06 00")); !ok || got.Len != 4 {
		t.Errorf("three references: %+v, %v", got, ok)
	}
	for name, s := range map[string]string{"four references": "50 03 05 07 02 00", "references cut": "50 03"} {
		if _, ok := Parse(vectors.Hex(t, s)); ok {
			t.Error(name)
		}
	}
}

func TestNothingAllocates(t *testing.T) {
	b := vectors.Hex(t, "aa 01 00 00 58 01020304 05060708 090a0b0c 01 04 01 82")
	if n := testing.AllocsPerRun(100, func() { IsKeyframe(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(vectors.Hex(f, "aa 01 00 00 58 01020304 05060708 090a0b0c 01 04 01 82"))
	f.Add(vectors.Hex(f, "f8 01 00 03 02 82"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, ok := Parse(b)
		if ok && (d.Len < 1 || d.Len > len(b)) {
			t.Fatalf("%+v of %d bytes", d, len(b))
		}
		if IsKeyframe(b) && (!ok || d.Len == len(b)) {
			t.Fatal("a key frame without a frame")
		}
	})
}
