package sockets

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// portable is the twin for systems without the batch calls: one datagram a
// call over net.UDPConn, whose own locks make it fit for several writers.
type portable struct {
	pc      *net.UDPConn
	local   netip.AddrPort
	timeout mono.Time
	woken   atomic.Bool
	stats   counters
}

// errNoReusePort tells what to do instead.
var errNoReusePort = errors.New("sockets: ReusePort needs Linux: use one shard or one port per shard")

func listenPortable(cfg Config) (Conn, error) {
	if cfg.ReusePort {
		return nil, errNoReusePort
	}
	network, addr := "udp", cfg.Addr
	if ip := addr.Addr(); ip.Is4() {
		network = "udp4"
	} else if !ip.IsValid() {
		addr = netip.AddrPortFrom(netip.IPv6Unspecified(), addr.Port())
	}
	pc, err := net.ListenUDP(network, net.UDPAddrFromAddrPort(addr))
	if err != nil {
		return nil, fmt.Errorf("sockets: cannot bind UDP %v: %w", addr, err)
	}
	// Refusal leaves the system's default in place, which works.
	_ = pc.SetReadBuffer(cfg.ReadBuffer)
	_ = pc.SetWriteBuffer(cfg.WriteBuffer)
	local := pc.LocalAddr().(*net.UDPAddr).AddrPort()
	return &portable{pc: pc, local: unmap(local)}, nil
}

func unmap(a netip.AddrPort) netip.AddrPort {
	return netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
}

func (c *portable) SetTimeout(at mono.Time)   { c.timeout = at }
func (c *portable) SetEager(bool)             {} // it never sleeps
func (c *portable) LocalAddr() netip.AddrPort { return c.local }
func (c *portable) Stats() Stats              { return c.stats.snapshot() }
func (c *portable) Close() error              { return c.pc.Close() }

// Writer returns the conn itself: net.UDPConn serialises its writers.
func (c *portable) Writer(int) Writer { return c }

var longAgo = time.Unix(1, 0)

func (c *portable) Wake() {
	c.woken.Store(true)
	// Fails only on a closed socket, whose reader wakes by itself.
	_ = c.pc.SetReadDeadline(longAgo)
}

func (c *portable) ReadBatch(ms []Message) (int, error) {
	if len(ms) == 0 {
		return 0, nil
	}
	var deadline time.Time
	if c.timeout != 0 {
		deadline = c.timeout.Wall()
	}
	if err := c.pc.SetReadDeadline(deadline); err != nil {
		return 0, net.ErrClosed
	}
	// After the deadline is set, so that a Wake that comes earlier is seen
	// here and one that comes later moves the deadline again.
	if c.woken.Swap(false) {
		if err := c.pc.SetReadDeadline(longAgo); err != nil {
			return 0, net.ErrClosed
		}
	}
	m := &ms[0]
	buf := m.Buf[:cap(m.Buf)]
	n, _, flags, from, err := c.pc.ReadMsgUDPAddrPort(buf, nil)
	switch {
	case err == nil:
	case errors.Is(err, os.ErrDeadlineExceeded):
		return 0, nil
	case errors.Is(err, net.ErrClosed):
		return 0, net.ErrClosed
	default:
		// Windows reports an earlier send's ICMP error, or a datagram longer
		// than the buffer, as an error of this read.
		c.stats.readErrors.Add(1)
		return 0, nil
	}
	if flags&msgTrunc != 0 {
		c.stats.truncated.Add(1)
		n = 0
	}
	c.stats.reads.Add(1)
	c.stats.received.Add(1)
	c.stats.receivedBytes.Add(uint64(n))
	m.Buf = buf[:n]
	m.Addr = unmap(from)
	m.Local = netip.Addr{}
	if !c.local.Addr().IsUnspecified() {
		m.Local = c.local.Addr()
	}
	m.Seg, m.ECN, m.At = 0, 0, mono.Now()
	return 1, nil
}

func (c *portable) WriteBatch(ms []Message) (int, error) {
	for i := range ms {
		m := &ms[i]
		for {
			b := m.Buf
			if m.Seg > 0 && len(b) > int(m.Seg) {
				b = b[:m.Seg]
			}
			_, _, err := c.pc.WriteMsgUDPAddrPort(b, nil, m.Addr)
			switch {
			case err == nil:
				c.stats.writes.Add(1)
				c.stats.sent.Add(1)
				c.stats.messages.Add(1)
				c.stats.runs[0].Add(1)
				c.stats.sentBytes.Add(uint64(len(b)))
			case errors.Is(err, net.ErrClosed):
				return i, net.ErrClosed
			case errors.Is(err, syscall.ENOBUFS):
				c.stats.wouldBlock.Add(1)
				return i, ErrWouldBlock
			default:
				c.stats.sendErrors.Add(1)
			}
			if len(b) == len(m.Buf) {
				break
			}
			m.Buf = m.Buf[len(b):]
		}
	}
	return len(ms), nil
}
