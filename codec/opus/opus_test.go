package opus

import (
	"testing"
	"time"
)

func TestDuration(t *testing.T) {
	const ms = time.Millisecond
	for _, v := range []struct {
		name string
		b    []byte
		want time.Duration
		ok   bool
	}{
		{"empty", nil, 0, false},
		{"SILK 10", []byte{0 << 3}, 10 * ms, true},
		{"SILK 40", []byte{2 << 3}, 40 * ms, true},
		{"SILK 60", []byte{11 << 3}, 60 * ms, true},
		{"SILK 60, two", []byte{11<<3 | 1}, 120 * ms, true},
		{"SILK 60, three", []byte{11<<3 | 3, 3}, 180 * ms, false},
		{"hybrid 10", []byte{12 << 3}, 10 * ms, true},
		{"hybrid 20", []byte{15 << 3}, 20 * ms, true},
		{"CELT 2.5", []byte{16 << 3}, 2500 * time.Microsecond, true},
		{"CELT 20, libwebrtc's", []byte{31<<3 | 4}, 20 * ms, true},
		{"CELT 20, two of different length", []byte{31<<3 | 2}, 40 * ms, true},
		{"CELT 2.5, 48 frames", []byte{16<<3 | 3, 0xc0 | 48}, 120 * ms, true},
		{"CELT 2.5, 49 frames", []byte{16<<3 | 3, 49}, 122500 * time.Microsecond, false},
		{"no frames", []byte{3, 0}, 0, false},
		{"count missing", []byte{3}, 0, false},
	} {
		if got, ok := Duration(v.b); ok != v.ok || (ok && got != v.want) {
			t.Errorf("%s: %v, %v", v.name, got, ok)
		}
	}
}

func FuzzDuration(f *testing.F) {
	f.Add([]byte{0xfc, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if d, ok := Duration(b); ok && (d < 2500*time.Microsecond || d > MaxDuration || d%(2500*time.Microsecond) != 0) {
			t.Fatalf("%v", d)
		}
	})
}
