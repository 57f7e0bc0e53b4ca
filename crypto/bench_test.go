package crypto

import (
	"fmt"
	"slices"
	"testing"
	"time"
)

// One run of the benchmarks below takes every level in turn, in slices of well
// under a millisecond, so that all of them see the same machine. What counts is
// the tenth percentile of the slices of each, and the median of the ratios to
// the standard library's within a round.
const benchBatch = 64

// a contender is one way to do the same work.
type contender struct {
	name string
	use  func() (restore func())
	run  func()
	n    int // packets, or other units, of a run
}

func interleave(b *testing.B, cs []contender) {
	const rounds = 600
	times := make([][]float64, len(cs))
	for b.Loop() {
		for range rounds {
			for i, c := range cs {
				restore := c.use()
				c.run() // warm
				start := time.Now()
				c.run()
				c.run()
				times[i] = append(times[i], float64(time.Since(start).Nanoseconds())/float64(2*c.n))
				restore()
			}
		}
	}
	for i, c := range cs {
		var ratios []float64
		for r, t := range times[i] {
			ratios = append(ratios, times[0][r]/t)
		}
		slices.Sort(ratios)
		slices.Sort(times[i])
		b.ReportMetric(times[i][len(times[i])/10], c.name+"-ns")
		if i > 0 {
			b.ReportMetric(ratios[len(ratios)/2], c.name+"-x")
		}
	}
	b.ReportMetric(0, "ns/op")
}

// split runs jobs in batches of n.
func split[J any](jobs []J, n int, f func([]J)) func() {
	return func() {
		for i := 0; i < len(jobs); i += n {
			f(jobs[i : i+n])
		}
	}
}

func BenchmarkGCMLevels(b *testing.B) {
	for _, key := range []int{16, 32} {
		for _, batch := range []int{1, 64} {
			for _, n := range []int{16, 100, 300, 1000, 1200, 4000} {
				for _, open := range []bool{false, true} {
					b.Run(fmt.Sprintf("aes%d/%d/batch%d/open=%v", key*8, n, batch, open), func(b *testing.B) {
						var cs []contender
						for _, l := range levels() {
							cs = append(cs, gcmContender(b, l, key, n, batch, open))
						}
						interleave(b, cs)
					})
				}
			}
		}
	}
}

func gcmContender(b *testing.B, l level, key, n, batch int, open bool) contender {
	defer force(l)()
	jobs := make([]GCMJob, benchBatch)
	for i := range jobs {
		buf := make([]byte, 12+n+gcmTag)
		jobs[i] = GCMJob{Key: gcmKey(b, random(uint64(i), key)), AAD: buf[:12], Src: buf[12 : 12+n], Dst: buf[12:]}
	}
	f := SealBatch
	if open {
		SealBatch(jobs)
		apart := make([]byte, n)
		for i := range jobs { // not in place: the packet is opened again
			jobs[i].Src, jobs[i].Dst = jobs[i].Dst, apart
		}
		f = OpenBatch
	}
	return contender{l.String(), func() func() { return force(l) }, split(jobs, batch, f), len(jobs)}
}

// cmLevels are the pairs of levels that a processor would have.
func cmLevels() (pairs []struct {
	aes  level
	hash string
}) {
	for _, p := range []struct {
		aes  level
		hash string
	}{{levelGeneric, "stdlib"}, {levelAESNI, "avx2"}, {levelAESNI, "sha"}, {levelVAES, "sha"}, {levelVAES, "sha+avx2"}, {levelAVX512, "avx512"}} {
		if slices.Contains(levels(), p.aes) && slices.Contains(hashLevelNames(), p.hash) {
			pairs = append(pairs, p)
		}
	}
	return pairs
}

func BenchmarkCMLevels(b *testing.B) {
	for _, batch := range []int{1, 16, 64} {
		for _, n := range []int{100, 1000, 1200} {
			for _, open := range []bool{false, true} {
				b.Run(fmt.Sprintf("%d/batch%d/open=%v", n, batch, open), func(b *testing.B) {
					var cs []contender
					for _, p := range cmLevels() {
						use := func() func() {
							aes, hash := force(p.aes), forceHash(p.hash)
							return func() { hash(); aes() }
						}
						cs = append(cs, cmContender(b, p.aes.String()+"/"+p.hash, use, n, batch, open))
					}
					interleave(b, cs)
				})
			}
		}
	}
}

func cmContender(b *testing.B, name string, use func() func(), n, batch int, open bool) contender {
	defer use()()
	jobs := make([]CMJob, benchBatch)
	for i := range jobs {
		k := cmKey(b, random(uint64(i), 16), random(uint64(i), 20))
		buf := make([]byte, 12+n+10)
		jobs[i] = CMJob{Key: k, Header: 12, TagLen: 10, Dst: buf, Src: buf[12 : 12+n]}
	}
	f := SealCMBatch
	if open {
		SealCMBatch(jobs)
		apart := make([]byte, n)
		for i := range jobs { // not in place: the packet is opened again
			jobs[i].Src, jobs[i].Dst = jobs[i].Dst, apart
		}
		f = OpenCMBatch
	}
	return contender{name, use, split(jobs, batch, f), len(jobs)}
}
