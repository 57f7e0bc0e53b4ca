package sockets

import (
	"encoding/binary"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sluicertc/sluice/internal/mono"
)

// rxControl holds one datagram's ancillary data: packet info (40 bytes for
// IPv6), and the TOS or traffic class byte twice on a dual-stack socket.
const rxControl = 128

// receiver is the reading half: headers, addresses and ancillary buffers laid
// out once and pointed at the caller's buffers before each call.
type receiver struct {
	c     *conn
	hs    [readBatch]mmsghdr
	iovs  [readBatch]unix.Iovec
	names [readBatch]unix.RawSockaddrInet6
	ctl   [readBatch][rxControl]byte

	try  func(fd uintptr)      // read once, for RawConn.Control
	poll func(fd uintptr) bool // read, and wait where nothing is there, for RawConn.Read
	ms   []Message
	n    int
	err  error
}

func (r *receiver) init(c *conn) {
	r.c = c
	for i := range r.hs {
		h := &r.hs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&r.names[i]))
		h.Iov = &r.iovs[i]
		h.SetIovlen(1)
		h.Control = &r.ctl[i][0]
	}
	r.try = func(fd uintptr) { r.recv(fd) }
	r.poll = r.recv
}

// read takes what is there, without waiting.
func (r *receiver) read(ms []Message) (int, error) {
	r.ms, r.n, r.err = ms, 0, nil
	err := r.c.raw.Control(r.try)
	r.ms = nil
	if err != nil {
		return 0, net.ErrClosed
	}
	return r.n, r.err
}

// recv reports false when there was nothing to read.
func (r *receiver) recv(fd uintptr) bool {
	k := min(len(r.ms), readBatch)
	for i := range k {
		b := r.ms[i].Buf[:cap(r.ms[i].Buf)]
		r.iovs[i].Base = unsafe.SliceData(b)
		r.iovs[i].SetLen(len(b))
		h := &r.hs[i].hdr
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(rxControl)
		h.Flags = 0
	}
	n, errno := r.c.sys.recvmmsg(fd, r.hs[:k])
	switch errno {
	case 0:
	case unix.EAGAIN:
		return false
	default:
		// EINTR, or an ICMP error of an earlier send: the next call goes on.
		r.c.stats.readErrors.Add(1)
		return true
	}
	now := mono.Now()
	bytes := 0
	for i := range n {
		bytes += r.take(i, &r.ms[i], now)
	}
	r.n = n
	r.c.stats.reads.Add(1)
	r.c.stats.received.Add(uint64(n))
	r.c.stats.receivedBytes.Add(uint64(bytes))
	return true
}

// take fills m from header i and returns the payload's length.
func (r *receiver) take(i int, m *Message, now mono.Time) int {
	h := &r.hs[i]
	n := int(h.len)
	if h.hdr.Flags&unix.MSG_TRUNC != 0 {
		r.c.stats.truncated.Add(1)
		n = 0
	}
	m.Buf = m.Buf[:cap(m.Buf)][:n]
	m.Addr = decodeName(&r.names[i])
	m.Seg, m.ECN, m.At = 0, 0, now
	m.Local = netip.Addr{}
	if !r.c.anyAddr {
		m.Local = r.c.local.Addr()
	}
	parseControl(r.ctl[i][:min(int(h.hdr.Controllen), rxControl)], m)
	return n
}

func decodeName(sa *unix.RawSockaddrInet6) netip.AddrPort {
	port := ntohs(sa.Port)
	if sa.Family == unix.AF_INET {
		sa4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		return netip.AddrPortFrom(netip.AddrFrom4(sa4.Addr), port)
	}
	return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), port)
}

// ntohs reads a port as it lies in memory, in network order.
func ntohs(p uint16) uint16 {
	return binary.BigEndian.Uint16((*[2]byte)(unsafe.Pointer(&p))[:])
}

// parseControl reads the destination address and the ECN codepoint.
func parseControl(b []byte, m *Message) {
	const align = int(unsafe.Sizeof(uintptr(0)))
	for len(b) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		size := int(h.Len)
		if size < unix.SizeofCmsghdr || size > len(b) {
			return
		}
		data := b[unix.CmsgLen(0):size]
		switch {
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
			m.Local = netip.AddrFrom4([4]byte(data[8:12]))
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
			m.Local = netip.AddrFrom16([16]byte(data[:16])).Unmap()
		case h.Level == unix.IPPROTO_IP && h.Type == unix.IP_TOS && len(data) >= 1:
			m.ECN = data[0] & 3
		case h.Level == unix.IPPROTO_IPV6 && h.Type == unix.IPV6_TCLASS && len(data) >= 4:
			m.ECN = uint8(binary.NativeEndian.Uint32(data)) & 3
		}
		b = b[min((size+align-1)&^(align-1), len(b)):]
	}
}
