package webrtc

import (
	"io"
	"log/slog"
	"net/netip"
	"testing"

	"github.com/sluicertc/sluice/dataplane"
)

// Handshakes that have to wait for each other all come to their end, whichever
// side begins; those whose connection was closed meanwhile take nobody's turn.
func TestClass33_HandshakesWaitForEachOther(t *testing.T) {
	for _, role := range []DTLSRole{DTLSServer, DTLSClient} {
		e, err := dataplane.New(dataplane.Config{
			Addr: netip.MustParseAddrPort("127.0.0.1:0"), Shards: 1, MaxHandshakes: 1,
			Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
		})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { e.Close() })
		const pairs = 12
		type pair struct {
			a, b *PeerConnection
			open <-chan struct{}
		}
		var all []pair
		for i := range pairs {
			// Packets are told apart by address: the other end has one for each.
			p := pair{a: newPC(t, Config{Engine: e, DTLSRole: role}), b: newPC(t, Config{Engine: newEngine(t, 1), DTLSRole: role})}
			dc := must(p.a.CreateDataChannel("x", nil))(t)
			p.open = opened(dc)
			negotiate(t, p.a, p.b, nil)
			if i%4 == 3 {
				p.b.Close()
				p.a.Close()
				continue
			}
			all = append(all, p)
		}
		for _, p := range all {
			await(t, "open channel", p.open)
		}
	}
}
