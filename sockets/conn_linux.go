package sockets

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sluicertc/sluice/internal/mono"
)

// conn is the Linux implementation: a non-blocking socket read and written by
// recvmmsg and sendmmsg.
type conn struct {
	file    *os.File
	raw     syscall.RawConn
	poller  *poller
	sys     kernel
	family  uint16
	local   netip.AddrPort
	anyAddr bool
	timeout mono.Time
	drained bool // the last read found less than it asked for
	gso     atomic.Bool
	maxSegs int
	pace    pace
	stats   counters
	rx      receiver
	tx      transmitter
	ring    *xdp // tx's, to be closed
}

func listen(cfg Config) (Conn, error) { return open(cfg, new(systemCalls)) }

// open binds a socket whose datagram system calls go through sys.
func open(cfg Config, sys kernel) (*conn, error) {
	fd, family, err := bind(cfg)
	if err != nil {
		return nil, fmt.Errorf("sockets: cannot bind UDP %v: %w", cfg.Addr, err)
	}
	c := &conn{sys: sys, family: family, pace: pace{delay: cfg.MaxWakeupDelay}}
	// Made a file before it stops to block, it stays out of Go's poller.
	c.file = os.NewFile(uintptr(fd), "udp")
	if err := unix.SetNonblock(fd, true); err != nil {
		c.file.Close()
		return nil, fmt.Errorf("sockets: cannot make the socket non-blocking: %w", err)
	}
	if c.raw, err = c.file.SyscallConn(); err != nil {
		c.file.Close()
		return nil, fmt.Errorf("sockets: no raw access to the socket: %w", err)
	}
	if c.poller, err = newPoller(fd); err != nil {
		c.file.Close()
		return nil, fmt.Errorf("sockets: the socket cannot be polled: %w", err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("sockets: getsockname: %w", err)
	}
	c.local = fromSockaddr(sa)
	c.anyAddr = c.local.Addr().IsUnspecified()
	c.maxSegs = maxSegments(kernelVersion())
	c.gso.Store(!cfg.NoGSO && gsoWorks(fd, kernelVersion()))
	c.rx.init(c)
	if !cfg.NoGRO {
		c.rx.merge(fd)
	}
	if cfg.XDP != "" {
		// Without it datagrams go by the socket; XDPWorks tells why.
		c.ring, _ = openXDP(cfg.XDP)
		c.tx.xdp = c.ring
	}
	c.tx.init(c, writeBatch)
	return c, nil
}

// bind makes the socket and sets its options.
func bind(cfg Config) (fd int, family uint16, err error) {
	ip := cfg.Addr.Addr()
	family = unix.AF_INET6
	if ip.Is4() {
		family = unix.AF_INET
	}
	fd, err = unix.Socket(int(family), unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EAFNOSUPPORT) && !ip.IsValid() {
		family = unix.AF_INET
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	}
	if err != nil {
		return 0, 0, err
	}
	if err = setOptions(fd, family, cfg); err == nil {
		var sa unix.Sockaddr = &unix.SockaddrInet6{Port: int(cfg.Addr.Port()), Addr: as16(ip)}
		if family == unix.AF_INET {
			s4 := &unix.SockaddrInet4{Port: int(cfg.Addr.Port())}
			if ip.Is4() {
				s4.Addr = ip.As4()
			}
			sa = s4
		}
		err = unix.Bind(fd, sa)
	}
	if err != nil {
		unix.Close(fd)
		return 0, 0, err
	}
	return fd, family, nil
}

func as16(ip netip.Addr) [16]byte {
	if !ip.IsValid() {
		return [16]byte{}
	}
	return ip.As16()
}

func setOptions(fd int, family uint16, cfg Config) error {
	told := cfg.Addr.Addr().IsValid() && !cfg.Addr.Addr().IsUnspecified()
	if family == unix.AF_INET6 {
		v6only := 0
		if told {
			v6only = 1
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, v6only); err != nil {
			return err
		}
		if !told {
			if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1); err != nil {
				return err
			}
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1)
	} else if !told {
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1); err != nil {
			return err
		}
	}
	// When a datagram came and how many did not fit: without them Message.At
	// is when it was read, and Stats.Overflowed stays zero.
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RXQ_OVFL, 1)
	// Also on an IPv6 socket, for its IPv4-mapped traffic. Without it ECN
	// reads as zero, which is "not capable".
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_RECVTOS, 1)
	if cfg.ReusePort {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return err
		}
	}
	setBuffer(fd, unix.SO_RCVBUFFORCE, unix.SO_RCVBUF, cfg.ReadBuffer)
	setBuffer(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, cfg.WriteBuffer)
	return nil
}

