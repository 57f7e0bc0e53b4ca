package dtls

import (
	"runtime"
	"testing"
	"unsafe"

	aead "github.com/sluicertc/sluice/crypto"
)

// A connection that is up holds little: what only its handshake needed is gone. The
// keys, whose expanded form is most of the rest, are counted apart.
func TestConnectedConnHoldsLittle(t *testing.T) {
	if underRace {
		t.Skip("the race detector allocates")
	}
	const pairs = 200
	const most = 4 << 10 // bytes for each end, without its keys
	for _, c := range costCases {
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		ends := make([]*Conn, 0, 2*pairs)
		before := heap()
		for range pairs {
			p := connectedPair(t, c.version, c.groups...)
			for _, e := range p {
				if e.Records() == nil {
					t.Fatal("not connected")
				}
			}
			ends = append(ends, p[0], p[1])
		}
		each := int(heap()-before) / len(ends)
		keys := 2 * int(unsafe.Sizeof(aead.GCMKey{}))
		if c.version == VersionDTLS13 {
			keys += 2 * 512 // of record numbers: crypto/aes's expanded form
		}
		if each-keys > most {
			t.Errorf("%x with %v: %d bytes for each end, %d of them keys", c.version, c.groups[0], each, keys)
		}
		t.Logf("%x with %v: %d bytes for each end, %d of them keys", c.version, c.groups[0], each, keys)
		runtime.KeepAlive(ends)
	}
}
