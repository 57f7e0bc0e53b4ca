package dtls

// fixedSize is what a Conn that has just been made holds, in bytes, rounded up.
const fixedSize = 3 << 10

// Size estimates the memory that the Conn holds, in bytes, for who bounds the sum
// over those which are not connected yet. What a peer can make it grow to is bounded
// by limits.go: 60 KiB.
func (c *Conn) Size() int {
	n := fixedSize + c.in.bytes + c.early.bytes + len(c.verify)
	if c.in.block != nil {
		n += reassemblyBlock
	}
	for i := range c.out.items {
		n += len(c.out.items[i].raw)
	}
	for _, der := range c.state.PeerCertificates {
		n += len(der)
	}
	if c.hs != nil {
		n += cap(c.hs.transcript)
	}
	if c.records != nil { // key schedules of both directions
		n += 4 << 10
	}
	if c.hand != nil {
		n += 4 << 10
	}
	return n
}

// Accepted tells whether a server has accepted a ClientHello: with
// Config.HelloVerify, whether the client's address has proved itself. Until then all
// a server keeps is fragments of hellos, see Size.
func (c *Conn) Accepted() bool { return c.hs == nil || c.hs.state != stateClientHello }
