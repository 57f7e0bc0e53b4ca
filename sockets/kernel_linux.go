package sockets

import (
	"strconv"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// mmsghdr is struct mmsghdr of recvmmsg(2).
type mmsghdr struct {
	hdr unix.Msghdr
	len uint32
}

// kernel is the system calls that move datagrams, and the way to sleep; tests
// inject faults between a conn and the real ones.
type kernel interface {
	sleep(d time.Duration)
	recvmmsg(fd uintptr, hs []mmsghdr) (int, unix.Errno)
	sendmmsg(fd uintptr, hs []mmsghdr) (int, unix.Errno)
}

// systemCalls makes calls that do not block without telling Go's scheduler.
// Told, it wakes its monitor thread, asleep while nothing runs, each time a
// datagram ends a wait: to look, every 20 µs, whether the call takes long. That
// cost a tenth of what forwarding video to 50 receivers does. Untold, a
// call holds up those who stop the world, and who waits for its processor, until
// it returns: writeBatch keeps that below a millisecond.
type systemCalls struct {
	full int // reads in a row that found as much as was asked for
}

// fullReads is how many full reads in a row show a socket that never waits. The
// monitor, which alone makes such a goroutine share its processor, is then woken.
const fullReads = 8

func (*systemCalls) sleep(d time.Duration) { time.Sleep(d) }

// recvmmsg takes one datagram by recvmsg, which is cheaper and whose header is the
// first thing in mmsghdr.
func (k *systemCalls) recvmmsg(fd uintptr, hs []mmsghdr) (int, unix.Errno) {
	call, third, fourth := uintptr(unix.SYS_RECVMMSG), uintptr(len(hs)), uintptr(unix.MSG_DONTWAIT)
	if len(hs) == 1 {
		call, third, fourth = unix.SYS_RECVMSG, unix.MSG_DONTWAIT, 0
	}
	var r uintptr
	var e unix.Errno
	if k.full < fullReads {
		r, _, e = unix.RawSyscall6(call, fd, uintptr(unsafe.Pointer(&hs[0])), third, fourth, 0, 0)
	} else {
		r, _, e = unix.Syscall6(call, fd, uintptr(unsafe.Pointer(&hs[0])), third, fourth, 0, 0)
	}
	n := int(r)
	switch {
	case e != 0:
		n = 0
	case call == unix.SYS_RECVMSG:
		hs[0].len, n = uint32(n), 1
	}
	if k.full++; n < len(hs) {
		k.full = 0
	}
	return n, e
}

func (*systemCalls) sendmmsg(fd uintptr, hs []mmsghdr) (int, unix.Errno) {
	n, _, e := unix.RawSyscall6(unix.SYS_SENDMMSG, fd, uintptr(unsafe.Pointer(&hs[0])), uintptr(len(hs)), unix.MSG_DONTWAIT, 0, 0)
	return int(n), e
}

// version is a kernel release, such as 6.18.44.
type version struct{ major, minor, patch int }

func (v version) before(w version) bool {
	if v.major != w.major {
		return v.major < w.major
	}
	if v.minor != w.minor {
		return v.minor < w.minor
	}
	return v.patch < w.patch
}

func kernelVersion() version {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return version{}
	}
	return parseVersion(unix.ByteSliceToString(u.Release[:]))
}

// parseVersion reads "6.18.44-anything"; what is missing is zero.
func parseVersion(s string) version {
	var n [3]int
	for i, part := range strings.SplitN(s, ".", 3) {
		end := strings.IndexFunc(part, func(r rune) bool { return r < '0' || r > '9' })
		if end < 0 {
			end = len(part)
		}
		n[i], _ = strconv.Atoi(part[:end])
	}
	return version{n[0], n[1], n[2]}
}

// maxSegments is the kernel's UDP_MAX_SEGMENTS: 64, and 128 since Linux 6.9.
func maxSegments(v version) int {
	if v.before(version{6, 9, 0}) {
		return 64
	}
	return 128
}

// gsoWorks reports whether segmented messages may be tried on this socket.
func gsoWorks(fd int, v version) bool {
	// Linux 7.0 to 7.1.4 corrupts runs whose segments are all of one size.
	if !v.before(version{7, 0, 0}) && v.before(version{7, 1, 5}) {
		return false
	}
	_, err := unix.GetsockoptInt(fd, unix.IPPROTO_UDP, unix.UDP_SEGMENT)
	return err == nil
}
