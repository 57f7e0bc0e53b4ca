package dtlsnet

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"time"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/internal/deadline"
	"github.com/sluicertc/sluice/internal/mono"
)

// link is what a Conn sends by.
type link interface {
	// send sends a datagram to an address; the zero one is that of the peer where
	// there is only one.
	send(b []byte, to netip.AddrPort) error
	LocalAddr() net.Addr
	remoteAddr(to netip.AddrPort) net.Addr
	// established, moved and ended tell what has become of a Conn, with its lock
	// held.
	established(c *Conn)
	moved(c *Conn, from, to netip.AddrPort)
	ended(c *Conn)
}

// Conn is a DTLS connection. It is a net.Conn whose messages keep their bounds.
type Conn struct {
	link  link
	idLen int

	mu     sync.Mutex // for all below
	core   *dtls.Conn
	rec    *dtls.Records
	remote netip.AddrPort
	begun  bool
	timer  *time.Timer
	plain  []byte // scratch: opened records, and content to be sealed
	wire   []byte // scratch: datagrams to be sent
	err    error  // why it has ended

	up, down chan struct{} // closed when connected, and when ended
	rx       chan []byte
	dropped  uint64
	read     deadline.Deadline
	write    deadline.Deadline
}

func newConn(core *dtls.Conn, cfg *Config, l link, remote netip.AddrPort) *Conn {
	return &Conn{
		link: l, core: core, idLen: cfg.ConnectionIDLen, remote: remote,
		up: make(chan struct{}), down: make(chan struct{}), rx: make(chan []byte, receiveQueue),
	}
}

// begin starts the handshake.
func (c *Conn) begin() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.begun || c.err != nil {
		return
	}
	c.begun = true
	t := now()
	c.core.Start(t)
	c.pump(t)
}

// Handshake shakes hands, unless that is done, and returns when it is, when it has
// failed, or when ctx ends, which ends the connection, too. Read and Write do it by
// themselves.
func (c *Conn) Handshake(ctx context.Context) error {
	c.begin()
	select {
	case <-c.up:
		return nil
	default:
	}
	select {
	case <-c.up:
		return nil
	case <-c.down:
		return c.reason()
	case <-ctx.Done():
		c.Close()
		return ctx.Err()
	}
}

// ready is Handshake for Read and Write.
func (c *Conn) ready(d *deadline.Deadline) error {
	c.begin()
	select {
	case <-c.up:
		return nil
	case <-c.down:
		return c.reason()
	case <-d.Wait():
		return os.ErrDeadlineExceeded
	}
}

// reason is what methods return after the end.
func (c *Conn) reason() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case errors.Is(c.err, dtls.ErrCloseNotify):
		return io.EOF
	case errors.Is(c.err, dtls.ErrClosed):
		return net.ErrClosed
	}
	return c.err
}

// Read returns one message. After the peer's close_notify it gives io.EOF, and
// net.ErrClosed after Close.
func (c *Conn) Read(b []byte) (int, error) {
	expired := c.read.Wait()
	if c.read.Past() {
		return 0, os.ErrDeadlineExceeded
	}
	if err := c.ready(&c.read); err != nil {
		return 0, err
	}
	select {
	case m := <-c.rx:
		return cut(b, m)
	default:
	}
	select {
	case m := <-c.rx:
		return cut(b, m)
	case <-c.down:
		select { // what came before the end
		case m := <-c.rx:
			return cut(b, m)
		default:
			return 0, c.reason()
		}
	case <-expired:
		return 0, os.ErrDeadlineExceeded
	}
}

func cut(b, m []byte) (int, error) {
	n := copy(b, m)
	if n < len(m) {
		return n, io.ErrShortBuffer
	}
	return n, nil
}

// Write sends one message, of at most 2^14 bytes, or what the peer has limited it
// to: else it fails with dtls.ErrTooLong.
func (c *Conn) Write(b []byte) (int, error) {
	if c.write.Past() {
		return 0, os.ErrDeadlineExceeded
	}
	if err := c.ready(&c.write); err != nil {
		return 0, err
	}
	c.mu.Lock()
	if c.err != nil {
		c.mu.Unlock()
		return 0, c.reason()
	}
	defer c.mu.Unlock()
	if err := c.seal(dtls.ContentApplicationData, b, c.remote); err != nil {
		return 0, err
	}
	if c.rec.WantsUpdate() { // RFC 9147 §4.5.3
		t := now()
		if c.core.UpdateKeys(t, false) == nil {
			c.pump(t)
		}
	}
	return len(b), nil
}

// Close sends close_notify and ends the connection; what it was made from is closed,
// too, a listener's socket excepted. It waits for nothing.
func (c *Conn) Close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return nil
	}
	t := now()
	c.core.Close(t)
	c.pump(t)
	return nil
}

// LocalAddr is that of the socket.
func (c *Conn) LocalAddr() net.Addr { return c.link.LocalAddr() }

// RemoteAddr is the peer's, as it has last proved itself.
func (c *Conn) RemoteAddr() net.Addr {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link.remoteAddr(c.remote)
}

// SetDeadline is SetReadDeadline and SetWriteDeadline.
func (c *Conn) SetDeadline(t time.Time) error {
	c.read.Set(t)
	c.write.Set(t)
	return nil
}

// SetReadDeadline bounds Read, and the handshake it waits for.
func (c *Conn) SetReadDeadline(t time.Time) error {
	c.read.Set(t)
	return nil
}

// SetWriteDeadline bounds the handshake that Write waits for: itself it never waits.
func (c *Conn) SetWriteDeadline(t time.Time) error {
	c.write.Set(t)
	return nil
}

