package rtp

import (
	"testing"

	"github.com/sluicertc/sluice/internal/vectors"
)

func BenchmarkParse(b *testing.B) {
	raw := vectors.Hex(b, full)
	b.ReportAllocs()
	for range b.N {
		if v, ok := Parse(raw); !ok || v.Seq != 0x1234 {
			b.Fatal("not parsed")
		}
	}
}

func BenchmarkAppendRewritten(b *testing.B) {
	v, _ := Parse(vectors.Hex(b, full))
	r := Rewrite{SSRC: 1, IDs: [16]uint8{1: 2, 5: 6}, Extra: [MaxExtra]ExtPair{{ID: 9, Data: []byte{1, 2, 3}}, {ID: 3, Data: []byte{1, 2}}}}
	dst := make([]byte, 0, 200)
	b.ReportAllocs()
	for range b.N {
		dst = AppendRewritten(dst[:0], v, &r)
	}
}
