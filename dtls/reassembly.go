package dtls

import (
	"errors"
	"math/bits"
)

// reassembler puts handshake messages together from fragments which arrive in
// any order, repeatedly, and overlapping (RFC 6347 §4.2.3), and yields them in
// the order of message_seq. Its memory is bounded by maxReassembly.
type reassembler struct {
	next  uint16                    // message_seq expected next
	slots [reassemblyWindow]partial // slots[i] is message next+i
	bytes int                       // sum of the sizes of slots
	block []byte                    // from which short messages are cut

	// strict makes fragments that disagree an error: from when it is known that
	// there is a peer.
	strict bool
	exact  bool // no block is taken for messages: hardly any will come
}

// errMismatch: fragments of a message disagree about its type or length.
var errMismatch = errors.New("dtls: fragments disagree")

const (
	// reassemblyBlock is how much memory is taken at once for short messages, in
	// bytes: those of a flight of WebRTC's fit in.
	reassemblyBlock = 2 << 10
	shortMessage    = 600
)

// cut returns memory for a message of n bytes.
func (a *reassembler) cut(n int) []byte {
	if n > shortMessage || a.exact {
		return make([]byte, n)
	}
	if len(a.block) < n {
		a.block = make([]byte, reassemblyBlock)
	}
	b := a.block[:n:n]
	a.block = a.block[n:]
	return b
}

// partial is a message in the making.
type partial struct {
	typ     uint8
	epoch   uint16
	raw     []byte   // header and body; nil: nothing has come yet
	have    []uint64 // a bit for each byte of the body; nil: it came in one fragment
	missing int
}

// size counts have whether it is there or not: it may come to be.
func (p *partial) size() int {
	if p.raw == nil {
		return 0
	}
	return sizeOf(len(p.raw) - messageHeaderLen)
}

func sizeOf(length int) int { return messageHeaderLen + length + 8*((length+63)/64) }

// add takes a fragment in. It returns ErrUnexpected for a message before the
// expected one, and ErrBuffered when a bound refuses it.
func (a *reassembler) add(epoch uint16, f fragment) error {
	i := int(f.seq) - int(a.next)
	if i < 0 {
		return ErrUnexpected
	}
	if i >= reassemblyWindow || f.length > maxMessage {
		return ErrBuffered
	}
	p := &a.slots[i]
	if p.raw != nil && (p.typ != f.typ || p.epoch != epoch || len(p.raw) != messageHeaderLen+f.length) {
		// One of the two is forged. Fragments of epoch 0 cannot displace what
		// was authenticated; among equals the newer wins, because only that
		// heals when the peer retransmits.
		if epoch < p.epoch {
			return ErrUnexpected
		}
		if a.strict && epoch == p.epoch {
			return errMismatch
		}
		a.drop(i)
	}
	if p.raw == nil && !a.start(i, epoch, f) {
		return ErrBuffered
	}
	copy(p.raw[messageHeaderLen+f.offset:], f.body)
	if len(f.body) == f.length {
		p.missing = 0
		return nil
	}
	if p.have == nil && p.missing > 0 {
		p.have = make([]uint64, (f.length+63)/64)
	}
	if p.missing > 0 {
		p.mark(f.offset, len(f.body))
	}
	return nil
}

// start opens slot i, at the expense of messages further ahead if need be.
func (a *reassembler) start(i int, epoch uint16, f fragment) bool {
	need := sizeOf(f.length)
	for k := reassemblyWindow - 1; k > i && a.bytes+need > maxReassembly; k-- {
		a.drop(k)
	}
	if a.bytes+need > maxReassembly {
		return false
	}
	raw := a.cut(messageHeaderLen + f.length)
	appendFragment(raw[:0], fragment{typ: f.typ, seq: f.seq, length: f.length})
	copy(raw[9:], raw[1:4]) // fragment_length = length
	a.slots[i] = partial{
		typ: f.typ, epoch: epoch, missing: f.length, raw: raw,
	}
	a.bytes += need
	return true
}

// mark sets the bits of n bytes from at on.
func (p *partial) mark(at, n int) {
	for n > 0 {
		w, off := at/64, at%64
		k := min(64-off, n)
		mask := ^uint64(0) >> (64 - k) << off
		p.missing -= bits.OnesCount64(mask &^ p.have[w])
		p.have[w] |= mask
		at, n = at+k, n-k
	}
}

// drop forgets slot i.
func (a *reassembler) drop(i int) {
	a.bytes -= a.slots[i].size()
	a.slots[i] = partial{}
}

// peek returns message next+i when it is whole.
func (a *reassembler) peek(i int) (message, bool) {
	p := &a.slots[i]
	if p.raw == nil || p.missing > 0 {
		return message{}, false
	}
	return message{typ: p.typ, seq: a.next + uint16(i), raw: p.raw}, true
}

// pop removes the expected message, which peek(0) has returned, and turns to the
// one behind it.
func (a *reassembler) pop() {
	a.bytes -= a.slots[0].size()
	copy(a.slots[:], a.slots[1:])
	a.slots[reassemblyWindow-1] = partial{}
	a.next++
}

// keep forgets what did not come in epoch.
func (a *reassembler) keep(epoch uint16) {
	for i := range a.slots {
		if a.slots[i].raw != nil && a.slots[i].epoch != epoch {
			a.drop(i)
		}
	}
}

// restart forgets everything and expects message next.
func (a *reassembler) restart(next uint16) {
	*a = reassembler{next: next, strict: a.strict, exact: a.exact, block: a.block}
}