// ConnectionState tells what was negotiated: version, cipher suite, group, ALPN,
// SRTP profile, the peer's certificates. Before the end of Handshake these are
// claims.
func (c *Conn) ConnectionState() dtls.ConnectionState {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.core.State()
}

// ExportKeyingMaterial is dtls.Conn's.
func (c *Conn) ExportKeyingMaterial(label string, context []byte, n int) ([]byte, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.core.ExportKeyingMaterial(label, context, n)
}

// SRTPKeys is dtls.Conn's.
func (c *Conn) SRTPKeys() (p dtls.SRTPProfile, localKey, localSalt, remoteKey, remoteSalt []byte, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.core.SRTPKeys()
}

// receive takes a datagram.
func (c *Conn) receive(t mono.Time, b []byte, from netip.AddrPort) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil || !c.begun {
		return
	}
	if c.rec == nil {
		_ = c.core.HandlePacket(t, b) // what is wrong is counted there
	} else {
		c.open(t, b, from)
	}
	c.pump(t)
}

// open takes a datagram apart when the record layer is ours.
func (c *Conn) open(t mono.Time, b []byte, from netip.AddrPort) {
	for len(b) > 0 {
		rec, rest, ok := dtls.SplitRecordCID(b, c.idLen)
		if !ok {
			return
		}
		b = rest
		if !c.rec.Owns(rec) {
			if from == c.remote { // plaintext counts from where the peer is
				_ = c.core.HandlePacket(t, rec)
			}
			continue
		}
		plain := scratch(&c.plain, len(rec))
		n, typ, err := c.rec.Open(plain, rec)
		if err != nil {
			continue
		}
		if from != c.remote && c.rec.Newest() {
			_ = c.core.CheckPath(t, from) // not negotiated: the peer stays where it is
		}
		switch typ {
		case dtls.ContentApplicationData:
			c.deliver(plain[:n])
		case dtls.ContentRoutability:
			_ = c.core.HandlePath(t, from, true, plain[:n])
		default:
			_ = c.core.HandleRecord(t, typ, plain[:n])
		}
	}
}

func scratch(b *[]byte, n int) []byte {
	if cap(*b) < n {
		*b = make([]byte, n)
	}
	return (*b)[:n]
}

func (c *Conn) deliver(m []byte) {
	if len(m) == 0 {
		return
	}
	select {
	case c.rx <- append([]byte(nil), m...):
	default:
		c.dropped++
	}
}

// seal sends one record.
func (c *Conn) seal(contentType uint8, msg []byte, to netip.AddrPort) error {
	if len(msg) > c.rec.MaxPlaintext() {
		return dtls.ErrTooLong
	}
	b := scratch(&c.wire, max(len(msg)+c.rec.Overhead(), maxRecord))
	n, err := c.rec.SealAs(b, contentType, msg)
	if err != nil {
		return err
	}
	return c.link.send(b[:n], to)
}

// maxRecord is room for what machines send, whatever the MTU.
const maxRecord = 1<<14 + 512

// pump drains the machine: events first, for what they lead to must be in place
// before the peer can answer.
func (c *Conn) pump(t mono.Time) {
	for ev, ok := c.core.Event(); ok; ev, ok = c.core.Event() {
		c.event(ev)
	}
	b := scratch(&c.wire, maxRecord)
	for n := c.core.Transmit(t, b); n > 0; n = c.core.Transmit(t, b) {
		_ = c.link.send(b[:n], c.remote) // as if lost
	}
	if c.rec != nil {
		plain := scratch(&c.plain, maxRecord)
		for n, typ := c.core.TransmitRecord(t, plain); n > 0; n, typ = c.core.TransmitRecord(t, plain) {
			_ = c.seal(typ, plain[:n], c.remote)
		}
		for n, to := c.core.TransmitPath(t, plain); n > 0; n, to = c.core.TransmitPath(t, plain) {
			if !to.IsValid() {
				to = c.remote
			}
			_ = c.seal(dtls.ContentRoutability, plain[:n], to)
		}
	}
	if c.err != nil {
		c.link.ended(c)
		return
	}
	c.arm(t)
}

func (c *Conn) event(ev dtls.Event) {
	switch ev := ev.(type) {
	case dtls.Connected:
		c.rec = c.core.Records()
		plain := scratch(&c.plain, maxRecord)
		for n := c.core.EarlyData(plain); n > 0; n = c.core.EarlyData(plain) {
			c.deliver(plain[:n])
		}
		close(c.up)
		c.link.established(c)
	case dtls.ConnectionIDChanged:
		c.rec.UseConnectionID(ev.ID)
	case dtls.PathChecked:
		if ev.OK {
			c.link.moved(c, c.remote, ev.Addr)
			c.remote = ev.Addr
		}
	case dtls.Closed:
		c.err = ev.Err
		close(c.down)
	}
}

// arm sets the timer for what the machine waits for.
func (c *Conn) arm(t mono.Time) {
	at := c.core.Timeout()
	switch {
	case at == 0 && c.timer != nil:
		c.timer.Stop()
	case at == 0:
	case c.timer == nil:
		c.timer = time.AfterFunc(max(0, at.Sub(t)), c.expire)
	default:
		c.timer.Reset(max(0, at.Sub(t)))
	}
}

func (c *Conn) expire() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return
	}
	t := now()
	c.core.HandleTimeout(t)
	c.pump(t)
}

// fail ends the connection because its socket has.
func (c *Conn) fail(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err == nil {
		c.err = err
		close(c.down)
		c.link.ended(c)
	}
}
