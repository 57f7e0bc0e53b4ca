package dtls

import (
	"crypto/aes"
	"runtime"
	"testing"

	aead "github.com/sluicertc/sluice/crypto"
)

// heapOf is how many bytes of the heap each of n things holds that f makes.
func heapOf[T any](n int, f func() T) int {
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	all := make([]T, 0, n)
	before := heap()
	for range n {
		all = append(all, f())
	}
	held := heap() - before
	runtime.KeepAlive(all)
	return held / n
}

// A connection that is up holds little: what only its handshake needed is gone. The
// keys, whose expanded form is most of the rest, are counted apart.
func TestConnectedConnHoldsLittle(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	const most = 4 << 10 // bytes for each end, without its keys
	gcm := heapOf(1000, func() *aead.GCMKey { k, _ := aead.NewGCMKey(make([]byte, 16)); return k })
	mask := heapOf(1000, func() any { k, _ := aes.NewCipher(make([]byte, 16)); return k })
	for _, c := range costCases {
		pair := heapOf(200, func() [2]*Conn {
			p := connectedPair(t, c.version, c.groups...)
			for _, e := range p {
				if e.Records() == nil {
					t.Fatal("not connected")
				}
			}
			return p
		})
		keys := 2 * gcm
		if c.version == VersionDTLS13 {
			keys += 2 * mask
		}
		t.Logf("%x with %v: %d bytes for each end, %d of them keys", c.version, c.groups[0], pair/2, keys)
		if pair/2-keys > most {
			t.Errorf("more than %d besides the keys", most)
		}
	}
}
