package sockets

import (
	"bytes"
	"net"
	"net/netip"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/sluicertc/sluice/internal/mono"
)

// faults stands between a conn and the kernel: each sendmmsg first asks send,
// each recvmmsg recv, which may answer instead of the kernel, and then shows
// got what the kernel said.
type faults struct {
	systemCalls
	send func(hs []mmsghdr) (n int, e unix.Errno, handled bool)
	recv func() (unix.Errno, bool)
	got  func(hs []mmsghdr) // sees what the kernel filled
	rest func(time.Duration)
}

func (f *faults) sleep(d time.Duration) {
	if f.rest != nil {
		f.rest(d)
	}
}

func (f *faults) sendmmsg(fd uintptr, hs []mmsghdr) (int, unix.Errno) {
	if f.send != nil {
		if n, e, handled := f.send(hs); handled {
			return n, e
		}
	}
	return f.systemCalls.sendmmsg(fd, hs)
}

func (f *faults) recvmmsg(fd uintptr, hs []mmsghdr) (int, unix.Errno) {
	if f.recv != nil {
		if e, handled := f.recv(); handled {
			return 0, e
		}
	}
	n, e := f.systemCalls.recvmmsg(fd, hs)
	if n > 0 && f.got != nil {
		f.got(hs[:n])
	}
	return n, e
}

