package sockets

import (
	"encoding/binary"
	"net"
	"net/netip"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sluicertc/sluice/internal/mono"
)

// rxControl holds one datagram's ancillary data: packet info (40 bytes for
// IPv6), the TOS or traffic class byte, twice on a dual-stack socket (48), the
// time of arrival (32), the count of overflows (24) and the size of a run's
// segments (24).
const rxControl = 192

// receiver is the reading half: headers, addresses and ancillary buffers laid
// out once and pointed at the caller's buffers before each call.
type receiver struct {
	c     *conn
	hs    [readBatch]mmsghdr
	iovs  [readBatch][2]unix.Iovec // the message's buffer, and the landing behind it
	names [readBatch]unix.RawSockaddrInet6
	ctl   [readBatch][rxControl]byte

	recv  func(fd uintptr) // for RawConn.Control
	ms    []Message
	asked int       // headers laid out
	found int       // of them, filled
	n     int       // messages filled
	want  int       // headers to lay out for the next read
	runs  *runs     // nil: datagrams come one by one
	now   mono.Time // of the last read that found something
	wall  int64     // the same by the system's clock, in nanoseconds
}

func (r *receiver) init(c *conn) {
	r.c = c
	for i := range r.hs {
		h := &r.hs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&r.names[i]))
		h.Iov = &r.iovs[i][0]
		h.SetIovlen(1)
		h.Control = &r.ctl[i][0]
	}
	r.recv, r.want = r.once, fewHeaders
}

// fewHeaders is how many headers are laid out where few datagrams were found
// the last time: all of them cost as much as a datagram.
const fewHeaders = 16

// read takes what is there, without waiting.
func (r *receiver) read(ms []Message) (int, error) {
	ms = ms[:min(len(ms), readBatch)]
	total := 0
	if r.runs != nil {
		total = r.take(ms)
	}
	for total < len(ms) {
		r.ms, r.found, r.n = ms[total:], 0, 0
		r.asked = min(len(r.ms), r.want)
		if r.merges() {
			r.asked = r.runs.headers(r.asked)
		}
		err := r.c.raw.Control(r.recv)
		r.ms = nil
		if err != nil {
			return 0, net.ErrClosed
		}
		total += r.n
		if r.found < r.asked {
			break
		}
		r.want = readBatch
	}
	if total <= fewHeaders/2 {
		r.want = fewHeaders
	}
	return total, nil
}

// merges is whether runs may come.
func (r *receiver) merges() bool { return r.runs != nil && !r.runs.off }

func (r *receiver) once(fd uintptr) {
	for i := range r.asked {
		b := r.ms[i].Buf[:cap(r.ms[i].Buf)]
		r.iovs[i][0].Base = unsafe.SliceData(b)
		r.iovs[i][0].SetLen(len(b))
		h := &r.hs[i].hdr
		h.Namelen = unix.SizeofSockaddrInet6
		h.SetControllen(rxControl)
		h.Flags = 0
	}
	n, errno := r.c.sys.recvmmsg(fd, r.hs[:r.asked])
	switch errno {
	case 0:
	case unix.EAGAIN:
		return
	default:
		// EINTR, or an ICMP error of an earlier send: the next call goes on.
		r.c.stats.readErrors.Add(1)
		return
	}
	now := time.Now()
	r.now, r.wall = mono.FromWall(now), now.UnixNano()
	bytes, merged := 0, 0
	for i := range n {
		size, seg := r.decode(i, &r.ms[i])
		bytes += size
		if r.merges() {
			r.runs.size[i], r.runs.seg[i] = size, seg
			if seg > 0 {
				merged++
			}
		}
	}
	datagrams := n
	r.found, r.n = n, n
	if merged > 0 {
		datagrams, r.n = r.split(n)
		r.c.stats.groRuns.Add(uint64(merged))
	}
	if r.merges() {
		r.runs.each = max(datagrams/max(n, 1), 1)
		if r.runs.lost {
			r.single(fd)
		}
	}
	r.c.stats.reads.Add(1)
	r.c.stats.received.Add(uint64(datagrams))
	r.c.stats.receivedBytes.Add(uint64(bytes))
}

