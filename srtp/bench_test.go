package srtp

import (
	"fmt"
	"testing"
)

func BenchmarkProtect(b *testing.B) {
	for _, p := range profiles {
		for _, size := range []int{100, 1200} {
			b.Run(fmt.Sprintf("%v/%dB/fan64", p, size), func(b *testing.B) {
				var batch Batch
				var legs [64]*Context
				var dsts [64][]byte
				for i := range legs {
					legs[i], dsts[i] = newContext(b, p, byte(i)), make([]byte, 1500)
				}
				payload := make([]byte, size)
				b.ReportAllocs()
				for n := 0; n < b.N; n += len(legs) {
					batch.Reset()
					for i := range legs {
						d := dsts[i]
						copy(d, "\x80\x60\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01")
						d[2], d[3] = byte(n>>14), byte(n>>6)
						batch.AddSplit(legs[i], d, 12, payload)
					}
					batch.Protect()
				}
			})
		}
	}
}

// BenchmarkOverhead is Protect without the cryptography.
func BenchmarkOverhead(b *testing.B) {
	for _, p := range profiles {
		b.Run(p.String(), func(b *testing.B) {
			var batch Batch
			var legs [64]*Context
			var dsts [64][]byte
			for i := range legs {
				legs[i], dsts[i] = newContext(b, p, byte(i)), make([]byte, 1500)
				copy(dsts[i], "\x80\x60\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01")
			}
			payload := make([]byte, 100)
			for n := 0; n < b.N; n += len(legs) {
				batch.Reset()
				for i := range legs {
					d := dsts[i]
					d[2], d[3] = byte(n>>14), byte(n>>6)
					batch.AddSplit(legs[i], d, 12, payload)
				}
			}
		})
	}
}