func mustOpen(t *testing.T, f *faults) *conn {
	t.Helper()
	c, err := open(Config{Addr: netip.MustParseAddrPort("127.0.0.1:0"), ReadBuffer: DefaultBuffer, WriteBuffer: DefaultBuffer}, f)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func segmented(h *mmsghdr) bool {
	b := h.hdr
	for off := 0; off+unix.SizeofCmsghdr <= int(b.Controllen); {
		c := *(*unix.Cmsghdr)(unsafe.Add(unsafe.Pointer(b.Control), off))
		if c.Level == unix.IPPROTO_UDP && c.Type == unix.UDP_SEGMENT {
			return true
		}
		off += unix.CmsgSpace(int(c.Len) - unix.CmsgLen(0))
	}
	return false
}

func TestClass53_SegmentationRefusedFallsBackLive(t *testing.T) {
	for _, refusal := range []unix.Errno{unix.EIO, unix.EINVAL} {
		f := &faults{}
		a, b := mustOpen(t, f), mustOpen(t, &faults{})
		if !a.gso.Load() {
			t.Skip("this kernel has no UDP_SEGMENT, so there is nothing to refuse")
		}
		f.send = func(hs []mmsghdr) (int, unix.Errno, bool) {
			if segmented(&hs[0]) {
				return 0, refusal, true
			}
			for i := range hs {
				if segmented(&hs[i]) { // the kernel stops before the refused one
					n, e := f.systemCalls.sendmmsg(a.file.Fd(), hs[:i])
					return n, e, true
				}
			}
			return 0, 0, false
		}
		run := bytes.Repeat([]byte("0123456789"), 25)
		n, err := a.WriteBatch([]Message{
			{Buf: []byte("before"), Addr: b.LocalAddr()},
			{Buf: run, Addr: b.LocalAddr(), Seg: 100},
			{Buf: []byte("after"), Addr: b.LocalAddr()},
		})
		if n != 3 || err != nil {
			t.Fatalf("WriteBatch = %d, %v", n, err)
		}
		got := receive(t, b, 5)
		for i, want := range [][]byte{[]byte("before"), run[:100], run[100:200], run[200:], []byte("after")} {
			if !bytes.Equal(got[i].Buf, want) {
				t.Fatalf("%v: datagram %d is %q", refusal, i, got[i].Buf)
			}
		}
		if s := a.Stats(); s.GSOFallbacks != 1 || s.SendErrors != 0 || s.Sent != 5 || s.Messages != 5 || s.Runs[0] != 5 {
			t.Fatalf("%+v", s)
		}
	}
}

func TestClass53_FullBufferKeepsTheRest(t *testing.T) {
	for _, full := range []unix.Errno{unix.EAGAIN, unix.ENOBUFS} {
		f := &faults{}
		a, b := mustOpen(t, f), mustOpen(t, &faults{})
		a.gso.Store(false)
		calls := 0
		f.send = func(hs []mmsghdr) (int, unix.Errno, bool) {
			if calls++; calls > 1 {
				return 0, full, true
			}
			n, e := f.systemCalls.sendmmsg(a.file.Fd(), hs[:2]) // room for two datagrams
			return n, e, true
		}
		run := []byte("aaaabbbbcc")
		ms := []Message{{Buf: []byte("one"), Addr: b.LocalAddr()}, {Buf: run, Addr: b.LocalAddr(), Seg: 4}}
		n, err := a.WriteBatch(ms)
		if n != 1 || err != ErrWouldBlock || string(ms[1].Buf) != "bbbbcc" {
			t.Fatalf("WriteBatch = %d, %v; %q remains", n, err, ms[1].Buf)
		}
		f.send = nil
		if n, err := a.WriteBatch(ms[n:]); n != 1 || err != nil {
			t.Fatalf("retry = %d, %v", n, err)
		}
		got := receive(t, b, 4)
		for i, want := range []string{"one", "aaaa", "bbbb", "cc"} {
			if string(got[i].Buf) != want {
				t.Fatalf("datagram %d is %q", i, got[i].Buf)
			}
		}
	}
}

func TestClass53_RefusedDatagramIsSkipped(t *testing.T) {
	f := &faults{}
	a, b := mustOpen(t, f), mustOpen(t, &faults{})
	refuse := true
	f.send = func([]mmsghdr) (int, unix.Errno, bool) {
		r := refuse
		refuse = false
		return 0, unix.EMSGSIZE, r
	}
	if n, err := a.WriteBatch([]Message{{Buf: []byte("big"), Addr: b.LocalAddr()}, {Buf: []byte("ok"), Addr: b.LocalAddr()}}); n != 2 || err != nil {
		t.Fatalf("WriteBatch = %d, %v", n, err)
	}
	if m := receive(t, b, 1)[0]; string(m.Buf) != "ok" || a.Stats().SendErrors != 1 {
		t.Fatalf("%q, %+v", m.Buf, a.Stats())
	}
}

func TestClass53_ReadErrorIsCountedAndPasses(t *testing.T) {
	f := &faults{}
	a, b := mustOpen(t, &faults{}), mustOpen(t, f)
	fail := 3
	f.recv = func() (unix.Errno, bool) {
		fail--
		return unix.ECONNREFUSED, fail >= 0
	}
	if _, err := a.WriteBatch([]Message{{Buf: []byte("x"), Addr: b.LocalAddr()}}); err != nil {
		t.Fatal(err)
	}
	receive(t, b, 1)
	if s := b.Stats(); s.ReadErrors != 3 || s.Received != 1 {
		t.Fatalf("%+v", s)
	}
}

func TestECNIsCarriedAndRead(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		a, b := mustListen(t, Config{Addr: netip.MustParseAddrPort(addr)}), mustListen(t, Config{Addr: netip.MustParseAddrPort(addr)})
		for ecn := range uint8(4) {
			if _, err := a.WriteBatch([]Message{{Buf: []byte("x"), Addr: b.LocalAddr(), ECN: ecn}}); err != nil {
				t.Fatal(err)
			}
			if m := receive(t, b, 1)[0]; m.ECN != ecn {
				t.Errorf("%s: ECN %d arrived as %d", addr, ecn, m.ECN)
			}
		}
	}
	s := mustListen(t, Config{})
	a := mustListen(t, Config{Addr: netip.MustParseAddrPort("127.0.0.1:0")})
	to := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), s.LocalAddr().Port())
	if _, err := a.WriteBatch([]Message{{Buf: []byte("x"), Addr: to, ECN: 2}}); err != nil {
		t.Fatal(err)
	}
	if m := receive(t, s, 1)[0]; m.ECN != 2 {
		t.Errorf("dual stack: ECN 2 arrived as %d", m.ECN)
	}
}

func TestReusePortSharesThePort(t *testing.T) {
	a := mustListen(t, Config{Addr: netip.MustParseAddrPort("127.0.0.1:0"), ReusePort: true})
	b := mustListen(t, Config{Addr: a.LocalAddr(), ReusePort: true})
	if a.LocalAddr() != b.LocalAddr() {
		t.Fatalf("%v and %v", a.LocalAddr(), b.LocalAddr())
	}
}

