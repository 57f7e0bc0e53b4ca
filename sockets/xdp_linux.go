package sockets

import (
	"errors"
	"fmt"
	"net"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// xdp is the transmitting half of an AF_XDP socket in copy mode: frames are laid
// out in memory that the kernel shares, and one system call makes packets of
// them. It belongs to the transmitter.
type xdp struct {
	file   *os.File
	raw    syscall.RawConn
	state  atomic.Int32
	maps   [][]byte
	frames []byte
	tx     xdpRing
	done   xdpRing // completed
	free   []uint64
	routes routes

	kicker func(fd uintptr)
	errno  unix.Errno
}

// xdpRing is one that the kernel shares (Documentation/networking/af_xdp.rst).
type xdpRing struct {
	prod, cons *uint32
	descs      unsafe.Pointer
}

// maxTxBudget is XDP_MAX_TX_SKB_BUDGET of include/uapi/linux/if_xdp.h, since
// Linux 6.17: packets a call. Without it there are 32.
const maxTxBudget = 9

// XDPWorks reports whether Config.XDP can be that interface: nil, or an error
// that wraps ErrNoXDP.
func XDPWorks(name string) error {
	x, err := openXDP(name)
	if err != nil {
		return err
	}
	return x.close()
}

// openXDP takes the first of the interface's queues that nobody else has.
func openXDP(name string) (*xdp, error) {
	fail := func(what string, err error) (*xdp, error) {
		return nil, fmt.Errorf("%w: %s: %w", ErrNoXDP, what, err)
	}
	in, err := net.InterfaceByName(name)
	if err != nil {
		return fail("interface "+name, err)
	}
	if len(in.HardwareAddr) != 6 {
		return fail("interface "+name, errors.New("is not Ethernet"))
	}
	fd, err := unix.Socket(unix.AF_XDP, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return fail("socket", err)
	}
	x := &xdp{file: os.NewFile(uintptr(fd), "xdp")}
	if err = x.rings(fd); err == nil {
		err = bindQueue(fd, in.Index)
	}
	if err == nil {
		err = x.routes.open(in)
	}
	if err == nil {
		x.raw, err = x.file.SyscallConn()
	}
	if err != nil {
		x.close()
		return fail("interface "+name, err)
	}
	setBuffer(fd, unix.SO_SNDBUFFORCE, unix.SO_SNDBUF, DefaultBuffer)
	_ = unix.SetsockoptInt(fd, unix.SOL_XDP, maxTxBudget, xdpFrames)
	x.kicker = func(fd uintptr) {
		_, _, x.errno = unix.Syscall6(unix.SYS_SENDTO, fd, 0, 0, unix.MSG_DONTWAIT, 0, 0)
	}
	return x, nil
}

// bindQueue takes the first queue that is free. The kernel frees one some time
// after the socket that had it was closed.
func bindQueue(fd, index int) (err error) {
	for began := time.Now(); ; time.Sleep(queueRetry) {
		busy := false
		for queue := range uint32(maxQueues) {
			err = unix.Bind(fd, &unix.SockaddrXDP{Flags: unix.XDP_COPY | unix.XDP_USE_NEED_WAKEUP, Ifindex: uint32(index), QueueID: queue})
			if err == nil {
				return nil
			}
			if !errors.Is(err, unix.EBUSY) {
				break // there are no more
			}
			busy = true
		}
		if !busy {
			return err
		}
		if time.Since(began) > queueWait {
			return unix.EBUSY
		}
	}
}

// rings gives the kernel the memory of the frames and maps the rings.
func (x *xdp) rings(fd int) (err error) {
	x.frames, err = unix.Mmap(-1, 0, xdpFrames*xdpFrame, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return err
	}
	x.maps = append(x.maps, x.frames)
	reg := unix.XDPUmemReg{Addr: uint64(uintptr(unsafe.Pointer(&x.frames[0]))), Len: uint64(len(x.frames)), Size: xdpFrame}
	// The kernel takes the form of before Linux 5.4 too, which ends with Flags.
	if _, _, e := unix.Syscall6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_XDP, unix.XDP_UMEM_REG,
		uintptr(unsafe.Pointer(&reg)), unsafe.Sizeof(reg), 0); e != 0 {
		return fmt.Errorf("XDP_UMEM_REG: %w", e)
	}
	for _, o := range []int{unix.XDP_UMEM_FILL_RING, unix.XDP_UMEM_COMPLETION_RING, unix.XDP_TX_RING} {
		if err := unix.SetsockoptInt(fd, unix.SOL_XDP, o, xdpFrames); err != nil {
			return fmt.Errorf("a ring: %w", err)
		}
	}
	var off unix.XDPMmapOffsets
	size := uint32(unsafe.Sizeof(off))
	if _, _, e := unix.Syscall6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_XDP, unix.XDP_MMAP_OFFSETS,
		uintptr(unsafe.Pointer(&off)), uintptr(unsafe.Pointer(&size)), 0); e != 0 {
		return fmt.Errorf("XDP_MMAP_OFFSETS: %w", e)
	}
	if err := x.ring(&x.tx, fd, unix.XDP_PGOFF_TX_RING, &off.Tx, 16); err != nil {
		return err
	}
	if err := x.ring(&x.done, fd, unix.XDP_UMEM_PGOFF_COMPLETION_RING, &off.Cr, 8); err != nil {
		return err
	}
	for i := range uint64(xdpFrames) {
		x.free = append(x.free, i*xdpFrame)
	}
	return nil
}

