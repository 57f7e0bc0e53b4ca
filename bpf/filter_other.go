//go:build !linux

package bpf

import "net/netip"

// Filter is a program on the way in of a network interface; there is none on
// this system.
type Filter struct{}

// FilterSupported returns ErrNotSupported.
func FilterSupported() error { return ErrNotSupported }

// AttachFilter returns ErrNotSupported, or ErrFilter for a configuration that
// makes no sense anywhere.
func AttachFilter(cfg FilterConfig) (*Filter, error) {
	if _, err := cfg.guard(); err != nil {
		return nil, err
	}
	return nil, ErrNotSupported
}

// Mode returns FilterAuto.
func (*Filter) Mode() FilterMode { return FilterAuto }

// Add returns ErrNotSupported.
func (*Filter) Add(netip.AddrPort) error { return ErrNotSupported }

// Delete returns ErrNotSupported.
func (*Filter) Delete(netip.AddrPort) error { return ErrNotSupported }

// Stats returns ErrNotSupported.
func (*Filter) Stats() (FilterStats, error) { return FilterStats{}, ErrNotSupported }

// Close does nothing.
func (*Filter) Close() error { return nil }
