package sockets

import (
	"encoding/binary"
	"net"
	"net/netip"
	"os"
	"syscall"

	"golang.org/x/sys/unix"

	"github.com/sluicertc/sluice/internal/mono"
)

// routes are the ways to remote addresses over one interface, as the kernel's
// tables have them: it is asked now and then, some 10 µs an address, and keeps
// finding and checking link-layer addresses for what it sends itself.
type routes struct {
	in    *net.Interface
	file  *os.File // a netlink socket
	raw   syscall.RawConn
	known map[pair]*hop
	asks  int // in this write

	request, answer []byte
	size            int // of the answer
	ask             func(fd uintptr)
}

// pair is a remote address and the one to send from; if that is not valid the
// route says it.
type pair struct{ dst, src netip.Addr }

func (r *routes) open(in *net.Interface) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	r.file = os.NewFile(uintptr(fd), "netlink")
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return err
	}
	r.in, r.known = in, map[pair]*hop{}
	r.request, r.answer = make([]byte, 0, 128), make([]byte, 4096)
	r.ask = r.exchange
	r.raw, err = r.file.SyscallConn()
	return err
}

func (r *routes) close() error {
	if r.file == nil {
		return nil
	}
	return r.file.Close()
}

// look returns the way to an address, nil: by the kernel.
func (r *routes) look(p pair, now mono.Time) *hop {
	h := r.known[p]
	if h == nil || now >= h.until {
		if r.asks == maxAsks {
			if h != nil && h.mtu > 0 && now < h.until.Add(hopLife) {
				return h // for as long again
			}
			return nil
		}
		r.asks++
		if h == nil {
			if len(r.known) == maxHops {
				clear(r.known)
			}
			h = new(hop)
			r.known[p] = h
		}
		*h = hop{}
		life := hopRetry
		if r.find(p, h) {
			life = hopLife
		}
		h.until = now.Add(life)
	}
	if h.mtu == 0 {
		return nil
	}
	return h
}

// find asks the kernel for the way, and reports whether it is over the
// interface to a neighbour whose link-layer address is known.
func (r *routes) find(p pair, h *hop) bool {
	if p.src.IsValid() && p.src.Is4() != p.dst.Is4() || p.dst.Zone() != "" {
		return false
	}
	next, mtu, ok := r.route(&p)
	if !ok || !p.src.IsValid() || !r.own(p.src) {
		return false
	}
	to := r.neighbour(next)
	if to == nil {
		return false
	}
	h.lay(p, r.in.HardwareAddr, to)
	h.mtu = mtu
	return true
}

// route asks for the next hop and the path's MTU, and fills in the address to
// send from.
func (r *routes) route(p *pair) (next netip.Addr, mtu int, ok bool) {
	r.begin(unix.RTM_GETROUTE, unix.SizeofRtMsg)
	m := r.request[unix.SizeofNlMsghdr:]
	m[0], m[1] = familyOf(p.dst), byte(p.dst.BitLen())
	r.attr(unix.RTA_DST, p.dst.AsSlice())
	if p.src.IsValid() {
		r.request[unix.SizeofNlMsghdr+2] = byte(p.src.BitLen())
		r.attr(unix.RTA_SRC, p.src.AsSlice())
	}
	b := r.talk(unix.RTM_NEWROUTE, unix.SizeofRtMsg)
	if b == nil || b[7] != unix.RTN_UNICAST {
		return next, 0, false
	}
	next, mtu = p.dst, r.in.MTU
	attrs(b[unix.SizeofRtMsg:], func(kind uint16, v []byte) {
		switch kind {
		case unix.RTA_OIF:
			ok = len(v) == 4 && binary.NativeEndian.Uint32(v) == uint32(r.in.Index)
		case unix.RTA_GATEWAY:
			next, _ = netip.AddrFromSlice(v)
		case unix.RTA_VIA: // a gateway of the other family
			if len(v) > 2 {
				next, _ = netip.AddrFromSlice(v[2:])
			}
		case unix.RTA_PREFSRC:
			if a, told := netip.AddrFromSlice(v); told && !p.src.IsValid() {
				p.src = a
			}
		case unix.RTA_METRICS:
			attrs(v, func(kind uint16, v []byte) {
				if kind == unix.RTAX_MTU && len(v) == 4 {
					mtu = min(mtu, int(binary.NativeEndian.Uint32(v)))
				}
			})
		case unix.RTA_ENCAP, unix.RTA_ENCAP_TYPE:
			next = netip.Addr{}
		}
	})
	return next, mtu, ok && next.IsValid()
}

