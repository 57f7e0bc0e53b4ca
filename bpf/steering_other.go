//go:build !linux

package bpf

import (
	"net/netip"
	"syscall"
)

// Steering is a program attached to a group of sockets; there is none on this
// system.
type Steering struct{}

// Supported returns ErrNotSupported.
func Supported() error { return ErrNotSupported }

// New returns ErrNotSupported.
func New([]syscall.RawConn, Config) (*Steering, error) { return nil, ErrNotSupported }

// Set returns ErrNotSupported.
func (*Steering) Set(netip.AddrPort, int) error { return ErrNotSupported }

// Delete returns ErrNotSupported.
func (*Steering) Delete(netip.AddrPort) error { return ErrNotSupported }

// Stats returns ErrNotSupported.
func (*Steering) Stats() (Stats, error) { return Stats{}, ErrNotSupported }

// Close does nothing.
func (*Steering) Close() error { return nil }
