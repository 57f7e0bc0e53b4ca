package sockets

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net/netip"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sluicertc/sluice/internal/mono"
)

// merging opens a socket on which the kernel merges what comes.
func merging(t *testing.T, f *faults) *conn {
	t.Helper()
	c := mustOpen(t, f)
	if c.rx.runs == nil {
		t.Skip("this kernel has no UDP_GRO, so there is nothing to tell apart")
	}
	return c
}

// A run that comes as one message is handed over as datagrams, in order, with
// what came before and after it, however few messages a read has.
func TestMergedDatagramsAreToldApart(t *testing.T) {
	for _, slots := range []int{1, 2, 3, 5, 7, 16, 64, 200} {
		a, b := mustOpen(t, &faults{}), merging(t, &faults{})
		var want [][]byte
		var out []Message
		send := func(seg int, sizes ...int) {
			m := Message{Addr: b.LocalAddr(), Seg: uint16(seg), ECN: uint8(len(out) & 3)}
			for _, n := range sizes {
				p := bytes.Repeat([]byte{byte(len(want))}, n)
				want = append(want, p)
				m.Buf = append(m.Buf, p...)
			}
			out = append(out, m)
		}
		send(0, 5)
		send(1000, 1000, 1000, 1000, 17)
		send(0, 0)
		send(300, 300, 300)
		send(1200, bytes20(1200)...)
		send(0, 1400)
		send(100, 100, 1)
		if n, err := a.WriteBatch(out); n != len(out) || err != nil {
			t.Fatal(n, err)
		}
		ecn := []uint8{0, 1, 1, 1, 1, 2, 3, 3}
		for range 20 {
			ecn = append(ecn, 0)
		}
		ecn = append(ecn, 1, 2, 2)
		b.SetTimeout(mono.Now().Add(patience))
		var got int
		for got < len(want) {
			ms := cells(slots, 2048)
			n, err := b.ReadBatch(ms)
			if n == 0 || err != nil {
				t.Fatalf("%d slots: %d of %d, %v", slots, got, len(want), err)
			}
			for _, m := range ms[:n] {
				if !bytes.Equal(m.Buf, want[got]) || m.Addr != a.LocalAddr() || m.Local != b.LocalAddr().Addr() || m.At == 0 || m.ECN != ecn[got] || m.Seg != 0 {
					t.Fatalf("%d slots: datagram %d: %d bytes from %v to %v at %d, ECN %d", slots, got, len(m.Buf), m.Addr, m.Local, m.At, m.ECN)
				}
				got++
			}
		}
		s := b.Stats()
		if s.Received != uint64(len(want)) || s.Truncated != 0 || a.gso.Load() && s.GRORuns != 4 {
			t.Fatalf("%d slots: %+v", slots, s)
		}
	}
}

func bytes20(n int) (sizes []int) {
	for range 20 {
		sizes = append(sizes, n)
	}
	return sizes
}

// What does not fit is counted, datagram by datagram, and harms no other.
func TestClass53_MergedDatagramsTooLongAreCounted(t *testing.T) {
	a, b := mustOpen(t, &faults{}), merging(t, &faults{})
	if !a.gso.Load() {
		t.Skip("this kernel has no UDP_SEGMENT, so nothing is merged")
	}
	for _, m := range []Message{
		{Buf: make([]byte, 3500), Seg: 1000}, // of which the last fits
		{Buf: make([]byte, 1001)},
		{Buf: []byte("ok")},
	} {
		m.Addr = b.LocalAddr()
		if _, err := a.WriteBatch([]Message{m}); err != nil {
			t.Fatal(err)
		}
	}
	b.SetTimeout(mono.Now().Add(patience))
	var sizes []int
	for len(sizes) < 6 {
		ms := cells(3, 900) // some are kept for the next read
		n, err := b.ReadBatch(ms)
		if n == 0 || err != nil {
			t.Fatal(n, err)
		}
		for _, m := range ms[:n] {
			sizes = append(sizes, len(m.Buf))
		}
	}
	if fmt.Sprint(sizes) != "[0 0 0 500 0 2]" || b.Stats().Truncated != 4 {
		t.Fatalf("%v, %+v", sizes, b.Stats())
	}
}

