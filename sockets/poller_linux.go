package sockets

import (
	"errors"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sluicertc/sluice/internal/mono"
)

// poller waits until a socket is readable. Were the socket in Go's poller, each
// datagram that comes or leaves while nobody waits would wake a thread for
// nothing: Go asks for every edge of both directions. So it is in an epoll
// instance of its own, which tells of readability alone and once each time it
// is asked to, and that instance is in Go's poller.
type poller struct {
	file *os.File
	raw  syscall.RawConn
	sock int

	woken atomic.Bool // by wake, and not yet told to wait
	moved atomic.Bool // the deadline is not what wait has set

	// Of the goroutine that waits.
	deadline mono.Time
	armed    bool // the instance has been asked to tell, and was not yet heard
	err      error
	look     func(fd uintptr) bool
	events   [1]unix.EpollEvent
}

// interest is readability, once.
const interest = unix.EPOLLIN | unix.EPOLLONESHOT

func newPoller(sock int) (*poller, error) {
	fd, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	// A file that does not block is one that Go puts into its poller.
	if err := unix.SetNonblock(fd, true); err != nil {
		unix.Close(fd)
		return nil, err
	}
	p := &poller{file: os.NewFile(uintptr(fd), "epoll"), sock: sock}
	p.look = p.ready
	if err = unix.EpollCtl(fd, unix.EPOLL_CTL_ADD, sock, &unix.EpollEvent{Events: unix.EPOLLONESHOT}); err == nil {
		p.raw, err = p.file.SyscallConn()
	}
	if err == nil {
		err = p.file.SetReadDeadline(time.Time{}) // fails where it is not in the poller
	}
	if err != nil {
		p.file.Close()
		return nil, err
	}
	return p, nil
}

// wake ends the wait, or the next one. Any goroutine.
func (p *poller) wake() {
	p.woken.Store(true)
	p.moved.Store(true)
	// Fails only when closed, and then the wait ends by itself.
	_ = p.file.SetReadDeadline(longAgo)
}

// wait waits until the socket is readable, or the instant has come, zero for
// none, or wake is called: ready is whether it was the first, and parked
// whether it waited at all. The error is net.ErrClosed.
func (p *poller) wait(until mono.Time) (ready, parked bool, err error) {
	if p.moved.Swap(false) || until != p.deadline {
		var at time.Time
		if until != 0 {
			at = until.Wall()
		}
		if err := p.file.SetReadDeadline(at); err != nil {
			return false, false, net.ErrClosed
		}
		p.deadline = until
	}
	// After the deadline is set: a wake that came earlier is seen here, one
	// that comes later moves the deadline again.
	if p.woken.Swap(false) {
		return false, false, nil
	}
	p.err = nil
	err = p.raw.Read(p.look)
	switch {
	case err == nil && p.err == nil:
		return true, true, nil
	case errors.Is(err, os.ErrDeadlineExceeded):
		// A wake may have moved the deadline, and have been taken note of
		// before it did.
		p.moved.Store(true)
		p.woken.Store(false)
		return false, true, nil
	}
	return false, true, net.ErrClosed
}

// ready asks to be told, or takes what it was told. A wait that ended early
// leaves its question open, and what comes meanwhile is in the instance, of
// which Go was told when nobody waited: asked again, the kernel would be silent.
func (p *poller) ready(fd uintptr) bool {
	if !p.armed {
		p.err = unix.EpollCtl(int(fd), unix.EPOLL_CTL_MOD, p.sock, &unix.EpollEvent{Events: interest})
		p.armed = p.err == nil
		return p.err != nil
	}
	n, e := p.told(fd)
	for e == unix.EINTR {
		n, e = p.told(fd)
	}
	p.armed = n <= 0
	return n > 0 || e != 0
}

func (p *poller) told(fd uintptr) (int, unix.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, fd, uintptr(unsafe.Pointer(&p.events[0])), 1, 0, 0, 0)
	return int(n), e
}
