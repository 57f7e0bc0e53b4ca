package dtls

import (
	"encoding/binary"
	"slices"
)

// appendState appends the record layer: in DTLS 1.2 counters, for the keys come from
// the master secret; in 1.3 the traffic secrets as well.
func (r *Records) appendState(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, r.stats.Forged)
	b = r.seal.appendState(b)
	b = binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64(b, r.seal.next), r.seal.blocks)
	b = r.open.window.append(r.open.appendState(b))
	if !r.v13 {
		return b
	}
	if r.prev == nil {
		b = append(b, 0)
	} else {
		b = r.prev.window.append(r.prev.appendState(append(b, 1)))
	}
	b = binary.BigEndian.AppendUint16(append(b, 0, byte(r.post>>16)), uint16(r.post))
	b = binary.BigEndian.AppendUint16(b, r.postEpoch)
	b = binary.BigEndian.AppendUint64(b, r.postFrom)
	updating := byte(0)
	if r.updating {
		updating = 1
	}
	return append(b, updating)
}

// appendState appends what keys are made from.
func (p *protection) appendState(b []byte) []byte {
	b = binary.BigEndian.AppendUint16(b, p.epoch)
	if p.suite != nil {
		b = appendVec8(b, p.secret)
	}
	return b
}

func (w *replayWindow) append(b []byte) []byte {
	b = binary.BigEndian.AppendUint64(b, w.top)
	for _, v := range w.bits {
		b = binary.BigEndian.AppendUint64(b, v)
	}
	return b
}

func (w *replayWindow) parse(r *reader) {
	w.top = r.u64()
	for i := range w.bits {
		w.bits[i] = r.u64()
	}
	if w.top > maxSequence+1 {
		r.bad = true
	}
}

// parseRecords makes a record layer of what appendState wrote; lowest is the
// smallest epoch it may be of in DTLS 1.3.
func (c *Conn) parseRecords(r *reader, lowest uint16) (*Records, error) {
	forged := r.u64()
	out := &Records{}
	var err error
	if c.v13() {
		out.v13 = true
		out.maxSeal, out.maxOpen = maxFragment+1, maxPayload13
		out.seal, err = c.parseProtection(r, lowest)
	} else {
		if r.u16() != 1 {
			return nil, ErrState
		}
		s := &c.sess
		out, err = s.suite.keys12(c.cfg.Role, s.master[:], s.clientRandom[:], s.serverRandom[:])
	}
	if err != nil {
		return nil, err
	}
	out.stats.Forged = forged
	out.seal.next, out.seal.blocks = r.u64(), r.u64()
	if c.v13() {
		out.open, err = c.parseProtection(r, lowest)
	} else if r.u16() != 1 {
		err = ErrState
	}
	if err != nil {
		return nil, err
	}
	out.open.window.parse(r)
	if c.v13() {
		if err := c.parseUpdates(r, out, lowest); err != nil {
			return nil, err
		}
	}
	c.dress(out)
	if r.bad || out.seal.next > maxSequence+1 {
		return nil, ErrState
	}
	return out, nil
}

// parseUpdates takes what belongs to updates of keys.
func (c *Conn) parseUpdates(r *reader, out *Records, lowest uint16) (err error) {
	switch r.u8() {
	case 0:
	case 1:
		if out.prev, err = c.parseProtection(r, lowest); err != nil {
			return err
		}
		if out.prev.epoch+1 != out.open.epoch {
			return ErrState
		}
		out.prev.window.parse(r)
	default:
		return ErrState
	}
	high := int(r.u16())
	out.post = high<<16 | int(r.u16())
	out.postEpoch, out.postFrom = r.u16(), r.u64()
	switch r.u8() {
	case 0:
	case 1:
		out.updating = true
	default:
		return ErrState
	}
	if high > 1 {
		return ErrState
	}
	return nil
}

func (c *Conn) parseProtection(r *reader, lowest uint16) (*protection, error) {
	epoch, secret := r.u16(), r.vec8()
	suite := c.sess13.suite
	if r.bad || epoch < lowest || lowest == epochHandshake && epoch != lowest || len(secret) != suite.hashLen {
		return nil, ErrState
	}
	p := new(protection)
	return p, suite.protect(p, epoch, slices.Clone(secret))
}
