package dataplane

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/sluicertc/sluice/bpf"
	"github.com/sluicertc/sluice/srtp"
)

// fakeFilter is a filter without a kernel.
type fakeFilter struct {
	cfg    bpf.FilterConfig
	known  map[netip.AddrPort]bool
	closed bool
}

func (f *fakeFilter) Add(a netip.AddrPort) error    { f.known[a] = true; return nil }
func (f *fakeFilter) Delete(a netip.AddrPort) error { delete(f.known, a); return nil }
func (f *fakeFilter) Close() error                  { f.closed = true; return nil }
func (f *fakeFilter) Stats() (bpf.FilterStats, error) {
	return bpf.FilterStats{Foreign: 3}, nil
}

func TestFilterKnowsTheAddressesOfTransports(t *testing.T) {
	r := newRig(t, 2)
	f := &fakeFilter{known: map[netip.AddrPort]bool{}}
	if err := r.e.guard(bpf.FilterConfig{Interface: "eth0"}, func(cfg bpf.FilterConfig) (filter, error) { f.cfg = cfg; return f, nil }); err != nil {
		t.Fatal(err)
	}
	if len(f.cfg.Ports) != 1 || f.cfg.Ports[0] != r.e.LocalAddr().Port() || f.cfg.Steering != nil {
		t.Errorf("%+v", f.cfg)
	}
	p := r.newPeer(1, srtp.AEAD_AES_128_GCM)
	if !f.known[p.addr] || len(f.known) != 1 {
		t.Fatalf("known are %v", f.known)
	}
	if p.tr.Shard().Index() != 1 {
		t.Error("a filter moves transports to other shards")
	}
	if st := r.e.Stats(); !st.Filter.Active || st.Filter.Foreign != 3 || st.Steering.Active {
		t.Errorf("%+v, %+v", st.Filter, st.Steering)
	}
	p.tr.Close(nil)
	r.step()
	if len(f.known) != 0 {
		t.Errorf("known are %v after the end", f.known)
	}
	if err := r.e.Close(); err != nil || !f.closed {
		t.Errorf("%v, closed %v", err, f.closed)
	}
}

func TestEngineWithoutFilter(t *testing.T) {
	r := newRig(t, 1)
	refuse := func(err error) func(bpf.FilterConfig) (filter, error) {
		return func(bpf.FilterConfig) (filter, error) { return nil, err }
	}
	if err := r.e.guard(bpf.FilterConfig{}, refuse(errors.New("asked for though no interface is named"))); err != nil {
		t.Error(err)
	}
	if err := r.e.guard(bpf.FilterConfig{Interface: "eth0"}, refuse(bpf.ErrNotSupported)); err != nil {
		t.Error(err)
	}
	broken := errors.New("no such interface")
	if err := r.e.guard(bpf.FilterConfig{Interface: "eth0"}, refuse(broken)); !errors.Is(err, broken) {
		t.Error(err)
	}
	if st := r.e.Stats().Filter; st.Active {
		t.Errorf("%+v", st)
	}
	r.newPeer(0, srtp.AEAD_AES_128_GCM).tr.Close(nil)
	r.step()
}
