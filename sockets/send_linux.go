package sockets

import (
	"encoding/binary"
	"net"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

// txControl holds packet info (40 bytes for IPv6), the segment size and the
// traffic class, each padded.
const txControl = 96

// transmitter is one writing half. Header k of a call carries the bytes of
// message owner[k] up to, but not including, end[k].
type transmitter struct {
	c     *conn
	xdp   *xdp // nil: everything goes by the socket
	hs    []mmsghdr
	iovs  []unix.Iovec
	names []unix.RawSockaddrInet6
	ctl   [][txControl]byte
	owner []int
	end   []int
	segs  []int

	send  func(fd uintptr)
	whole bool // the one header of the call is of a message to be sent whole
	k     int  // headers of the call under way
	n     int  // of them, sent
	errno unix.Errno
}

// init makes room for calls of up to batch messages.
func (t *transmitter) init(c *conn, batch int) {
	t.c = c
	t.hs, t.iovs, t.names = make([]mmsghdr, batch), make([]unix.Iovec, batch), make([]unix.RawSockaddrInet6, batch)
	t.ctl, t.owner = make([][txControl]byte, batch), make([]int, batch)
	t.end, t.segs = make([]int, batch), make([]int, batch)
	for i := range t.hs {
		h := &t.hs[i].hdr
		h.Name = (*byte)(unsafe.Pointer(&t.names[i]))
		h.Iov = &t.iovs[i]
		h.SetIovlen(1)
	}
	t.send = func(fd uintptr) {
		if t.whole {
			defer t.c.unfragmented(int(fd))()
		}
		t.n, t.errno = t.c.sys.sendmmsg(fd, t.hs[:t.k])
	}
}

// WriteBatch implements Writer.
func (t *transmitter) WriteBatch(ms []Message) (int, error) {
	if t.xdp != nil {
		return t.writeXDP(ms)
	}
	return t.writeBatch(ms)
}

// writeBatch sends by the socket.
func (t *transmitter) writeBatch(ms []Message) (int, error) {
	done, off := 0, 0 // messages before done are finished, ms[done] up to off
	for done < len(ms) {
		t.fill(ms, done, off)
		if t.k == 0 {
			return len(ms), nil
		}
		t.n, t.errno = 0, 0
		if err := t.c.raw.Control(t.send); err != nil {
			return done, net.ErrClosed
		}
		if t.errno == 0 && t.n > 0 {
			done, off = t.advance(ms, t.n)
			continue
		}
		switch t.errno {
		case unix.EINTR:
		case unix.EAGAIN, unix.ENOBUFS:
			t.c.stats.wouldBlock.Add(1)
			ms[done].Buf = ms[done].Buf[off:]
			return done, ErrWouldBlock
		case unix.EIO, unix.EINVAL:
			// EIO: the device cannot checksum segments; EINVAL: this kernel
			// refuses the run. Plain datagrams work in both cases.
			if t.segs[0] > 1 {
				t.c.gso.Store(false)
				t.c.stats.gsoFallbacks.Add(1)
				continue
			}
			done, off = t.skip(ms)
		default:
			done, off = t.skip(ms)
		}
	}
	return done, nil
}

// skip passes over the first header, which the kernel will never take.
func (t *transmitter) skip(ms []Message) (done, off int) {
	t.c.stats.sendErrors.Add(1)
	return t.position(ms, 0)
}

// position is the place in ms behind header k.
func (t *transmitter) position(ms []Message, k int) (done, off int) {
	if t.end[k] >= len(ms[t.owner[k]].Buf) {
		return t.owner[k] + 1, 0
	}
	return t.owner[k], t.end[k]
}

// advance accounts for the first n headers and returns the place behind them.
func (t *transmitter) advance(ms []Message, n int) (done, off int) {
	datagrams, bytes, runs := 0, 0, 0
	var sizes [RunSizes]uint64
	for k := range n {
		datagrams += t.segs[k]
		bytes += int(t.iovs[k].Len)
		sizes[runSize(t.segs[k])]++
		if t.segs[k] > 1 {
			runs++
		}
	}
	s := &t.c.stats
	s.writes.Add(1)
	s.sent.Add(uint64(datagrams))
	s.sentBytes.Add(uint64(bytes))
	s.messages.Add(uint64(n))
	for i, k := range sizes {
		if k > 0 {
			s.runs[i].Add(k)
		}
	}
	if runs > 0 {
		s.gsoRuns.Add(uint64(runs))
	}
	return t.position(ms, n-1)
}

// fill lays out headers for ms from message i, byte off, as many as fit.
func (t *transmitter) fill(ms []Message, i, off int) {
	gso := t.c.gso.Load()
	t.k, t.whole = 0, false
	for ; i < len(ms); i, off = i+1, 0 {
		m := &ms[i]
		if m.Whole && t.k > 0 {
			return
		}
		if t.c.refuses(m.Addr) {
			// Counted when it comes first, so that it is counted once.
			if t.k > 0 {
				return
			}
			t.c.stats.sendErrors.Add(1)
			continue
		}
		for first := true; first || off < len(m.Buf); first = false {
			if t.k == len(t.hs) {
				return
			}
			off = t.header(m, i, off, gso)
		}
		if m.Whole {
			t.whole = true
			return
		}
	}
}

// header lays out the next header for m from byte off and returns its end.
func (t *transmitter) header(m *Message, i, off int, gso bool) (end int) {
	k := t.k
	t.k++
	end, t.segs[k] = len(m.Buf), 1
	seg := 0
	if m.Seg > 0 && end-off > int(m.Seg) {
		if gso {
			seg = int(m.Seg)
			t.segs[k] = min(t.c.maxSegs, maxRun/seg, (end-off+seg-1)/seg)
			end = min(end, off+t.segs[k]*seg)
		} else {
			end = off + int(m.Seg)
		}
		if t.segs[k] == 1 {
			seg = 0
		}
	}
	t.owner[k], t.end[k] = i, end
	t.iovs[k].Base = unsafe.SliceData(m.Buf[off:])
	t.iovs[k].SetLen(end - off)
	h := &t.hs[k].hdr
	h.Namelen = encodeName(&t.names[k], t.c.family, m.Addr)
	n := t.control(&t.ctl[k], m, seg)
	h.Control = nil
	if n > 0 {
		h.Control = &t.ctl[k][0]
	}
	h.SetControllen(n)
	return end
}

// control writes the ancillary data of a message and returns its length.
func (t *transmitter) control(b *[txControl]byte, m *Message, seg int) int {
	n := 0
	if t.c.anyAddr && m.Local.IsValid() && !m.Local.IsUnspecified() {
		if t.c.family == unix.AF_INET6 {
			ip := m.Local.As16()
			d := cmsg(b, &n, unix.IPPROTO_IPV6, unix.IPV6_PKTINFO, unix.SizeofInet6Pktinfo)
			clear(d)
			copy(d, ip[:])
		} else if m.Local.Is4() {
			ip := m.Local.As4()
			d := cmsg(b, &n, unix.IPPROTO_IP, unix.IP_PKTINFO, unix.SizeofInet4Pktinfo)
			clear(d)
			copy(d[4:], ip[:])
		}
	}
	if m.ECN != 0 {
		level, kind := int32(unix.IPPROTO_IP), int32(unix.IP_TOS)
		if !m.Addr.Addr().Is4() {
			level, kind = unix.IPPROTO_IPV6, unix.IPV6_TCLASS
		}
		binary.NativeEndian.PutUint32(cmsg(b, &n, level, kind, 4), uint32(m.ECN&3))
	}
	if seg > 0 {
		binary.NativeEndian.PutUint16(cmsg(b, &n, unix.IPPROTO_UDP, unix.UDP_SEGMENT, 2), uint16(seg))
	}
	return n
}

// cmsg appends a header at *n and returns the room for its data.
func cmsg(b *[txControl]byte, n *int, level, kind int32, size int) []byte {
	h := (*unix.Cmsghdr)(unsafe.Pointer(&b[*n]))
	h.Level, h.Type = level, kind
	h.SetLen(unix.CmsgLen(size))
	data := b[*n+unix.CmsgLen(0):][:size]
	*n += unix.CmsgSpace(size)
	return data
}

// encodeName writes the remote address in the socket's own family.
func encodeName(sa *unix.RawSockaddrInet6, family uint16, a netip.AddrPort) uint32 {
	port := ntohs(a.Port())
	if family == unix.AF_INET {
		sa4 := (*unix.RawSockaddrInet4)(unsafe.Pointer(sa))
		*sa4 = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: port, Addr: a.Addr().As4()}
		return unix.SizeofSockaddrInet4
	}
	*sa = unix.RawSockaddrInet6{Family: unix.AF_INET6, Port: port, Addr: a.Addr().As16()}
	return unix.SizeofSockaddrInet6
}
