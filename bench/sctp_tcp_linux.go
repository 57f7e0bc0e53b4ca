package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// tcpMTU is that of the IP packets on the link, so that a segment is about as
// long as a packet of SCTP.
const tcpMTU = 1200

// tcpControl is Linux's own default of congestion controls, whatever this
// system's is. New Reno, which SCTP has, is behind it where paths are long.
const tcpControl = "cubic"

var tcpAddrs = [2]netip.AddrPort{netip.MustParseAddrPort("10.9.8.1:5000"), netip.MustParseAddrPort("10.9.8.2:5000")}

// tcpPeer is the kernel's TCP over the same emulated link: two network
// namespaces, a TUN device in each, and the link between those.
func tcpPeer() peer {
	return peer{
		name: "tcp",
		version: func() string {
			var u unix.Utsname
			if err := unix.Uname(&u); err != nil {
				return "unknown"
			}
			return unix.ByteSliceToString(u.Release[:]) + " " + tcpControl
		},
		missing: sync.OnceValue(func() string {
			h, err := newTCPHost(tcpAddrs[0])
			if err != nil {
				return "needs root, or the right to make network namespaces and TUN devices: " + err.Error()
			}
			return errorText(h.close())
		}),
	}
}

func errorText(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}

// A tcpHost is a network namespace with one device.
type tcpHost struct {
	tun *os.File
	ask chan func() // runs in a thread of the namespace
}

// newTCPHost makes the namespace, which lasts as long as its thread, its
// device and its sockets do.
func newTCPHost(addr netip.AddrPort) (*tcpHost, error) {
	h := &tcpHost{ask: make(chan func())}
	errs := make(chan error)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with the goroutine
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err != nil {
			err = fmt.Errorf("unshare: %w", err)
		} else {
			h.tun, err = openTUN(addr)
		}
		errs <- err
		if err != nil {
			return
		}
		for f := range h.ask {
			f()
		}
	}()
	return h, <-errs
}

func (h *tcpHost) close() error {
	close(h.ask)
	return h.tun.Close()
}

// do runs f in the namespace.
func (h *tcpHost) do(f func() error) error {
	errs := make(chan error, 1)
	h.ask <- func() { errs <- f() }
	return <-errs
}

// openTUN makes a device in this thread's namespace, gives it its address, a
// /24, and turns it on.
func openTUN(addr netip.AddrPort) (f *os.File, err error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	defer func() {
		if err != nil {
			unix.Close(fd)
		}
	}()
	ifr, err := unix.NewIfreq("bench0")
	if err != nil {
		return nil, err
	}
	ifr.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
	if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, ifr); err != nil {
		return nil, fmt.Errorf("TUNSETIFF: %w", err)
	}
	s, err := unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	defer unix.Close(s)
	ip := addr.Addr().As4()
	mask := [4]byte{255, 255, 255, 0}
	for _, step := range []struct {
		request uint
		set     func(*unix.Ifreq) error
	}{
		{unix.SIOCSIFADDR, func(r *unix.Ifreq) error { return r.SetInet4Addr(ip[:]) }},
		{unix.SIOCSIFNETMASK, func(r *unix.Ifreq) error { return r.SetInet4Addr(mask[:]) }},
		{unix.SIOCSIFMTU, func(r *unix.Ifreq) error { r.SetUint32(tcpMTU); return nil }},
		{unix.SIOCSIFFLAGS, func(r *unix.Ifreq) error { r.SetUint16(unix.IFF_UP | unix.IFF_RUNNING); return nil }},
	} {
		r, err := unix.NewIfreq("bench0")
		if err == nil {
			err = step.set(r)
		}
		if err == nil {
			err = unix.IoctlIfreq(s, step.request, r)
		}
		if err != nil {
			return nil, fmt.Errorf("setting up a TUN device: %w", err)
		}
	}
	return os.NewFile(uintptr(fd), "tun"), nil
}

// tcp does the same over the kernel's TCP, in real time.
func (c sctpCase) tcp(seed uint64, d time.Duration) (mbps float64, err error) {
	w := newWire(c.links(seed))
	defer w.close()
	var hosts [2]*tcpHost
	for i := range hosts {
		if hosts[i], err = newTCPHost(tcpAddrs[i]); err != nil {
			return 0, err
		}
		defer hosts[i].close()
		go join(hosts[i].tun, w.ends[i])
	}
	var l net.Listener
	if err := hosts[1].do(func() (err error) {
		var lc net.ListenConfig
		lc.SetMultipathTCP(false)
		l, err = lc.Listen(context.Background(), "tcp4", tcpAddrs[1].String())
		return err
	}); err != nil {
		return 0, err
	}
	defer l.Close()
	start := time.Now()
	end := start.Add(d)
	errs := make(chan error, 1)
	go func() { errs <- hosts[0].send(end) }()
	arrived, err := receiveTCP(l, end)
	if err := errors.Join(err, <-errs); err != nil {
		return 0, err
	}
	return float64(arrived) * 8 / 1e6 / d.Seconds(), nil
}

// send connects and writes as much as goes.
func (h *tcpHost) send(end time.Time) error {
	var conn net.Conn
	if err := h.do(func() (err error) {
		conn, err = connectTCP(tcpAddrs[1], time.Until(end))
		return err
	}); err != nil {
		return err
	}
	defer conn.Close()
	if err := conn.SetDeadline(end); err != nil {
		return err
	}
	data := make([]byte, sctpMessage)
	for {
		if _, err := conn.Write(data); err != nil {
			if errors.Is(err, os.ErrDeadlineExceeded) {
				return nil
			}
			return err
		}
	}
}

// connectTCP connects a socket of this thread's namespace; a net.Dialer may
// make it in another thread.
func connectTCP(to netip.AddrPort, within time.Duration) (net.Conn, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	f := os.NewFile(uintptr(fd), "tcp")
	defer f.Close() // FileConn has its own descriptor
	if err := unix.SetsockoptString(fd, unix.IPPROTO_TCP, unix.TCP_CONGESTION, tcpControl); err != nil {
		return nil, fmt.Errorf("%s: %w", tcpControl, err)
	}
	wait := unix.NsecToTimeval(int64(within))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &wait); err != nil {
		return nil, err
	}
	if err := unix.Connect(fd, &unix.SockaddrInet4{Port: int(to.Port()), Addr: to.Addr().As4()}); err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return net.FileConn(f)
}

func receiveTCP(l net.Listener, end time.Time) (arrived int64, err error) {
	if err := l.(*net.TCPListener).SetDeadline(end); err != nil {
		return 0, err
	}
	conn, err := l.Accept()
	if err != nil {
		return 0, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(end); err != nil {
		return 0, err
	}
	b := make([]byte, sctpMessage)
	for {
		n, err := conn.Read(b)
		arrived += int64(n)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return arrived, nil
		}
		if err != nil {
			return 0, err
		}
	}
}
