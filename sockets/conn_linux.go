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

	"golang.org/x/sys/unix"

	"github.com/sluicertc/sluice/internal/mono"
)

// conn is the Linux implementation: a non-blocking socket in Go's poller,
// read and written by recvmmsg and sendmmsg.
type conn struct {
	file    *os.File
	raw     syscall.RawConn
	sys     kernel
	family  uint16
	local   netip.AddrPort
	anyAddr bool
	timeout mono.Time
	woken   atomic.Bool
	gso     atomic.Bool
	maxSegs int
	stats   counters
	rx      receiver
	tx      transmitter
}

func listen(cfg Config) (Conn, error) { return open(cfg, systemCalls{}) }

// open binds a socket whose datagram system calls go through sys.
func open(cfg Config, sys kernel) (*conn, error) {
	fd, family, err := bind(cfg)
	if err != nil {
		return nil, fmt.Errorf("sockets: cannot bind UDP %v: %w", cfg.Addr, err)
	}
	c := &conn{sys: sys, family: family}
	c.file = os.NewFile(uintptr(fd), "udp")
	if c.raw, err = c.file.SyscallConn(); err != nil {
		c.file.Close()
		return nil, fmt.Errorf("sockets: no raw access to the socket: %w", err)
	}
	// A descriptor the poller cannot watch would block the whole thread.
	if err := c.file.SetReadDeadline(time.Time{}); err != nil {
		c.file.Close()
		return nil, fmt.Errorf("sockets: the socket cannot be polled: %w", err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		c.file.Close()
		return nil, fmt.Errorf("sockets: getsockname: %w", err)
	}
	c.local = fromSockaddr(sa)
	c.anyAddr = c.local.Addr().IsUnspecified()
	c.maxSegs = maxSegments(kernelVersion())
	c.gso.Store(!cfg.NoGSO && gsoWorks(fd, kernelVersion()))
	c.rx.init(c)
	c.tx.init(c)
	return c, nil
}

// bind makes the socket and sets its options.
func bind(cfg Config) (fd int, family uint16, err error) {
	ip := cfg.Addr.Addr()
	family = unix.AF_INET6
	if ip.Is4() {
		family = unix.AF_INET
	}
	fd, err = unix.Socket(int(family), unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if errors.Is(err, unix.EAFNOSUPPORT) && !ip.IsValid() {
		family = unix.AF_INET
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
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
	if family == unix.AF_INET6 {
		v6only := 0
		if ip := cfg.Addr.Addr(); ip.IsValid() && !ip.IsUnspecified() {
			v6only = 1
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, v6only); err != nil {
			return err
		}
		if err := unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVPKTINFO, 1); err != nil {
			return err
		}
		_ = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_RECVTCLASS, 1)
	} else if err := unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_PKTINFO, 1); err != nil {
		return err
	}
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

func (c *conn) SetTimeout(at mono.Time)   { c.timeout = at }
func (c *conn) LocalAddr() netip.AddrPort { return c.local }
func (c *conn) Stats() Stats              { return c.stats.snapshot() }
func (c *conn) Close() error              { return c.file.Close() }

func (c *conn) Wake() {
	c.woken.Store(true)
	// Fails only on a closed socket, whose reader wakes by itself.
	_ = c.file.SetReadDeadline(longAgo)
}

// Writer makes a transmitter of its own on the same descriptor.
func (c *conn) Writer() Writer {
	t := new(transmitter)
	t.init(c)
	return t
}

func (c *conn) WriteBatch(ms []Message) (int, error) { return c.tx.WriteBatch(ms) }

func (c *conn) ReadBatch(ms []Message) (int, error) {
	if len(ms) == 0 {
		return 0, nil
	}
	n, err := c.rx.read(ms)
	if n > 0 || err != nil {
		return n, err
	}
	return c.park(ms)
}

// park waits for a datagram in the poller, after a read that found nothing.
func (c *conn) park(ms []Message) (int, error) {
	var deadline time.Time
	if c.timeout != 0 {
		if c.timeout <= mono.Now() {
			c.woken.Store(false)
			return 0, nil
		}
		deadline = c.timeout.Wall()
	}
	if err := c.file.SetReadDeadline(deadline); err != nil {
		return 0, net.ErrClosed
	}
	// After the deadline is set: a Wake that came earlier is seen here, one
	// that comes later moves the deadline again.
	if c.woken.Swap(false) {
		return 0, nil
	}
	c.stats.wakeups.Add(1)
	c.rx.ms, c.rx.n, c.rx.err = ms, 0, nil
	err := c.raw.Read(c.rx.poll)
	c.rx.ms = nil
	switch {
	case err == nil:
		return c.rx.n, c.rx.err
	case errors.Is(err, os.ErrDeadlineExceeded):
		c.woken.Store(false)
		return 0, nil
	default:
		return 0, net.ErrClosed
	}
}
