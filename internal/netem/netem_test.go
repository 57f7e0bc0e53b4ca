package netem

import (
	"bytes"
	"encoding/binary"
	"math/bits"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

const t0 = mono.Time(time.Hour)

// run pushes n numbered packets of the given size, one each step, and returns
// what arrives, with the instants.
func run(cfg Config, n, size int, step time.Duration) (got [][]byte, at []mono.Time, st Stats) {
	l := New(cfg)
	for i := range n {
		b := make([]byte, size)
		binary.BigEndian.PutUint32(b, uint32(i))
		l.Push(t0.Add(time.Duration(i)*step), b)
	}
	for l.Next() != 0 {
		now := l.Next()
		b, ok := l.Pop(now)
		if !ok {
			panic("nothing at Next")
		}
		got, at = append(got, b), append(at, now)
	}
	return got, at, l.Stats()
}

func inOrder(got [][]byte) bool {
	for i := 1; i < len(got); i++ {
		if binary.BigEndian.Uint32(got[i]) < binary.BigEndian.Uint32(got[i-1]) {
			return false
		}
	}
	return true
}

func TestZeroConfigDeliversEverythingAtOnceInOrder(t *testing.T) {
	got, at, _ := run(Config{}, 100, 50, time.Millisecond)
	if len(got) != 100 || !inOrder(got) || at[99] != t0.Add(99*time.Millisecond) {
		t.Fatalf("%d packets, last at %v", len(got), at[len(at)-1])
	}
}

func TestSameSeedSameFate(t *testing.T) {
	cfg := Config{Seed: 7, Loss: .1, Duplicate: .1, Corrupt: .1, Reorder: .1, Delay: 20 * time.Millisecond, Jitter: 5 * time.Millisecond, Rate: 4e6}
	a, at, sa := run(cfg, 2000, 500, time.Millisecond)
	b, bt, sb := run(cfg, 2000, 500, time.Millisecond)
	cfg.Seed++
	_, _, sc := run(cfg, 2000, 500, time.Millisecond)
	if sa != sb || len(a) != len(b) {
		t.Fatalf("%+v and %+v", sa, sb)
	}
	if sa == sc {
		t.Error("another seed gave the same counters")
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) || at[i] != bt[i] {
			t.Fatalf("packet %d differs", i)
		}
	}
}

func TestImpairmentsHappenAtTheirRate(t *testing.T) {
	const n = 20000
	_, _, st := run(Config{Seed: 1, Loss: .2, Duplicate: .05, Corrupt: .02, Reorder: .1}, n, 100, time.Millisecond)
	alive := float64(n - st.Lost)
	for _, c := range []struct {
		name string
		got  float64
		want float64
	}{
		{"loss", float64(st.Lost) / n, .2}, {"duplicate", float64(st.Duplicated) / alive, .05},
		{"corrupt", float64(st.Corrupted) / alive, .02}, {"reorder", float64(st.Reordered) / alive, .1},
	} {
		if c.got < c.want*.85 || c.got > c.want*1.15 {
			t.Errorf("%s %.4f, want about %.4f", c.name, c.got, c.want)
		}
	}
}

func TestJitterKeepsOrderAndReorderBreaksIt(t *testing.T) {
	got, _, _ := run(Config{Seed: 3, Delay: 10 * time.Millisecond, Jitter: 50 * time.Millisecond}, 1000, 100, time.Millisecond)
	if !inOrder(got) {
		t.Error("jitter alone reordered packets")
	}
	got, _, _ = run(Config{Seed: 3, Delay: 10 * time.Millisecond, Reorder: .2}, 1000, 100, time.Millisecond)
	if inOrder(got) {
		t.Error("nothing was reordered")
	}
}

func TestCorruptionFlipsOneToThreeBits(t *testing.T) {
	got, _, _ := run(Config{Seed: 5, Corrupt: 1}, 500, 200, time.Millisecond)
	seen := map[int]bool{}
	for i, b := range got {
		binary.BigEndian.PutUint32(b, binary.BigEndian.Uint32(b)^uint32(i))
		n := 0
		for _, x := range b {
			n += bits.OnesCount8(x)
		}
		if n > 3 {
			t.Fatalf("%d bits flipped", n)
		}
		seen[n] = true
	}
	if !seen[1] || !seen[2] || !seen[3] {
		t.Fatalf("counts of flipped bits seen: %v", seen)
	}
}

func TestBottleneckSerialisesAndDropsTheTail(t *testing.T) {
	// 1000 bytes at 8 Mbit/s take one millisecond each; ten fit in the queue.
	got, at, st := run(Config{Rate: 8e6, Queue: 10000}, 100, 1000, 0)
	if len(got) != 10 || st.Overflowed != 90 {
		t.Fatalf("%d arrived, %d overflowed", len(got), st.Overflowed)
	}
	if at[9] != t0.Add(10*time.Millisecond) {
		t.Fatalf("last after %v", at[9].Sub(t0))
	}
}

func TestDownLosesAndMTUDrops(t *testing.T) {
	l := New(Config{MTU: 100})
	l.SetDown(true)
	l.Push(t0, make([]byte, 10))
	l.SetDown(false)
	l.Push(t0, make([]byte, 101))
	l.Push(t0, make([]byte, 100))
	if _, ok := l.Pop(t0 - 1); ok {
		t.Fatal("arrived early")
	}
	if b, ok := l.Pop(t0); !ok || len(b) != 100 {
		t.Fatal("the good packet is missing")
	}
	if st := l.Stats(); st.Lost != 1 || st.Oversized != 1 || st.Delivered != 1 {
		t.Fatalf("%+v", st)
	}
}
