package dataplane

import (
	"errors"
	"net/netip"

	"github.com/sluicertc/sluice/bpf"
)

// filter is what drops packets before the sockets see them.
type filter interface {
	Add(remote netip.AddrPort) error
	Delete(remote netip.AddrPort) error
	Stats() (bpf.FilterStats, error)
	Close() error
}

func attachFilter(cfg bpf.FilterConfig) (filter, error) { return bpf.AttachFilter(cfg) }

// knownTo tells a filter which addresses have been authenticated, where no flow
// map does.
type knownTo struct{ filter }

func (k knownTo) Set(remote netip.AddrPort, _ int) error { return k.Add(remote) }

func (k knownTo) Stats() (bpf.Stats, error) { return bpf.Stats{}, nil }

func (k knownTo) Close() error { return nil } // the engine closes the filter

// guard attaches the filter that cfg asks for. Where the system cannot, the
// engine does without, and says so.
func (e *Engine) guard(cfg bpf.FilterConfig, attach func(bpf.FilterConfig) (filter, error)) error {
	if cfg.Interface == "" {
		return nil
	}
	cfg.Ports, cfg.Steering = []uint16{e.addr.Port()}, nil
	if e.steered != nil {
		cfg.Steering, _ = e.steered.flows.(*bpf.Steering)
	}
	f, err := attach(cfg)
	switch {
	case errors.Is(err, bpf.ErrNotSupported):
		e.log.Warn("no filter guards the port", "interface", cfg.Interface, "reason", err)
		return nil
	case err != nil:
		return err
	}
	e.filter = f
	if cfg.Steering == nil {
		e.known = &steering{flows: knownTo{f}, owners: map[netip.AddrPort]*Transport{}}
	}
	return nil
}

// FilterStats tell what the filter did.
type FilterStats struct {
	Active bool // there is one; else all that follows is zero
	bpf.FilterStats
}

func (e *Engine) filterStats() (st FilterStats) {
	if e.filter != nil {
		st.Active = true
		// Counters that cannot be read, as after Close, stay zero.
		st.FilterStats, _ = e.filter.Stats()
	}
	return st
}