// decode fills m from header i and returns the payload's length and, where it
// is a run, the length of its datagrams.
func (r *receiver) decode(i int, m *Message) (n, seg int) {
	h := &r.hs[i]
	n = int(h.len)
	m.Addr = decodeName(&r.names[i])
	m.Seg, m.ECN, m.At = 0, 0, r.now
	m.Local = netip.Addr{}
	if !r.c.anyAddr {
		m.Local = r.c.local.Addr()
	}
	c := control{m: m}
	c.parse(r.ctl[i][:min(int(h.hdr.Controllen), rxControl)])
	if age := r.wall - c.arrived; c.arrived != 0 && age > 0 && age < maxAge {
		m.At = r.now.Add(-time.Duration(age))
	}
	if c.overflowed != 0 {
		r.c.stats.overflowed.Store(uint64(c.overflowed))
	}
	cut := h.hdr.Flags&unix.MSG_TRUNC != 0
	if c.seg > 0 && n > c.seg && r.merges() {
		if !cut {
			return n, c.seg
		}
		// No run is longer than what lies behind the buffers, as far as we know.
		r.runs.lost = true
	}
	if cut || n > cap(m.Buf) {
		r.c.stats.truncated.Add(1)
		n = 0
	}
	m.Buf = m.Buf[:cap(m.Buf)][:n]
	return n, 0
}

// maxAge is what a datagram may have waited in the socket, in nanoseconds. An
// older one came before the system's clock was set.
const maxAge = int64(time.Second)

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

// control is what comes with a datagram.
type control struct {
	m          *Message
	arrived    int64  // by the system's clock, in nanoseconds; 0: not told
	overflowed uint32 // datagrams of this socket dropped so far; 0: none since, or not told
	seg        int    // length of a run's datagrams, the last excepted; 0: it is one
}

// parse reads destination address, ECN codepoint, time of arrival, count of
// overflows and length of segments.
func (c *control) parse(b []byte) {
	const align = int(unsafe.Sizeof(uintptr(0)))
	for len(b) >= unix.SizeofCmsghdr {
		h := (*unix.Cmsghdr)(unsafe.Pointer(&b[0]))
		size := int(h.Len)
		if size < unix.SizeofCmsghdr || size > len(b) {
			return
		}
		c.one(h.Level, h.Type, b[unix.CmsgLen(0):size])
		b = b[min((size+align-1)&^(align-1), len(b)):]
	}
}

func (c *control) one(level, kind int32, data []byte) {
	switch {
	case level == unix.SOL_SOCKET && kind == unix.SO_TIMESTAMPNS && len(data) >= int(unsafe.Sizeof(unix.Timespec{})):
		var at unix.Timespec
		copy(unsafe.Slice((*byte)(unsafe.Pointer(&at)), unsafe.Sizeof(at)), data)
		c.arrived = at.Nano()
	case level == unix.SOL_SOCKET && kind == unix.SO_RXQ_OVFL && len(data) >= 4:
		c.overflowed = binary.NativeEndian.Uint32(data)
	case level == unix.IPPROTO_UDP && kind == unix.UDP_GRO && len(data) >= 4:
		c.seg = int(int32(binary.NativeEndian.Uint32(data)))
	case level == unix.IPPROTO_IP && kind == unix.IP_PKTINFO && len(data) >= unix.SizeofInet4Pktinfo:
		c.m.Local = netip.AddrFrom4([4]byte(data[8:12]))
	case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_PKTINFO && len(data) >= unix.SizeofInet6Pktinfo:
		c.m.Local = netip.AddrFrom16([16]byte(data[:16])).Unmap()
	case level == unix.IPPROTO_IP && kind == unix.IP_TOS && len(data) >= 1:
		c.m.ECN = data[0] & 3
	case level == unix.IPPROTO_IPV6 && kind == unix.IPV6_TCLASS && len(data) >= 4:
		c.m.ECN = uint8(binary.NativeEndian.Uint32(data)) & 3
	}
}
