package webrtc

import (
	"log/slog"
	"net"
	"net/netip"
)

// hosts lists the addresses on which the engine's socket can be reached.
func (pc *PeerConnection) hosts() []netip.AddrPort {
	bound := pc.engine.LocalAddr()
	if !bound.Addr().IsUnspecified() {
		return []netip.AddrPort{bound}
	}
	var all, loop []netip.AddrPort
	interfaces, err := net.Interfaces()
	if err != nil {
		pc.log.Warn("cannot list network interfaces", "err", err)
	}
	for _, i := range interfaces {
		if i.Flags&net.FlagUp == 0 || pc.cfg.InterfaceFilter != nil && !pc.cfg.InterfaceFilter(i.Name) {
			continue
		}
		addrs, err := i.Addrs()
		if err != nil {
			continue // the interface has just gone
		}
		for _, a := range addrs {
			p, err := netip.ParsePrefix(a.String())
			if err != nil {
				continue
			}
			ip := p.Addr().Unmap()
			if ip.IsLinkLocalUnicast() || bound.Addr().Is4() && !ip.Is4() ||
				pc.cfg.AddressFilter != nil && !pc.cfg.AddressFilter(ip) {
				continue
			}
			host := netip.AddrPortFrom(ip.WithZone(""), bound.Port())
			if ip.IsLoopback() {
				loop = append(loop, host)
			} else {
				all = append(all, host)
			}
		}
	}
	// A machine without any network still talks to itself.
	if pc.cfg.IncludeLoopback || len(all) == 0 {
		all = append(all, loop...)
	}
	return all[:min(len(all), 32)]
}

// resolve looks STUN servers up. One that cannot be found is left out: the
// other candidates remain.
func resolve(servers []string, log *slog.Logger) []netip.AddrPort {
	var list []netip.AddrPort
	for _, s := range servers {
		a, err := net.ResolveUDPAddr("udp", s)
		if err != nil {
			log.Warn("STUN server not found", "server", s, "err", err)
			continue
		}
		ap := a.AddrPort()
		list = append(list, netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()))
	}
	return list[:min(len(list), 8)]
}
