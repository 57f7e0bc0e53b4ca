package dtlsnet

import (
	"net/netip"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/internal/mono"
)

// gate lets in those clients which have proved their address. It belongs to one
// goroutine, which gets all that comes from an address that is not known yet.
type gate struct {
	cfg    *Config
	secret []byte
	most   int // bytes of unproven
	send   func(b []byte, to netip.AddrPort)
	admit  func(core *dtls.Conn, from netip.AddrPort) bool

	// Hellos in fragments, oldest first.
	unproven map[netip.AddrPort]*hello
	order    []*hello
	bytes    int
	empty    int // bytes of one that keeps nothing
	buf      []byte
	stats    gateStats
}

type gateStats struct{ hellos, forgotten, refused, admitted uint64 }

// hello is a ClientHello of which a part has come.
type hello struct {
	from netip.AddrPort
	core *dtls.Conn
	size int
	end  mono.Time
	gone bool
}

// looksLikeHello tells whether a datagram may begin a handshake: a plaintext
// handshake record of epoch 0.
func looksLikeHello(b []byte) bool {
	rec, _, ok := dtls.SplitRecord(b)
	return ok && rec[0] == dtls.ContentHandshake && dtls.Epoch(rec) == 0
}

// isClientHello tells whether such a datagram is of a ClientHello.
func isClientHello(b []byte) bool {
	const header, clientHello = 13, 1
	return looksLikeHello(b) && len(b) > header && b[header] == clientHello
}

// packet takes a datagram. It keeps nothing of what has not come to a whole hello
// with our cookie, but for fragments.
func (g *gate) packet(t mono.Time, b []byte, from netip.AddrPort) {
	g.forget(t)
	h := g.unproven[from]
	if h == nil {
		core, err := g.core(from)
		if err != nil {
			g.stats.refused++
			return
		}
		core.Start(t)
		g.empty = core.Size()
		h = &hello{from: from, core: core, end: t.Add(unprovenTime)}
	}
	g.stats.hellos++
	_ = h.core.HandlePacket(t, b) // noise is not worth a word
	if core := h.core; core.Accepted() {
		g.remove(h)
		if !g.admit(core, from) {
			g.stats.refused++
			return
		}
		g.stats.admitted++
		return
	}
	if g.buf == nil {
		g.buf = make([]byte, maxRecord)
	}
	for n := h.core.Transmit(t, g.buf); n > 0; n = h.core.Transmit(t, g.buf) {
		g.send(g.buf[:n], from)
	}
	g.keep(h)
}

// keep remembers what has come of a hello, or forgets it if that is nothing.
func (g *gate) keep(h *hello) {
	size := h.core.Size()
	if size <= g.empty {
		g.remove(h)
		return
	}
	if h.size == 0 {
		if g.unproven == nil {
			g.unproven = map[netip.AddrPort]*hello{}
		}
		g.unproven[h.from] = h
		g.order = append(g.order, h)
	}
	g.bytes += size - h.size
	h.size = size
	for g.bytes > g.most && len(g.order) > 0 {
		g.stats.forgotten++
		g.remove(g.order[0])
		g.trim()
	}
}

// remove forgets a hello, if it is remembered.
func (g *gate) remove(h *hello) {
	if h.size == 0 || h.gone {
		return
	}
	h.gone = true
	g.bytes -= h.size
	h.core = nil
	delete(g.unproven, h.from)
}

// forget removes what is too old.
func (g *gate) forget(t mono.Time) {
	for g.trim(); len(g.order) > 0 && !t.Before(g.order[0].end); g.trim() {
		g.stats.forgotten++
		g.remove(g.order[0])
	}
}

// trim takes what is gone off the front.
func (g *gate) trim() {
	for len(g.order) > 0 && g.order[0].gone {
		g.order[0] = nil
		g.order = g.order[1:]
	}
}

// core is a handshake machine for a client at an address.
func (g *gate) core(from netip.AddrPort) (*dtls.Conn, error) {
	cfg := *g.cfg
	cfg.DTLS.HelloVerify = !cfg.NoCookies
	cfg.DTLS.CookieSecret = g.secret
	cfg.DTLS.CookieContext, _ = from.MarshalBinary()
	return cfg.core(dtls.Server)
}
