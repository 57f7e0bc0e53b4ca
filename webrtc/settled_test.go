package webrtc

import (
	"net/netip"
	"testing"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/ice"
	"github.com/sluicertc/sluice/internal/mono"
)

// The engine remembers no consent check whose response comes from where the
// dataplane knows us; it does as soon as that was seen to be otherwise.
func TestConsentChecksAreExpectedOnlyWhereNeeded(t *testing.T) {
	a, b := newPC(t, Config{Engine: newEngine(t, 2)}), newPC(t, Config{Engine: newEngine(t, 1)})
	must(a.CreateDataChannel("x", nil))(t)
	up := connected(a)
	negotiate(t, a, b, nil)
	await(t, "connection", up)
	err := a.do(func(now mono.Time) error {
		tr := a.transports[0]
		request := []byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}
		indication, response := []byte{0, 0x11}, []byte{1, 1}
		other := ice.Path{Local: tr.selected.Local, Remote: netip.MustParseAddrPort("192.0.2.1:9")}
		arrive := func(known bool) {
			tr.handlePacket(now, &dataplane.Packet{Buf: request, Local: tr.selected.Local, Remote: tr.selected.Remote, Shard: tr.data.Shard(), Known: known})
		}
		arrive(false)
		if !tr.expects(request, tr.selected) {
			t.Error("the response of a request from where nobody knows us would be lost")
		}
		arrive(true)
		if tr.expects(request, tr.selected) || tr.expects(indication, tr.selected) || tr.expects(response, other) {
			t.Error("what needs no memory has it")
		}
		if !tr.expects(request, other) {
			t.Error("the response of another pair would be lost")
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
