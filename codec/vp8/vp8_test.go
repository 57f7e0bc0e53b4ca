package vp8

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
		{"descriptor alone", "10", false},
		{"key", "10 00", true},
		{"key, real frame tag", "10 50 42 00 9d 01 2a", true},
		{"inter", "10 01", false},
		{"not the start", "00 00", false},
		{"second partition", "11 00", false},
		{"short picture id", "90 80 7f 00", true},
		{"long picture id", "90 80 ff ff 00", true},
		{"long picture id, inter", "90 80 ff ff 01", false},
		{"everything", "90 f0 80 01 05 60 00", true},
		{"no flags", "90 00 00", true},
		{"cut after X", "90", false},
		{"cut picture id", "90 80", false},
		{"cut long picture id", "90 80 80", false},
		{"cut TL0PICIDX", "90 40", false},
		{"cut TID", "90 20", false},
		{"cut frame tag", "90 f0 80 01 05 60", false},
	} {
		if IsKeyframe(vectors.Hex(t, v.b)) != v.want {
			t.Errorf("%s: %v", v.name, !v.want)
		}
	}
}

func TestParse(t *testing.T) {
	got, ok := Parse(vectors.Hex(t, "b3 f0 81 02 05 a3"))
	want := Descriptor{Start: true, NonReference: true, Partition: 3, PictureID: 0x102, LongID: true, TL0PicIdx: 5, TID: 2, LayerSync: true, KeyIndex: 3, Len: 6}
	if !ok || got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
	got, ok = Parse(vectors.Hex(t, "00"))
	if want = (Descriptor{PictureID: -1, TL0PicIdx: -1, TID: -1, KeyIndex: -1, Len: 1}); !ok || got != want {
		t.Errorf("%+v, want %+v", got, want)
	}
}

func TestNothingAllocates(t *testing.T) {
	b := vectors.Hex(t, "90 f0 80 01 05 60 00")
	if n := testing.AllocsPerRun(100, func() { IsKeyframe(b) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(vectors.Hex(f, "90 f0 80 01 05 60 00"))
	f.Add(vectors.Hex(f, "10 00"))
	f.Fuzz(func(t *testing.T, b []byte) {
		d, ok := Parse(b)
		again := Descriptor{LongID: true, LayerSync: true, TID: 3, KeyIndex: 9, Len: 5}
		if again.Parse(b) != ok || ok && again != d {
			t.Fatalf("in place: %+v, want %+v", again, d)
		}
		if ok && (d.Len < 1 || d.Len > 6 || d.Len > len(b)) {
			t.Fatalf("%+v of %d bytes", d, len(b))
		}
		if IsKeyframe(b) && (!ok || d.Len == len(b)) {
			t.Fatal("a key frame without a frame")
		}
	})
}