// unfragmented has the socket send nothing in fragments, and ignore what is known
// of paths, until the function it returns is called. What other writers send
// meanwhile is treated alike, which harms nothing shorter than a probe.
func (c *conn) unfragmented(fd int) (restore func()) {
	set := func(level, option, value, otherwise int) func() {
		if old, err := unix.GetsockoptInt(fd, level, option); err == nil {
			otherwise = old
		}
		_ = unix.SetsockoptInt(fd, level, option, value)
		return func() { _ = unix.SetsockoptInt(fd, level, option, otherwise) }
	}
	four := set(unix.IPPROTO_IP, unix.IP_MTU_DISCOVER, unix.IP_PMTUDISC_PROBE, unix.IP_PMTUDISC_WANT)
	if c.family == unix.AF_INET {
		return four
	}
	six := set(unix.IPPROTO_IPV6, unix.IPV6_MTU_DISCOVER, unix.IPV6_PMTUDISC_PROBE, unix.IPV6_PMTUDISC_WANT)
	return func() { four(); six() }
}

// setBuffer forces the size, which needs CAP_NET_ADMIN, or takes what the
// system's limit allows; neither can leave less than the default.
func setBuffer(fd, force, plain, size int) {
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, force, size) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, plain, size)
	}
}

func fromSockaddr(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}

// refuses reports whether an address is none, or not of the socket's family.
func (c *conn) refuses(a netip.AddrPort) bool {
	return !a.IsValid() || c.family == unix.AF_INET && !a.Addr().Is4()
}

func (c *conn) SetTimeout(at mono.Time)   { c.timeout = at }
func (c *conn) SetEager(on bool)          { c.pace.eager = on }
func (c *conn) LocalAddr() netip.AddrPort { return c.local }
func (c *conn) Stats() Stats              { return c.stats.snapshot() }
func (c *conn) Wake()                     { c.poller.wake() }

// SyscallConn implements syscall.Conn: what is bound to the socket, such as a
// program that steers, needs the descriptor.
func (c *conn) SyscallConn() (syscall.RawConn, error) { return c.raw, nil }

func (c *conn) Close() error {
	err := c.file.Close()
	if c.ring != nil {
		err = errors.Join(err, c.ring.close())
	}
	return errors.Join(err, c.poller.file.Close())
}

// Writer makes a transmitter of its own on the same descriptor.
func (c *conn) Writer(batch int) Writer {
	t := new(transmitter)
	t.init(c, min(max(batch, 1), writeBatch))
	return t
}

func (c *conn) WriteBatch(ms []Message) (int, error) { return c.tx.WriteBatch(ms) }

func (c *conn) ReadBatch(ms []Message) (int, error) {
	if len(ms) == 0 {
		return 0, nil
	}
	if !c.drained {
		if n, err := c.read(ms); n > 0 || err != nil {
			return n, err
		}
	}
	var left time.Duration // until the timeout, 0: none
	if c.timeout != 0 {
		if left = c.timeout.Sub(mono.Now()); left <= 0 {
			c.poller.woken.Store(false)
			return c.read(ms)
		}
	}
	if d := c.pace.sleep(left); d > 0 {
		c.stats.sleeps.Add(1)
		c.sys.sleep(d)
		if n, err := c.read(ms); n > 0 || err != nil {
			return n, err
		}
	}
	ready, parked, err := c.poller.wait(c.timeout)
	if parked {
		c.stats.wakeups.Add(1)
		c.pace.park()
	}
	if !ready || err != nil {
		return 0, err
	}
	return c.read(ms)
}

// read takes what is there, without waiting.
func (c *conn) read(ms []Message) (int, error) {
	n, err := c.rx.read(ms)
	c.drained = n < min(len(ms), readBatch)
	if n > 0 {
		c.pace.arrive(c.rx.now, n)
	}
	return n, err
}
