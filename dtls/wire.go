package dtls

import (
	"encoding/binary"
	"slices"
)

// reader is a cursor over a message. A read beyond the end sets bad and yields
// zeros, so that a parser checks once, at its end.
type reader struct {
	b   []byte
	bad bool
}

// bytes cuts the next n bytes off; they alias the message.
func (r *reader) bytes(n int) []byte {
	if r.bad || n > len(r.b) {
		r.bad = true
		return nil
	}
	v := r.b[:n:n]
	r.b = r.b[n:]
	return v
}

func (r *reader) u8() uint8 {
	if v := r.bytes(1); v != nil {
		return v[0]
	}
	return 0
}

func (r *reader) u16() uint16 {
	if v := r.bytes(2); v != nil {
		return binary.BigEndian.Uint16(v)
	}
	return 0
}

func (r *reader) u24() int {
	if v := r.bytes(3); v != nil {
		return int(v[0])<<16 | int(v[1])<<8 | int(v[2])
	}
	return 0
}

// vec8, vec16 and vec24 cut a vector with a length of that many bits off.
func (r *reader) vec8() []byte  { return r.bytes(int(r.u8())) }
func (r *reader) vec16() []byte { return r.bytes(int(r.u16())) }
func (r *reader) vec24() []byte { return r.bytes(r.u24()) }

// done tells whether the message was well-formed and is used up.
func (r *reader) done() bool { return !r.bad && len(r.b) == 0 }

// list16 reads the whole of b as a list of 16-bit numbers, in room if it is
// enough.
func list16[T ~uint16](room []T, b []byte) ([]T, bool) {
	if len(b) == 0 || len(b)%2 != 0 {
		return nil, false
	}
	v := slices.Grow(room[:0], len(b)/2)
	for ; len(b) > 0; b = b[2:] {
		v = append(v, T(binary.BigEndian.Uint16(b)))
	}
	return v, true
}

func appendList16[T ~uint16](b []byte, v []T) []byte {
	b = binary.BigEndian.AppendUint16(b, uint16(2*len(v)))
	for _, x := range v {
		b = binary.BigEndian.AppendUint16(b, uint16(x))
	}
	return b
}

func appendVec8(b, v []byte) []byte { return append(append(b, byte(len(v))), v...) }

func appendVec16(b, v []byte) []byte {
	return append(binary.BigEndian.AppendUint16(b, uint16(len(v))), v...)
}

func appendU24(b []byte, n int) []byte { return append(b, byte(n>>16), byte(n>>8), byte(n)) }

// open16 and close16 enclose a vector whose length is not known beforehand.
func open16(b []byte) ([]byte, int) { return append(b, 0, 0), len(b) }

func close16(b []byte, at int) []byte {
	binary.BigEndian.PutUint16(b[at:], uint16(len(b)-at-2))
	return b
}
