package load

import (
	"errors"
	"fmt"
	"net/netip"
	"unsafe"

	"golang.org/x/sys/unix"
)

const (
	readBatch  = 32
	readSize   = 2048
	readBuffer = 1 << 20 // bytes of the kernel's, a second of video and more
)

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	n   uint32
}

// A reader is the scratch space of reads from any number of sockets.
type reader struct {
	msgs [readBatch]mmsghdr
	iov  [readBatch]unix.Iovec
	bufs [readBatch][]byte
	ctl  [readBatch][8]uint64 // aligned as struct cmsghdr must be
}

func newReader() *reader {
	r := &reader{}
	slab := make([]byte, readBatch*readSize)
	for i := range r.msgs {
		r.bufs[i] = slab[i*readSize : (i+1)*readSize]
		r.iov[i].Base = &r.bufs[i][0]
		r.iov[i].SetLen(readSize)
		h := &r.msgs[i].hdr
		h.Iov = &r.iov[i]
		h.SetIovlen(1)
		h.Control = (*byte)(unsafe.Pointer(&r.ctl[i]))
	}
	return r
}

// read takes what waits on fd, at most readBatch datagrams; 0: nothing.
func (r *reader) read(fd int) int {
	for i := range r.msgs {
		r.msgs[i].hdr.SetControllen(int(unsafe.Sizeof(r.ctl[i])))
	}
	for {
		n, _, errno := unix.Syscall6(unix.SYS_RECVMMSG, uintptr(fd), uintptr(unsafe.Pointer(&r.msgs)), readBatch, unix.MSG_DONTWAIT, 0, 0)
		switch errno {
		case 0:
			return int(n)
		case unix.EINTR, unix.ECONNREFUSED: // the latter tells of a datagram sent before
			continue
		}
		return 0
	}
}

// packet returns datagram i of the last read and when it arrived, in
// nanoseconds since 1970.
func (r *reader) packet(i int) (b []byte, at int64) {
	m := &r.msgs[i]
	if uintptr(m.hdr.Controllen) >= uintptr(unix.CmsgSpace(int(unsafe.Sizeof(unix.Timespec{})))) {
		c := (*unix.Cmsghdr)(unsafe.Pointer(&r.ctl[i]))
		if c.Level == unix.SOL_SOCKET && c.Type == unix.SCM_TIMESTAMPNS {
			ts := (*unix.Timespec)(unsafe.Add(unsafe.Pointer(&r.ctl[i]), unix.CmsgLen(0)))
			at = ts.Nano()
		}
	}
	return r.bufs[i][:m.n], at
}

// listen opens a UDP socket of an IPv4 address of this machine.
func listen(addr netip.Addr) (fd int, local netip.AddrPort, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_DGRAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, local, fmt.Errorf("load: socket: %w", err)
	}
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, readBuffer) != nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, readBuffer)
	}
	err = errors.Join(err,
		unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TIMESTAMPNS, 1),
		unix.Bind(fd, &unix.SockaddrInet4{Addr: addr.As4()}))
	var sa unix.Sockaddr
	if err == nil {
		sa, err = unix.Getsockname(fd)
	}
	if err != nil {
		unix.Close(fd)
		return -1, local, fmt.Errorf("load: socket: %w", err)
	}
	return fd, netip.AddrPortFrom(addr, uint16(sa.(*unix.SockaddrInet4).Port)), nil
}

func connect(fd int, to netip.AddrPort) error {
	return unix.Connect(fd, &unix.SockaddrInet4{Addr: to.Addr().As4(), Port: int(to.Port())})
}

// send sends to the connected address. What the kernel does not take is lost,
// as on any network.
func send(fd int, b []byte) { _, _ = unix.Write(fd, b) }
