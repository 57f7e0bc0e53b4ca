package dtlsnet

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"

	"github.com/sluicertc/sluice/dtls"
)

// socket is the link of a Conn that has a socket to itself.
type socket struct {
	net.Conn
}

func (s socket) send(b []byte, _ netip.AddrPort) error {
	_, err := s.Conn.Write(b)
	return err
}

func (s socket) remoteAddr(netip.AddrPort) net.Addr        { return s.RemoteAddr() }
func (socket) established(*Conn)                           {}
func (socket) moved(*Conn, netip.AddrPort, netip.AddrPort) {}
func (s socket) ended(c *Conn) {
	if c.timer != nil {
		c.timer.Stop()
	}
	s.Conn.Close()
}

// Client is the client's side of a connection over nc, each of whose Reads and
// Writes is a datagram. The handshake begins with Handshake, Read or Write. Closing
// the Conn closes nc.
func Client(nc net.Conn, cfg Config) (*Conn, error) { return overConn(nc, cfg, dtls.Client) }

// Server is the server's side of a connection whose client is known: nc has one
// peer. No cookie is asked for unless cfg.DTLS.HelloVerify says so.
func Server(nc net.Conn, cfg Config) (*Conn, error) { return overConn(nc, cfg, dtls.Server) }

func overConn(nc net.Conn, cfg Config, role dtls.Role) (*Conn, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	core, err := cfg.core(role)
	if err != nil {
		return nil, err
	}
	c := newConn(core, &cfg, socket{nc}, netip.AddrPort{})
	go c.readSocket(nc, role)
	return c, nil
}

// readSocket receives until the socket is closed.
func (c *Conn) readSocket(nc net.Conn, role dtls.Role) {
	b := make([]byte, maxDatagram)
	for bad := 0; ; {
		n, err := nc.Read(b)
		if err == nil {
			bad = 0
			if role == dtls.Server {
				c.begin()
			}
			c.receive(now(), b[:n], netip.AddrPort{})
			continue
		}
		if bad++; errors.Is(err, net.ErrClosed) || errors.Is(err, io.EOF) || bad == maxReadErrors {
			c.fail(err)
			return
		}
	}
}

// ClientPacket is Client over pc with the server at addr; what comes from elsewhere
// is dropped. Closing the Conn closes pc.
func ClientPacket(pc net.PacketConn, addr net.Addr, cfg Config) (*Conn, error) {
	return Client(&pinned{pc, addr, addr.String()}, cfg)
}

// pinned is a PacketConn with one peer.
type pinned struct {
	net.PacketConn
	addr net.Addr
	text string
}

func (p *pinned) RemoteAddr() net.Addr { return p.addr }

func (p *pinned) Write(b []byte) (int, error) { return p.WriteTo(b, p.addr) }

func (p *pinned) Read(b []byte) (int, error) {
	for {
		n, from, err := p.ReadFrom(b)
		if err != nil || from.String() == p.text {
			return n, err
		}
	}
}

// Dial opens a socket, as net.Dial does, and shakes hands.
func Dial(ctx context.Context, network, address string, cfg Config) (*Conn, error) {
	var d net.Dialer
	nc, err := d.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	c, err := Client(nc, cfg)
	if err != nil {
		nc.Close()
		return nil, err
	}
	if err := c.Handshake(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}
