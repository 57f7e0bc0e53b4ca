package sockets

import (
	"encoding/binary"
	"math/bits"
	"net"
	"net/netip"

	"golang.org/x/sys/unix"

	"github.com/sluicertc/sluice/internal/mono"
)

// Sizes of headers.
const (
	etherLen  = 14
	ipv4Len   = 20
	ipv6Len   = 40
	udpLen    = 8
	xdpRoom   = etherLen + ipv6Len + udpLen
	hopLimit  = 64
	dontSplit = 0x40 // RFC 791 §3.1: the flag DF
)

// writeXDP sends by the interface's ring what goes out alone, and the rest as
// ever. Within one call nothing overtakes.
func (t *transmitter) writeXDP(ms []Message) (done int, err error) {
	x := t.xdp
	if !x.enter() {
		return 0, net.ErrClosed
	}
	defer x.leave()
	now := mono.Now()
	x.routes.asks = 0
	for done < len(ms) && t.xdp != nil {
		n, full := t.lay(ms[done:], now)
		if n > 0 {
			k, err := t.launch(ms[done:done+n], n)
			if done += k; err != nil {
				return done, err
			}
			continue
		}
		if full {
			t.c.stats.wouldBlock.Add(1)
			return done, ErrWouldBlock
		}
		end := done + 1
		for end < len(ms) && t.way(&ms[end], now) == nil {
			end++
		}
		n, err = t.writeBatch(ms[done:end])
		if done += n; err != nil {
			return done, err
		}
	}
	n, err := t.writeBatch(ms[done:])
	return done + n, err
}

// way is how a message goes by the ring, nil: it does not. Runs are left to
// segmentation offload, and probes of the path to the socket, which may send
// what is longer than the path is known to take.
func (t *transmitter) way(m *Message, now mono.Time) *hop {
	if m.Whole || m.Seg > 0 && len(m.Buf) > int(m.Seg) || len(m.Buf) > xdpFrame-xdpRoom || m.Addr.Port() == 0 || t.c.refuses(m.Addr) {
		return nil
	}
	src := m.Local
	if !t.c.anyAddr {
		src = t.c.local.Addr()
	} else if src.IsValid() && src.IsUnspecified() {
		src = netip.Addr{}
	}
	h := t.xdp.routes.look(pair{m.Addr.Addr(), src}, now)
	if h == nil || len(m.Buf)+h.head-etherLen > h.mtu {
		return nil
	}
	return h
}

// lay puts messages from the beginning of ms into the ring, for as long as they
// go that way and there is room: full is whether it ended for want of that.
func (t *transmitter) lay(ms []Message, now mono.Time) (n int, full bool) {
	for n < len(ms) {
		h := t.way(&ms[n], now)
		if h == nil {
			return n, false
		}
		b := t.xdp.frame()
		if b == nil {
			return n, true
		}
		t.xdp.push(h.write(b, &ms[n], t.c.local.Port()))
		n++
	}
	return n, false
}

// launch has the kernel send what lay has laid, and returns how many of ms are
// done with.
func (t *transmitter) launch(ms []Message, n int) (int, error) {
	s := &t.c.stats
	unsent, errno, err := t.xdp.kick(s)
	done := n - unsent
	bytes := 0
	for i := range done {
		bytes += len(ms[i].Buf)
	}
	s.sent.Add(uint64(done))
	s.sentBytes.Add(uint64(bytes))
	s.messages.Add(uint64(done))
	s.runs[0].Add(uint64(done))
	s.xdpSent.Add(uint64(done))
	switch {
	case err != nil:
		return done, err
	case errno == 0:
	case errno == unix.EAGAIN || errno == unix.EBUSY || errno == unix.ENOBUFS:
		s.wouldBlock.Add(1)
		return done, ErrWouldBlock
	default:
		// The interface is down, or gone: the kernel finds another way, or
		// says that there is none.
		s.xdpFallbacks.Add(1)
		t.xdp = nil
	}
	return done, nil
}