func TestNoAllocationOnTheWay(t *testing.T) {
	a, b := mustListen(t, Config{Addr: netip.MustParseAddrPort("127.0.0.1:0")}), mustListen(t, Config{Addr: netip.MustParseAddrPort("127.0.0.1:0")})
	run := make([]byte, 4000)
	out := []Message{{Addr: b.LocalAddr(), Seg: 1000}, {Addr: b.LocalAddr()}}
	in := cells(16, 2048)
	b.SetTimeout(mono.Now().Add(patience))
	if n := testing.AllocsPerRun(200, func() {
		out[0].Buf, out[1].Buf = run, run[:100]
		if _, err := a.WriteBatch(out); err != nil {
			t.Fatal(err)
		}
		for left := 5; left > 0; {
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

func TestKernelVersions(t *testing.T) {
	for s, want := range map[string]version{
		"6.18.44-fc-v657": {6, 18, 44}, "7.1": {7, 1, 0}, "5.10.0-28-amd64": {5, 10, 0}, "": {}, "x.y.z": {},
	} {
		if got := parseVersion(s); got != want {
			t.Errorf("%q: %v", s, got)
		}
	}
	if maxSegments(version{6, 8, 12}) != 64 || maxSegments(version{6, 9, 0}) != 128 {
		t.Error("segment limits")
	}
	for _, v := range []version{{7, 0, 0}, {7, 1, 4}} {
		if gsoWorks(-1, v) {
			t.Errorf("%v corrupts equal runs and must be refused", v)
		}
	}
}

func FuzzControl(f *testing.F) {
	f.Add(make([]byte, 64))
	f.Fuzz(func(t *testing.T, b []byte) {
		b = append(make([]byte, 0, len(b)+8), b...)
		var m Message
		c := control{m: &m}
		c.parse(b)
		if m.ECN > 3 {
			t.Fatal(m.ECN)
		}
	})
}

// What waited in the socket has the time of its arrival, not of the read.
func TestArrivalIsWhenTheKernelSawIt(t *testing.T) {
	a, b := mustListen(t, Config{Addr: netip.MustParseAddrPort("127.0.0.1:0")}), mustListen(t, Config{Addr: netip.MustParseAddrPort("127.0.0.1:0")})
	var between [4]mono.Time
	for i := range between {
		if _, err := a.WriteBatch([]Message{{Buf: []byte{byte(i)}, Addr: b.LocalAddr()}}); err != nil {
			t.Fatal(err)
		}
		for between[i] = mono.Now(); mono.Now() == between[i]; {
		}
	}
	for i, m := range receive(t, b, len(between)) {
		// The two clocks are read one after the other.
		const slack = mono.Time(200_000)
		if m.At > between[i]+slack || i > 0 && m.At+slack < between[i-1] {
			t.Errorf("datagram %d came at %d, sent before %d", i, m.At, between[i])
		}
	}
}

func TestClass53_WhatTheKernelDroppedIsCounted(t *testing.T) {
	a := mustListen(t, Config{Addr: netip.MustParseAddrPort("127.0.0.1:0")})
	b := mustListen(t, Config{Addr: netip.MustParseAddrPort("127.0.0.1:0"), ReadBuffer: 4096})
	const n = 1000
	for range n {
		if _, err := a.WriteBatch([]Message{{Buf: make([]byte, 1000), Addr: b.LocalAddr()}}); err != nil {
			t.Fatal(err)
		}
	}
	in := cells(readBatch, 2048)
	b.SetTimeout(mono.Now())
	got := 0
	for k := 1; k > 0; {
		var err error
		if k, err = b.ReadBatch(in); err != nil {
			t.Fatal(err)
		}
		got += k
	}
	// The count comes with a datagram, and so with the next one.
	if _, err := a.WriteBatch([]Message{{Buf: []byte("x"), Addr: b.LocalAddr()}}); err != nil {
		t.Fatal(err)
	}
	receive(t, b, 1)
	if s := b.Stats(); got == n || s.Overflowed != uint64(n-got) {
		t.Errorf("%d of %d arrived, %d are said to have been dropped", got, n, s.Overflowed)
	}
}

// A socket that finds datagrams often sleeps instead of waiting for each, for
// no longer than it was told, and waits again when they are few.
func TestBusySocketSleepsAndAnIdleOneParks(t *testing.T) {
	f := &faults{}
	var slept []time.Duration
	c, err := open(Config{Addr: netip.MustParseAddrPort("127.0.0.1:0"), ReadBuffer: DefaultBuffer, WriteBuffer: DefaultBuffer, MaxWakeupDelay: time.Millisecond}, f)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	a := mustOpen(t, &faults{})
	send := func() {
		if _, err := a.WriteBatch([]Message{{Buf: []byte("x"), Addr: c.LocalAddr()}}); err != nil {
			t.Error(err)
		}
	}
	f.rest = func(d time.Duration) {
		slept = append(slept, d)
		send()
	}
	in := cells(4, 100)
	c.pace.busy, c.pace.from = true, mono.Now().Add(time.Hour) // no window ends
	c.drained = true
	if n, err := c.ReadBatch(in); n != 1 || err != nil || len(slept) != 1 || slept[0] != time.Millisecond {
		t.Fatalf("%d, %v, slept %v", n, err, slept)
	}
	// What is due before the sleep would end is not slept over, nor what
	// somebody waits for.
	c.SetTimeout(mono.Now().Add(300 * time.Microsecond))
	if n, err := c.ReadBatch(in); n != 0 || err != nil || len(slept) != 1 {
		t.Fatalf("%d, %v, slept %v", n, err, slept)
	}
	c.SetTimeout(mono.Now().Add(patience))
	c.SetEager(true)
	send()
	if n, err := c.ReadBatch(in); n != 1 || err != nil || len(slept) != 1 {
		t.Fatalf("%d, %v, slept %v", n, err, slept)
	}
	c.SetEager(false)
	if n, err := c.ReadBatch(in); n != 1 || err != nil || len(slept) != 2 {
		t.Fatalf("%d, %v, slept %v", n, err, slept)
	}
	c.pace.busy = false
	c.SetTimeout(mono.Now().Add(patience))
	send()
	if n, err := c.ReadBatch(in); n == 0 || err != nil || len(slept) != 2 {
		t.Fatalf("%d, %v, slept %v", n, err, slept)
	}
	if s := c.Stats(); s.Sleeps != 2 {
		t.Errorf("%d sleeps", s.Sleeps)
	}
}

func TestPaceFollowsTheRate(t *testing.T) {
	const delay = 1_000_000
	run := func(p *pace, from mono.Time, gap mono.Time, reads, datagrams int) mono.Time {
		for range reads {
			from += gap
			if p.sleep(0) == 0 {
				p.park()
			}
			p.arrive(from, datagrams)
		}
		return from
	}
	p := &pace{delay: delay}
	at := run(p, 1, 5*delay, 100, 4)
	if p.busy {
		t.Fatal("four datagrams each five delays are not often")
	}
	at = run(p, at, delay/4, 100, 1)
	if !p.busy {
		t.Fatal("four reads a delay are often")
	}
	at = run(p, at, delay, 100, 4)
	if !p.busy {
		t.Fatal("sleeping, it finds four at once, and stops to sleep")
	}
	at = run(p, at, delay, 100, 1)
	if p.busy {
		t.Fatal("one datagram a sleep is not worth it")
	}
	at = run(p, at, delay/4, 100, 1)
	if run(p, at, 1000*delay, 1, 50); p.busy {
		t.Fatal("it goes on sleeping after a silence")
	}
	if p := (&pace{delay: -1}); run(p, 1, delay/100, 10000, 9) == 0 || p.busy || p.sleep(5) != 0 {
		t.Fatal("it sleeps though told never to")
	}
}

// A wake of which the reader took note before the deadline moved ends one wait
// too many, and not the next ones.
func TestLateDeadlineOfAWakeEndsOneWaitOnly(t *testing.T) {
	c := mustOpen(t, &faults{})
	a := mustOpen(t, &faults{})
	if err := c.poller.file.SetReadDeadline(longAgo); err != nil {
		t.Fatal(err)
	}
	in := cells(4, 100)
	if n, err := c.ReadBatch(in); n != 0 || err != nil {
		t.Fatal(n, err)
	}
	if _, err := a.WriteBatch([]Message{{Buf: []byte("x"), Addr: c.LocalAddr()}}); err != nil {
		t.Fatal(err)
	}
	if n, err := c.ReadBatch(in); n != 1 || err != nil {
		t.Fatal(n, err)
	}
}

// Datagrams that come while nobody waits do not wake anybody, and none of them
// is forgotten.
func TestNothingIsMissedBetweenTwoWaits(t *testing.T) {
	c, a := mustOpen(t, &faults{}), mustOpen(t, &faults{})
	in := cells(1, 100)
	c.SetTimeout(mono.Now().Add(patience))
	for i := range 200 {
		for k := range i%3 + 1 {
			if _, err := a.WriteBatch([]Message{{Buf: []byte{byte(i), byte(k)}, Addr: c.LocalAddr()}}); err != nil {
				t.Fatal(err)
			}
		}
		for k := range i%3 + 1 {
			if n, err := c.ReadBatch(in); n != 1 || err != nil || in[0].Buf[0] != byte(i) || in[0].Buf[1] != byte(k) {
				t.Fatalf("round %d, datagram %d: %d, %v, %v", i, k, n, err, in[0].Buf)
			}
		}
	}
}

// A wait that ends by its deadline leaves the instance asked. What arrives
// before the next wait is told to Go when nobody listens.
func TestNothingIsMissedAfterAWaitThatEndedEarly(t *testing.T) {
	c, peer := mustOpen(t, &faults{}), mustOpen(t, &faults{})
	bystander, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer bystander.Close()
	ms := []Message{{Buf: make([]byte, 64)}, {Buf: make([]byte, 64)}}
	read := func(timeout time.Duration) int {
		t.Helper()
		c.SetTimeout(mono.Now().Add(timeout))
		n, err := c.ReadBatch(ms)
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	send := func() {
		t.Helper()
		if _, err := peer.WriteBatch([]Message{{Buf: []byte("x"), Addr: c.LocalAddr()}}); err != nil {
			t.Fatal(err)
		}
		// Go's poller has told of the datagram before it tells of this one,
		// for which a goroutine waits.
		told := make(chan error)
		go func() {
			_, _, err := bystander.ReadFromUDPAddrPort(make([]byte, 8))
			told <- err
		}()
		if _, err := peer.WriteBatch([]Message{{Buf: []byte("y"), Addr: bystander.LocalAddr().(*net.UDPAddr).AddrPort()}}); err != nil {
			t.Fatal(err)
		}
		if err := <-told; err != nil {
			t.Fatal(err)
		}
	}
	for range 20 {
		if n := read(time.Millisecond); n != 0 {
			t.Fatalf("%d datagrams from nowhere", n)
		}
		send()
		if n := read(-1); n != 1 {
			t.Fatalf("%d datagrams without waiting", n)
		}
		send()
		if n := read(time.Minute); n != 1 {
			t.Fatal("the datagram that came between two waits was missed")
		}
	}
}

// Told of no call, the runtime's monitor may sleep: who never waits has to let it
// know, or other goroutines of its processor starve.
func TestReaderThatNeverWaitsIsSeenByTheMonitor(t *testing.T) {
	var k systemCalls
	f := &faults{}
	c := mustOpen(t, f)
	defer c.Close()
	from, err := net.DialUDP("udp4", nil, net.UDPAddrFromAddrPort(c.LocalAddr()))
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	for range 2 * fullReads {
		if _, err := from.Write([]byte{1}); err != nil {
			t.Fatal(err)
		}
	}
	hs := make([]mmsghdr, 2)
	read := func(hs []mmsghdr) (n int) {
		t.Helper()
		if err := c.raw.Control(func(fd uintptr) { n, _ = k.recvmmsg(fd, hs) }); err != nil {
			t.Fatal(err)
		}
		return n
	}
	for i := range fullReads {
		if k.full != i {
			t.Fatalf("%d full reads, counted %d", i, k.full)
		}
		if n := read(hs[:1+i%2]); n != 1+i%2 {
			t.Fatalf("read %d datagrams", n)
		}
	}
	for k.full != 0 {
		if read(hs) == 0 && k.full != 0 {
			t.Fatal("a read that finds nothing leaves the row as it was")
		}
	}
}
