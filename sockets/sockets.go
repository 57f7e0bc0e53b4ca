package sockets

import (
	"errors"
	"math/bits"
	"net/netip"
	"sync/atomic"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// ErrWouldBlock says that the socket's send buffer or the device's queue is
// full (EAGAIN, ENOBUFS). Messages from the returned index on were not sent.
var ErrWouldBlock = errors.New("sockets: send buffer full")

// ErrNoXDP says that Config.XDP cannot be; the error that wraps it tells why.
var ErrNoXDP = errors.New("sockets: AF_XDP does not work here")

// Message is one datagram, or a run of datagrams to one receiver.
type Message struct {
	// Buf is the payload. ReadBatch fills Buf[:cap(Buf)] from the start and
	// sets the length to what arrived; a datagram longer than the capacity is
	// counted in Stats.Truncated and handed over with length zero.
	Buf []byte
	// Addr is the remote transport address, never IPv4-mapped.
	Addr netip.AddrPort
	// Local is the destination address of a received datagram where the
	// system tells it, and the source address to send from; invalid means
	// "the kernel chooses".
	Local netip.Addr
	// Seg, when sending and above zero, cuts Buf into datagrams of Seg bytes,
	// the last of which may be shorter.
	Seg uint16
	// Whole, when sending one datagram, forbids IP to fragment it, here and on the
	// path, whatever is known of the path (RFC 8899 §3 item 2): one that is too
	// long is lost. Linux only; elsewhere it is sent as any other.
	Whole bool
	// ECN is the codepoint of RFC 3168, 0 to 3.
	ECN uint8
	// At is when a received datagram came: where the system does not tell, when
	// the batch that held it was read.
	At mono.Time
}

// Conn is one bound UDP socket.
type Conn interface {
	// ReadBatch fills ms with the datagrams that are waiting. When there are
	// none it waits for one, for Wake or for the timeout; in the last two
	// cases, and after an error of a single datagram, it returns 0 and nil.
	// After Close it returns net.ErrClosed.
	ReadBatch(ms []Message) (n int, err error)
	Writer
	// SetTimeout bounds the wait of the following ReadBatch calls; zero means
	// no bound, an instant that has passed means not to wait at all.
	SetTimeout(at mono.Time)
	// SetEager keeps the following ReadBatch calls from letting datagrams
	// gather (Config.MaxWakeupDelay), while somebody waits for an answer to
	// send on.
	SetEager(on bool)
	// Wake ends the current wait of ReadBatch, or the next one if none is
	// under way. Any goroutine may call it.
	Wake()
	// LocalAddr is the bound address; its IP may be unspecified.
	LocalAddr() netip.AddrPort
	// Writer makes another writer on the same socket, for another goroutine. One
	// system call of it takes up to batch messages, 1 to 64: what it costs is memory.
	Writer(batch int) Writer
	// Stats reads the counters. Any goroutine may call it.
	Stats() Stats
	Close() error
}

// Writer sends batches. It belongs to one goroutine.
type Writer interface {
	// WriteBatch sends ms in order and returns how many messages are done
	// with. A message that can never be sent (too large, no route, refused by
	// a filter) is counted in Stats.SendErrors and skipped. When the socket
	// is full, it returns ErrWouldBlock; a run of which a part was sent is
	// then left in ms[n] with Buf cut to what remains.
	WriteBatch(ms []Message) (n int, err error)
}

// Stats are counters since Listen.
type Stats struct {
	Received, ReceivedBytes uint64 // datagrams, payload bytes
	Sent, SentBytes         uint64 // datagrams, payload bytes
	Reads, Writes           uint64 // system calls that moved datagrams
	Truncated               uint64 // received datagrams dropped for being longer than their buffer
	ReadErrors              uint64 // errors of a read other than "nothing there"
	SendErrors              uint64 // messages skipped
	WouldBlock              uint64 // writes cut short by a full buffer
	Messages                uint64 // what Sent left in: a run by segmentation offload is one
	GSORuns                 uint64 // runs sent as one segmented message
	GSOFallbacks            uint64 // segmented messages refused by the kernel, then sent plainly
	GRORuns                 uint64 // received runs of datagrams that the kernel had merged
	GROFallbacks            uint64 // times merging was switched off, for a run longer than any may be
	XDPSent                 uint64 // of Sent, by the ring of Config.XDP
	XDPFallbacks            uint64 // times that ring was given up, as when its interface is gone
	Wakeups                 uint64 // times ReadBatch found nothing and parked
	Sleeps                  uint64 // times it slept instead, for MaxWakeupDelay at most
	Overflowed              uint64 // datagrams the kernel dropped because the read buffer was full, as far as it told
	// Runs counts Messages by how many datagrams each held: 1, 2, to 4, to 8, to
	// 16, to 32, to 64, and more.
	Runs [RunSizes]uint64
}

// Add adds b to s, field by field.
func (s *Stats) Add(b Stats) {
	s.Received += b.Received
	s.ReceivedBytes += b.ReceivedBytes
	s.Sent += b.Sent
	s.SentBytes += b.SentBytes
	s.Reads += b.Reads
	s.Writes += b.Writes
	s.Truncated += b.Truncated
	s.ReadErrors += b.ReadErrors
	s.SendErrors += b.SendErrors
	s.WouldBlock += b.WouldBlock
	s.Messages += b.Messages
	s.GSORuns += b.GSORuns
	s.GSOFallbacks += b.GSOFallbacks
	s.GRORuns += b.GRORuns
	s.GROFallbacks += b.GROFallbacks
	s.XDPSent += b.XDPSent
	s.XDPFallbacks += b.XDPFallbacks
	s.Wakeups += b.Wakeups
	s.Sleeps += b.Sleeps
	s.Overflowed += b.Overflowed
	for i := range s.Runs {
		s.Runs[i] += b.Runs[i]
	}
}

// counters is Stats in the making: each field has one or two writers.
type counters struct {
	received, receivedBytes, sent, sentBytes, reads, writes atomic.Uint64
	truncated, readErrors, sendErrors, wouldBlock           atomic.Uint64
	gsoRuns, gsoFallbacks, wakeups, sleeps, overflowed      atomic.Uint64
	messages, groRuns, groFallbacks, xdpSent, xdpFallbacks  atomic.Uint64
	runs                                                    [RunSizes]atomic.Uint64
}

func (c *counters) snapshot() Stats {
	st := Stats{
		Received: c.received.Load(), ReceivedBytes: c.receivedBytes.Load(),
		Sent: c.sent.Load(), SentBytes: c.sentBytes.Load(),
		Reads: c.reads.Load(), Writes: c.writes.Load(),
		Truncated: c.truncated.Load(), ReadErrors: c.readErrors.Load(),
		SendErrors: c.sendErrors.Load(), WouldBlock: c.wouldBlock.Load(),
		Messages: c.messages.Load(), GSORuns: c.gsoRuns.Load(), GSOFallbacks: c.gsoFallbacks.Load(),
		GRORuns: c.groRuns.Load(), GROFallbacks: c.groFallbacks.Load(),
		XDPSent: c.xdpSent.Load(), XDPFallbacks: c.xdpFallbacks.Load(),
		Wakeups: c.wakeups.Load(), Sleeps: c.sleeps.Load(), Overflowed: c.overflowed.Load(),
	}
	for i := range st.Runs {
		st.Runs[i] = c.runs[i].Load()
	}
	return st
}

// runSize is the place in Stats.Runs of a message of n datagrams.
func runSize(n int) int { return min(bits.Len(uint(n-1)), RunSizes-1) }

// Config says how to bind. The zero value binds every address of the machine,
// IPv4 and IPv6, on a port the system picks.
type Config struct {
	// Addr is the address to bind. An invalid or IPv6-unspecified IP accepts
	// both families where the system has IPv6.
	Addr netip.AddrPort
	// ReusePort lets several sockets of one user share the port, among which
	// the kernel spreads remote addresses by hash (Linux only; elsewhere
	// Listen fails when it is set).
	ReusePort bool
	// ReadBuffer and WriteBuffer are the kernel's buffers in bytes, 0 means
	// DefaultBuffer. They are forced where the process has the privilege, and
	// as large as the system's limit otherwise.
	ReadBuffer, WriteBuffer int
	// MaxWakeupDelay bounds for how long datagrams may be left to gather while
	// they come often: ReadBatch then sleeps instead of being woken by each.
	// While they come seldom it does not. 0 means DefaultWakeupDelay, a negative
	// value never to sleep. Linux only.
	MaxWakeupDelay time.Duration
	// NoGSO sends every run as single datagrams.
	NoGSO bool
	// NoGRO keeps the kernel from merging the datagrams of a sender that come
	// together. ReadBatch tells them apart either way.
	NoGRO bool
	// XDP, if not empty, is the name of an Ethernet interface into whose ring
	// WriteBatch puts datagrams that go out alone (AF_XDP, copy mode): cheaper
	// where bursts are short, as with audio. It needs CAP_NET_ADMIN and
	// CAP_NET_RAW, and a queue of the interface for each socket; XDPWorks tells
	// what is missing, without which datagrams go as ever. So do runs, what the
	// kernel routes over another interface, to neighbours whose link-layer
	// address it does not know, or what is too long for the interface. What goes
	// by the ring is seen by no packet filter, queueing discipline or capture.
	// Linux only.
	XDP string
	// Portable selects the net.UDPConn twin on every system.
	Portable bool
}

// Listen binds a socket. On Linux, Portable excepted, the Conn also implements
// syscall.Conn.
func Listen(cfg Config) (Conn, error) {
	if cfg.ReadBuffer == 0 {
		cfg.ReadBuffer = DefaultBuffer
	}
	if cfg.WriteBuffer == 0 {
		cfg.WriteBuffer = DefaultBuffer
	}
	if cfg.MaxWakeupDelay == 0 {
		cfg.MaxWakeupDelay = DefaultWakeupDelay
	}
	if cfg.Portable {
		return listenPortable(cfg)
	}
	return listen(cfg)
}