// write lays a frame out and returns its length.
func (h *hop) write(b []byte, m *Message, port uint16) int {
	head, size := h.head, len(m.Buf)
	copy(b[:xdpRoom], h.frame[:])
	copy(b[head:], m.Buf)
	ip, udp := b[etherLen:], b[head-udpLen:head]
	binary.BigEndian.PutUint16(udp, port)
	binary.BigEndian.PutUint16(udp[2:], m.Addr.Port())
	binary.BigEndian.PutUint16(udp[4:], uint16(udpLen+size))
	if h.v6 {
		ip[1] = m.ECN & 3 << 4 // RFC 8200 §3: the low bits of the traffic class
		binary.BigEndian.PutUint16(ip[4:], uint16(udpLen+size))
	} else {
		ip[1] = m.ECN & 3
		binary.BigEndian.PutUint16(ip[2:], uint16(ipv4Len+udpLen+size))
		binary.BigEndian.PutUint16(ip[10:], ^fold(sum(0, ip[:ipv4Len])))
	}
	// The pseudo header's length is the same number again (RFC 768).
	check := ^fold(sum(h.pseudo+uint64(udpLen+size), b[head-udpLen:head+size]))
	if check == 0 {
		check = 0xffff
	}
	binary.BigEndian.PutUint16(udp[6:], check)
	return head + size
}

// sum adds b, in network order, to a sum in ones' complement (RFC 1071 §2).
func sum(s uint64, b []byte) uint64 {
	var carry uint64
	for len(b) >= 8 {
		s, carry = bits.Add64(s, binary.BigEndian.Uint64(b), carry)
		b = b[8:]
	}
	var last [8]byte
	copy(last[:], b)
	s, carry = bits.Add64(s, binary.BigEndian.Uint64(last[:]), carry)
	s, carry = bits.Add64(s, 0, carry)
	return s + carry
}

// fold makes 16 bits of a sum.
func fold(s uint64) uint16 {
	s = s>>32 + s&0xffffffff
	s = s>>32 + s&0xffffffff
	s = s>>16 + s&0xffff
	s = s>>16 + s&0xffff
	return uint16(s)
}

// hop is the way to a remote address: what its frames begin with.
type hop struct {
	until  mono.Time // to be looked up again
	frame  [xdpRoom]byte
	head   int    // of frame, headers
	mtu    int    // of the IP packet; 0: it goes by the kernel
	pseudo uint64 // sum of the pseudo header, without the length
	v6     bool
}

// lay fills the headers that all frames of a hop have in common.
func (h *hop) lay(p pair, from, to net.HardwareAddr) {
	b := h.frame[:]
	copy(b, to)
	copy(b[6:], from)
	ip := b[etherLen:]
	if h.v6 = p.dst.Is6(); h.v6 {
		h.head = etherLen + ipv6Len + udpLen
		binary.BigEndian.PutUint16(b[12:], unix.ETH_P_IPV6)
		ip[0], ip[6], ip[7] = 0x60, unix.IPPROTO_UDP, hopLimit
		src, dst := p.src.As16(), p.dst.As16()
		copy(ip[8:], src[:])
		copy(ip[24:], dst[:])
		h.pseudo = sum(unix.IPPROTO_UDP, ip[8:40])
		return
	}
	h.head = etherLen + ipv4Len + udpLen
	binary.BigEndian.PutUint16(b[12:], unix.ETH_P_IP)
	// RFC 6864 §4.1: where nothing is fragmented, any identification will do.
	ip[0], ip[6], ip[8], ip[9] = 0x45, dontSplit, hopLimit, unix.IPPROTO_UDP
	src, dst := p.src.As4(), p.dst.As4()
	copy(ip[12:], src[:])
	copy(ip[16:], dst[:])
	h.pseudo = sum(unix.IPPROTO_UDP, ip[12:20])
}
