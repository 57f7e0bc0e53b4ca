package srtp

import (
	"encoding/binary"
	"slices"
)

// The state of a context, for a successor in another process:
//
//	version u8 | profile u16 | sentRTCP u64 | keys u8 | sources u32 | reports u32
//	a key:    length of MKI u8 | MKI | sent u64
//	a source: ssrc u32 | ahead u64 | seen 16 * u64
const (
	stateVersion = 1
	stateHead    = 1 + 2 + 8 + 1 + 4 + 4
	stateStream  = 4 + 8 + 8*windowWords
)

// AppendState appends what a successor needs to go on where the context stands:
// rollover counters, replay windows, the SRTCP index and what each key has
// protected. It holds no key and no secret. The context must not be used any
// more: what it protects afterwards its successor would protect again.
func (c *Context) AppendState(b []byte) []byte {
	be := binary.BigEndian
	b = append(b, stateVersion)
	b = be.AppendUint16(b, uint16(c.profile))
	b = be.AppendUint64(b, c.sentRTCP)
	b = append(b, byte(1+len(c.others)))
	streams, reports := c.streams.byAge(), c.reports.byAge()
	b = be.AppendUint32(b, uint32(len(streams)))
	b = be.AppendUint32(b, uint32(len(reports)))
	b = appendKeyState(b, c.mki, c.sent)
	for i := range c.others {
		b = appendKeyState(b, c.others[i].mki, c.others[i].sent)
	}
	for _, s := range append(streams, reports...) {
		b = be.AppendUint32(b, s.ssrc)
		b = be.AppendUint64(b, s.ahead)
		for _, word := range s.seen {
			b = be.AppendUint64(b, word)
		}
	}
	return b
}

func appendKeyState(b, mki []byte, sent uint64) []byte {
	b = append(append(b, byte(len(mki))), mki...)
	return binary.BigEndian.AppendUint64(b, sent)
}

// RestoreState makes a fresh context, of the same profile and with the same
// keys, go on where the one stood that AppendState was called on. The error is
// ErrState, and the context is then as it was.
func (c *Context) RestoreState(b []byte) error {
	if c.closed || c.streams.n+c.reports.n > 0 || c.sent > 0 || c.sentRTCP > 0 {
		return ErrState
	}
	be := binary.BigEndian
	if len(b) < stateHead || b[0] != stateVersion || be.Uint16(b[1:]) != uint16(c.profile) || int(b[11]) != 1+len(c.others) {
		return ErrState
	}
	sentRTCP, sources, reports := be.Uint64(b[3:]), uint64(be.Uint32(b[12:])), uint64(be.Uint32(b[16:]))
	rest := b[stateHead:]
	sent := make([]uint64, 1+len(c.others))
	known := make([]bool, len(sent))
	inUse := []byte(nil)
	for i := range sent {
		if len(rest) < 1 || len(rest) < 1+int(rest[0])+8 {
			return ErrState
		}
		mki := rest[1 : 1+int(rest[0])]
		at := c.keyAt(mki) + 1 // keyInUse is 0
		if len(mki) == 0 && len(c.mki) == 0 {
			at = 0
		}
		if at < 0 || known[at] {
			return ErrState
		}
		if i == 0 {
			inUse = mki
		}
		known[at] = true
		rest = rest[1+len(mki):]
		sent[at] = be.Uint64(rest)
		rest = rest[8:]
	}
	if sources > MaxSent || reports > MaxReceived || sentRTCP > MaxRTCP || uint64(len(rest)) != (sources+reports)*stateStream {
		return ErrState
	}
	streams, ok := parseStreams(rest[:sources*stateStream], MaxRTP)
	if !ok {
		return ErrState
	}
	senders, ok := parseStreams(rest[sources*stateStream:], MaxRTCP)
	if !ok {
		return ErrState
	}
	c.sent, c.sentRTCP = sent[0], sentRTCP
	for i := range c.others {
		c.others[i].sent = sent[1+i]
	}
	if len(inUse) > 0 {
		_ = c.UseKey(inUse) // known
	}
	c.streams.restore(streams)
	c.reports.restore(senders)
	return nil
}

// parseStreams reads as many streams as b has, with indexes below limit.
func parseStreams(b []byte, limit uint64) (list []*stream, ok bool) {
	be := binary.BigEndian
	seen := make(map[uint32]bool, len(b)/stateStream)
	for ; len(b) > 0; b = b[stateStream:] {
		s := &stream{ssrc: be.Uint32(b)}
		s.ahead = be.Uint64(b[4:])
		s.top = s.ahead
		for i := range s.seen {
			s.window.seen[i] = be.Uint64(b[12+8*i:])
		}
		if seen[s.ssrc] || s.ahead == 0 || s.ahead > limit {
			return nil, false
		}
		seen[s.ssrc] = true
		list = append(list, s)
	}
	return list, true
}

// byAge lists the streams, that which was silent for longest first.
func (t *table) byAge() (list []*stream) {
	for _, s := range t.slots {
		if s != nil {
			list = append(list, s)
		}
	}
	slices.SortFunc(list, func(a, b *stream) int {
		if a.used != b.used {
			return int(int64(a.used - b.used))
		}
		return int(int64(a.ssrc) - int64(b.ssrc))
	})
	return list
}

func (t *table) restore(list []*stream) {
	for _, s := range list {
		fresh := t.add(s.ssrc)
		fresh.window, fresh.top = s.window, s.top
		t.touch(fresh)
	}
}