// own reports whether an address is this machine's: of others the kernel lets
// nobody send without being asked.
func (r *routes) own(a netip.Addr) bool {
	r.begin(unix.RTM_GETROUTE, unix.SizeofRtMsg)
	m := r.request[unix.SizeofNlMsghdr:]
	m[0], m[1] = familyOf(a), byte(a.BitLen())
	r.attr(unix.RTA_DST, a.AsSlice())
	b := r.talk(unix.RTM_NEWROUTE, unix.SizeofRtMsg)
	return b != nil && b[7] == unix.RTN_LOCAL
}

// neighbour asks for a link-layer address that the kernel holds for good or is
// about to check. One that is stale is left to it: what it sends there itself
// has it checked.
func (r *routes) neighbour(next netip.Addr) net.HardwareAddr {
	r.begin(unix.RTM_GETNEIGH, unix.SizeofNdMsg)
	m := r.request[unix.SizeofNlMsghdr:]
	m[0] = familyOf(next)
	binary.NativeEndian.PutUint32(m[4:], uint32(r.in.Index))
	r.attr(unix.NDA_DST, next.AsSlice())
	b := r.talk(unix.RTM_NEWNEIGH, unix.SizeofNdMsg)
	const good = unix.NUD_PERMANENT | unix.NUD_REACHABLE | unix.NUD_DELAY | unix.NUD_PROBE
	if b == nil || binary.NativeEndian.Uint16(b[8:])&good == 0 {
		return nil
	}
	var to net.HardwareAddr
	attrs(b[unix.SizeofNdMsg:], func(kind uint16, v []byte) {
		if kind == unix.NDA_LLADDR && len(v) == 6 {
			to = v
		}
	})
	return to
}

func familyOf(a netip.Addr) byte {
	if a.Is4() {
		return unix.AF_INET
	}
	return unix.AF_INET6
}

// begin starts a request whose own header has size bytes.
func (r *routes) begin(kind uint16, size int) {
	r.request = r.request[:unix.SizeofNlMsghdr+size]
	clear(r.request)
	binary.NativeEndian.PutUint16(r.request[4:], kind)
	binary.NativeEndian.PutUint16(r.request[6:], unix.NLM_F_REQUEST)
}

func (r *routes) attr(kind uint16, v []byte) {
	r.request = binary.NativeEndian.AppendUint16(r.request, uint16(unix.SizeofRtAttr+len(v)))
	r.request = binary.NativeEndian.AppendUint16(r.request, kind)
	r.request = append(r.request, v...) // addresses are of whole words
}

// talk sends the request and returns the answer behind its first header, nil:
// there is none of that kind, with size bytes at least.
func (r *routes) talk(kind uint16, size int) []byte {
	binary.NativeEndian.PutUint32(r.request, uint32(len(r.request)))
	r.size = 0
	if r.raw.Control(r.ask) != nil || r.size < unix.SizeofNlMsghdr+size {
		return nil
	}
	b := r.answer[:r.size]
	n := int(binary.NativeEndian.Uint32(b))
	if binary.NativeEndian.Uint16(b[4:]) != kind || n > len(b) || n < unix.SizeofNlMsghdr+size {
		return nil
	}
	return b[unix.SizeofNlMsghdr:n]
}

// exchange: rtnetlink answers before the call that asks returns.
func (r *routes) exchange(fd uintptr) {
	if unix.Send(int(fd), r.request, unix.MSG_DONTWAIT) != nil {
		return
	}
	n, _, err := unix.Recvfrom(int(fd), r.answer, unix.MSG_DONTWAIT)
	if err == nil {
		r.size = n
	}
}

// attrs calls f with each attribute of rtnetlink(7) in b.
func attrs(b []byte, f func(kind uint16, v []byte)) {
	for len(b) >= unix.SizeofRtAttr {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofRtAttr || n > len(b) {
			return
		}
		f(binary.NativeEndian.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[unix.SizeofRtAttr:n])
		b = b[min((n+3)&^3, len(b)):]
	}
}