func (x *xdp) ring(r *xdpRing, fd int, page int64, off *unix.XDPRingOffset, size int) error {
	b, err := unix.Mmap(fd, page, int(off.Desc)+xdpFrames*size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED|unix.MAP_POPULATE)
	if err != nil {
		return fmt.Errorf("a ring: %w", err)
	}
	x.maps = append(x.maps, b)
	*r = xdpRing{
		prod: (*uint32)(unsafe.Pointer(&b[off.Producer])), cons: (*uint32)(unsafe.Pointer(&b[off.Consumer])),
		descs: unsafe.Pointer(&b[off.Desc]),
	}
	return nil
}

// States of a ring. Its memory holds the queue, and is given back by whoever
// comes last: a write may be under way when the conn is closed.
const (
	xdpIdle int32 = iota
	xdpWriting
	xdpClosing // while writing
	xdpClosed
)

// enter begins to write, and reports false when the ring is closed.
func (x *xdp) enter() bool { return x.state.CompareAndSwap(xdpIdle, xdpWriting) }

func (x *xdp) leave() {
	if !x.state.CompareAndSwap(xdpWriting, xdpIdle) {
		x.state.Store(xdpClosed)
		x.unmap()
	}
}

func (x *xdp) unmap() {
	for _, b := range x.maps {
		_ = unix.Munmap(b)
	}
}

// close is for any goroutine, once.
func (x *xdp) close() error {
	for {
		if x.state.CompareAndSwap(xdpIdle, xdpClosed) {
			x.unmap()
			break
		}
		if x.state.CompareAndSwap(xdpWriting, xdpClosing) {
			break
		}
	}
	return errors.Join(x.file.Close(), x.routes.close())
}

// frame returns memory for the next frame, nil: there is none.
func (x *xdp) frame() []byte {
	if len(x.free) == 0 {
		c, p := *x.done.cons, atomic.LoadUint32(x.done.prod)
		for ; c != p; c++ {
			x.free = append(x.free, *(*uint64)(unsafe.Add(x.done.descs, uintptr(c%xdpFrames)*8)))
		}
		atomic.StoreUint32(x.done.cons, c)
		if len(x.free) == 0 {
			return nil
		}
	}
	a := x.free[len(x.free)-1]
	return x.frames[a : a+xdpFrame : a+xdpFrame]
}

// push puts the frame that was asked for last into the ring.
func (x *xdp) push(size int) {
	a := x.free[len(x.free)-1]
	x.free = x.free[:len(x.free)-1]
	p := *x.tx.prod
	d := (*unix.XDPDesc)(unsafe.Add(x.tx.descs, uintptr(p%xdpFrames)*16))
	*d = unix.XDPDesc{Addr: a, Len: uint32(size)}
	atomic.StoreUint32(x.tx.prod, p+1)
}

// waiting is how many frames the kernel has not taken.
func (x *xdp) waiting() int { return int(*x.tx.prod - atomic.LoadUint32(x.tx.cons)) }

// kick has the kernel send what is in the ring. It returns how many frames it
// did not take, which are taken back, and why.
func (x *xdp) kick(stats *counters) (unsent int, e unix.Errno, err error) {
	for n := x.waiting(); n > 0; n = x.waiting() {
		x.errno = 0
		if err := x.raw.Control(x.kicker); err != nil {
			return x.takeBack(), 0, net.ErrClosed
		}
		stats.writes.Add(1)
		if x.waiting() < n || x.errno == unix.EINTR {
			continue // in copy mode it takes a number at a time
		}
		if x.errno == 0 {
			x.errno = unix.EAGAIN
		}
		return x.takeBack(), x.errno, nil
	}
	return 0, 0, nil
}

// takeBack empties the ring: in copy mode the kernel looks at it only when told.
func (x *xdp) takeBack() (n int) {
	for p, c := *x.tx.prod, atomic.LoadUint32(x.tx.cons); p != c; n++ {
		p--
		x.free = append(x.free, (*unix.XDPDesc)(unsafe.Add(x.tx.descs, uintptr(p%xdpFrames)*16)).Addr)
		atomic.StoreUint32(x.tx.prod, p)
	}
	return n
}
