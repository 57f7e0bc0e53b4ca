package dtls

import "slices"

// reservedLabels are those the protocol uses itself (RFC 5705 §4).
var reservedLabels = [...]string{labelMaster, labelEMS, labelKeys, labelClient, labelServer}

// ExportKeyingMaterial derives n bytes, 1 to 4096, from the session (RFC 5705
// §4, RFC 8446 §7.5); both sides get the same. In DTLS 1.2 a nil context is not
// the same as an empty one. It fails with ErrNotConnected before Connected and after the end, and ErrExport.
func (c *Conn) ExportKeyingMaterial(label string, context []byte, n int) ([]byte, error) {
	if c.phase != phaseConnected {
		return nil, ErrNotConnected
	}
	if n < 1 || n > maxExport || len(context) > 0xffff || slices.Contains(reservedLabels[:], label) {
		return nil, ErrExport
	}
	if c.v13() && len(label) > 255-len(prefix13) { // RFC 8446 §7.1
		return nil, ErrExport
	}
	if c.v13() { // RFC 8446 §7.5: no context is the empty one
		return c.sess13.suite.export(c.sess13.exporter, label, context, n), nil
	}
	seed := append([]byte(nil), c.sess.clientRandom[:]...)
	seed = append(seed, c.sess.serverRandom[:]...)
	if context != nil {
		seed = appendVec16(seed, context)
	}
	out := make([]byte, n)
	prf12(c.sess.suite.hashLen, out, c.sess.master[:], label, seed)
	return out, nil
}
