package main

import (
	"errors"
	"net"
	"net/netip"
)

// ownAddress returns an IPv4 address of this machine outside the loopback
// network. What this machine sends to itself there does not leave the kernel.
func ownAddress() (netip.Addr, error) {
	list, err := net.InterfaceAddrs()
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range list {
		p, err := netip.ParsePrefix(a.String())
		if addr := p.Addr().Unmap(); err == nil && addr.Is4() && !addr.IsLoopback() && !addr.IsLinkLocalUnicast() {
			return addr, nil
		}
	}
	return netip.Addr{}, errors.New("this machine has no other IPv4 address")
}
