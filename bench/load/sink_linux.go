package load

import (
	"fmt"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sluicertc/sluice/internal/mono"
)

// A sink is a viewer's socket that drops media behind the kernel's filter and
// counts it: what arrives costs the load nothing, so that a server which has
// every processor to itself can be shown what it cannot carry. STUN, DTLS and
// RTCP pass.

// sinkFilter runs where a datagram is about to be queued; its header is still
// in front of the payload.
var sinkFilter = []unix.SockFilter{
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 8},
	{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: 128, Jf: 5}, // RFC 7983 §7
	{Code: unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K, K: 191, Jt: 4},
	{Code: unix.BPF_LD | unix.BPF_B | unix.BPF_ABS, K: 9},
	{Code: unix.BPF_JMP | unix.BPF_JGE | unix.BPF_K, K: 192, Jf: 1}, // RFC 5761 §4
	{Code: unix.BPF_JMP | unix.BPF_JGT | unix.BPF_K, K: 223, Jf: 1},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0},
	{Code: unix.BPF_RET | unix.BPF_K, K: 0xffff},
}

func sink(fd int) error {
	p := unix.SockFprog{Len: uint16(len(sinkFilter)), Filter: &sinkFilter[0]}
	if err := unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &p); err != nil {
		return fmt.Errorf("load: SO_ATTACH_FILTER: %w", err)
	}
	return nil
}

// memInfo is what SO_MEMINFO tells, of the kernel's include/uapi/linux/sock_diag.h.
type memInfo struct {
	_     [8]uint32
	drops uint32
}

// dropped is how many datagrams a socket has dropped so far.
func dropped(fd int) uint32 {
	var m memInfo
	size := uint32(unsafe.Sizeof(m))
	_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO,
		uintptr(unsafe.Pointer(&m)), uintptr(unsafe.Pointer(&size)), 0)
	if errno != 0 || uintptr(size) < unsafe.Sizeof(m) {
		return 0
	}
	return m.drops
}

// Flood lets groups publish together, their clocks running so many times as
// fast as the world's.
func (l *Loop) Flood(groups []*Group, times float64) error {
	return l.do(func(now mono.Time) {
		for i, g := range groups {
			g.pace(now, times)
			g.begin(now, i, len(groups))
		}
	})
}

// Stop ends that. What is on its way still arrives.
func (l *Loop) Stop(groups []*Group) error {
	return l.do(func(mono.Time) {
		for _, g := range groups {
			g.active = false
		}
	})
}

// Sunk is how many packets were published by groups, and how many have arrived
// at their viewers' sinks, since those were made.
func (l *Loop) Sunk(groups []*Group) (sent, arrived uint64, err error) {
	err = l.do(func(mono.Time) {
		for _, g := range groups {
			sent += uint64(g.sent)
			for _, v := range g.viewers {
				n := dropped(v.fd)
				v.sunk += uint64(n - uint32(v.sunk)) // the kernel's counter wraps around
				arrived += v.sunk
			}
		}
	})
	return sent, arrived, err
}