// A run longer than all there is room for shows that the kernel merges more
// than it may: then it is told not to.
func TestClass53_RunCutShortSwitchesMergingOff(t *testing.T) {
	f := &faults{}
	a, b := mustOpen(t, &faults{}), merging(t, f)
	if !a.gso.Load() {
		t.Skip("this kernel has no UDP_SEGMENT, so nothing is merged")
	}
	f.got = func(hs []mmsghdr) {
		if hs[0].len > 1000 {
			hs[0].hdr.Flags |= unix.MSG_TRUNC
		}
	}
	send := func(m Message) {
		t.Helper()
		m.Addr = b.LocalAddr()
		if _, err := a.WriteBatch([]Message{m}); err != nil {
			t.Fatal(err)
		}
	}
	send(Message{Buf: make([]byte, 3000), Seg: 1000})
	if m := receive(t, b, 1)[0]; len(m.Buf) != 0 {
		t.Fatalf("%d bytes of a run that was cut", len(m.Buf))
	}
	if s := b.Stats(); s.GROFallbacks != 1 || s.Truncated != 1 || s.GRORuns != 0 {
		t.Fatalf("%+v", s)
	}
	f.got = nil
	send(Message{Buf: make([]byte, 2500), Seg: 1000})
	for i, m := range receive(t, b, 3) {
		if want := []int{1000, 1000, 500}[i]; len(m.Buf) != want {
			t.Fatalf("datagram %d: %d bytes", i, len(m.Buf))
		}
	}
	if s := b.Stats(); s.GROFallbacks != 1 || s.GRORuns != 0 || s.Received != 4 {
		t.Fatalf("%+v", s)
	}
}

func TestNoGROKeepsTheKernelFromMerging(t *testing.T) {
	a := mustListen(t, Config{Addr: netip.MustParseAddrPort("127.0.0.1:0")})
	b := mustListen(t, Config{Addr: netip.MustParseAddrPort("127.0.0.1:0"), NoGRO: true})
	if _, err := a.WriteBatch([]Message{{Buf: make([]byte, 2500), Seg: 1000, Addr: b.LocalAddr()}}); err != nil {
		t.Fatal(err)
	}
	receive(t, b, 3)
	if s := b.Stats(); s.GRORuns != 0 || s.Received != 3 {
		t.Fatalf("%+v", s)
	}
}

func TestLeftoversDoNotAllocate(t *testing.T) {
	a, b := mustOpen(t, &faults{}), merging(t, &faults{})
	run := make([]byte, 30000)
	out := []Message{{Addr: b.LocalAddr(), Seg: 1000}}
	in := cells(4, 2048)
	b.SetTimeout(mono.Now().Add(patience))
	if n := testing.AllocsPerRun(100, func() {
		out[0].Buf = run
		if _, err := a.WriteBatch(out); err != nil {
			t.Fatal(err)
		}
		for left := 30; left > 0; {
			n, err := b.ReadBatch(in)
			if err != nil || n == 0 {
				t.Fatal(n, err)
			}
			left -= n
		}
	}); n != 0 {
		t.Fatalf("%v allocations a round", n)
	}
}

// invented is a kernel that has received what a test says.
type invented struct {
	systemCalls
	queue []arrival
}

type arrival struct {
	data []byte
	seg  int // 0: not told
}

