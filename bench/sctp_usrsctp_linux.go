package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

func usrsctpPeer() peer { return usrsctp.peer() }

// usrsctp does the same in real time, in a process of its own: its timers have
// a thread of their own.
func (c sctpCase) usrsctp(seed uint64, d time.Duration) (mbps float64, err error) {
	if c.memory {
		return c.usrsctpAlone(d)
	}
	net := newWire(c.links(seed))
	defer net.close()
	var theirs [2]*os.File
	for i, end := range net.ends {
		var ours *os.File
		if ours, theirs[i], err = datagramPair(); err != nil {
			return 0, err
		}
		defer ours.Close()
		defer theirs[i].Close()
		go join(ours, end)
	}
	w, err := usrsctp.start(theirs[0], theirs[1])
	if err != nil {
		return 0, err
	}
	defer w.stop()
	var a struct{ Bytes int64 }
	if err := w.call(fmt.Appendf(nil, "run %.3f %d", d.Seconds(), c.size), &a); err != nil {
		return 0, err
	}
	if a.Bytes == 0 {
		return 0, errors.New("usrsctp: nothing arrived")
	}
	return float64(a.Bytes) * 8 / 1e6 / d.Seconds(), nil
}

// usrsctpAlone returns MB per second of the process's processor time.
func (c sctpCase) usrsctpAlone(d time.Duration) (float64, error) {
	w, err := usrsctp.start()
	if err != nil {
		return 0, err
	}
	defer w.stop()
	var a struct {
		Bytes int64
		CPU   float64
	}
	if err := w.call(fmt.Appendf(nil, "alone %.3f %d", d.Seconds(), c.size), &a); err != nil {
		return 0, err
	}
	if a.Bytes == 0 || a.CPU <= 0 {
		return 0, errors.New("usrsctp: nothing arrived")
	}
	return float64(a.Bytes) / 1e6 / a.CPU, nil
}

// datagramPair makes two connected ends which keep datagrams apart.
func datagramPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_SEQPACKET|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return nil, nil, err
	}
	for _, fd := range fds {
		err = errors.Join(err, unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_SNDBUF, 1<<20))
	}
	err = errors.Join(err, unix.SetNonblock(fds[0], true)) // for Go's poller
	ours, theirs = os.NewFile(uintptr(fds[0]), "link"), os.NewFile(uintptr(fds[1]), "link")
	if err != nil {
		err = errors.Join(err, ours.Close(), theirs.Close())
	}
	return ours, theirs, err
}

// join carries packets both ways until either is closed.
func join(f *os.File, end *wireEnd) {
	go func() {
		b := make([]byte, 1<<16)
		for {
			n, err := end.Read(b)
			if err == nil {
				_, err = f.Write(b[:n])
			}
			if err != nil {
				return // closed: the time is over
			}
		}
	}()
	b := make([]byte, 1<<16)
	for {
		n, err := f.Read(b)
		if err == nil {
			_, err = end.Write(b[:n])
		}
		if err != nil {
			return
		}
	}
}