func (k *invented) recvmmsg(_ uintptr, hs []mmsghdr) (n int, e unix.Errno) {
	if len(k.queue) == 0 {
		return 0, unix.EAGAIN
	}
	for n < len(hs) && len(k.queue) > 0 {
		a := k.queue[0]
		k.queue = k.queue[1:]
		h := &hs[n].hdr
		size, rest := 0, a.data
		for _, v := range unsafe.Slice(h.Iov, int(h.Iovlen)) {
			c := copy(unsafe.Slice(v.Base, int(v.Len)), rest)
			size, rest = size+c, rest[c:]
		}
		hs[n].len = uint32(size)
		h.Flags = 0
		if len(rest) > 0 {
			h.Flags = unix.MSG_TRUNC
		}
		*(*unix.RawSockaddrInet4)(unsafe.Pointer(h.Name)) = unix.RawSockaddrInet4{Family: unix.AF_INET, Port: 1, Addr: [4]byte{127, 0, 0, 1}}
		h.SetControllen(0)
		if a.seg != 0 {
			c := (*unix.Cmsghdr)(unsafe.Pointer(h.Control))
			c.Level, c.Type = unix.IPPROTO_UDP, unix.UDP_GRO
			c.SetLen(unix.CmsgLen(4))
			binary.NativeEndian.PutUint32(unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(h.Control), unix.CmsgLen(0))), 4), uint32(a.seg))
			h.SetControllen(unix.CmsgSpace(4))
		}
		n++
	}
	return n, 0
}

// Whatever arrives, in whatever sizes and however many buffers of whatever
// size: what is handed over are the datagrams, in order.
func FuzzMerged(f *testing.F) {
	f.Add([]byte{3, 200, 10, 100, 0, 100, 40, 30, 255, 1}, uint8(4), uint8(90))
	f.Add([]byte{1, 1, 0, 0, 9, 8, 250, 249, 7, 0}, uint8(1), uint8(255))
	k := &invented{}
	c, err := open(Config{Addr: netip.MustParseAddrPort("127.0.0.1:0")}, k)
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { c.Close() })
	if c.rx.runs == nil {
		f.Skip("this kernel has no UDP_GRO, so there is nothing to tell apart")
	}
	c.SetTimeout(mono.Now())
	f.Fuzz(func(t *testing.T, plan []byte, slots, size uint8) {
		k.queue = nil
		var want [][]byte
		for i := 0; i+1 < len(plan) && i < 400; i += 2 {
			a := arrival{data: make([]byte, int(plan[i])*17), seg: int(plan[i+1]) * 5}
			for j := range a.data {
				a.data[j] = byte(i + j)
			}
			if plan[i+1] == 255 {
				a.seg = -1
			}
			k.queue = append(k.queue, a)
			seg := a.seg
			if seg <= 0 || seg >= len(a.data) {
				seg = max(len(a.data), 1)
			}
			for rest := a.data; ; rest = rest[seg:] {
				d := rest[:min(seg, len(rest))]
				if len(d) > int(size)*8 {
					want = append(want, nil)
				} else {
					want = append(want, d)
				}
				if len(rest) <= seg {
					break
				}
			}
		}
		ms := make([]Message, int(slots)%70+1)
		for i := range ms {
			ms[i].Buf = make([]byte, 0, int(size)*8)
		}
		before := c.Stats()
		var long uint64
		for at := 0; ; {
			n, err := c.ReadBatch(ms)
			if err != nil {
				t.Fatal(err)
			}
			if n == 0 && at == len(want) {
				break
			}
			if n == 0 || at+n > len(want) {
				t.Fatalf("%d datagrams behind %d of %d", n, at, len(want))
			}
			for i, m := range ms[:n] {
				if !bytes.Equal(m.Buf, want[at+i]) {
					t.Fatalf("datagram %d: %x, want %x", at+i, m.Buf, want[at+i])
				}
				if want[at+i] == nil {
					long++
				}
				if cap(m.Buf) != int(size)*8 {
					t.Fatalf("datagram %d is in a buffer of %d bytes", at+i, cap(m.Buf))
				}
			}
			at += n
		}
		after := c.Stats()
		if got := after.Received - before.Received; got != uint64(len(want)) {
			t.Fatalf("counted %d of %d", got, len(want))
		}
		if got := after.Truncated - before.Truncated; got != long {
			t.Fatalf("counted %d too long, want %d", got, long)
		}
	})
}
