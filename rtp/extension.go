package rtp

// Profiles of RFC 8285 in the extension's first two bytes.
const (
	ProfileOneByte = 0xbede // §4.2
	ProfileTwoByte = 0x1000 // §4.3; the low four bits are "appbits"

	appbits = 0x000f
)

// Extensions iterates over the elements of a header extension. The zero value
// holds none.
type Extensions struct {
	b       []byte
	twoByte bool
}

// Extensions returns an iterator over the RFC 8285 elements of the packet, in
// their order. A packet whose extension has another profile yields none.
func (v *View) Extensions() Extensions {
	if !v.HasExtension {
		return Extensions{}
	}
	two := v.ExtensionProfile&^appbits == ProfileTwoByte
	if !two && v.ExtensionProfile != ProfileOneByte {
		return Extensions{}
	}
	return Extensions{b: v.extension(), twoByte: two}
}

// extension is the body of the header extension, without its first four bytes.
func (v *View) extension() []byte {
	return v.Raw[fixedLen+4*int(v.CSRCCount)+4 : v.header]
}

// Next returns the next element: its id, 1 to 14 or 1 to 255, and its data,
// which is part of the packet. It reports false at the end, and for good at an
// element that runs beyond the extension.
func (e *Extensions) Next() (id uint8, data []byte, ok bool) {
	for len(e.b) > 0 {
		head := e.b[0]
		if head == 0 { // RFC 8285 §4.1.2: a byte of padding, in both forms
			e.b = e.b[1:]
			continue
		}
		n, at := int(head&0x0f)+1, 1
		id = head >> 4
		if e.twoByte {
			if len(e.b) < 2 {
				break
			}
			id, n, at = head, int(e.b[1]), 2
		} else if id == 0 || id == 15 {
			break // RFC 8285 §4.2: processing terminates at these
		}
		if len(e.b) < at+n {
			break
		}
		data = e.b[at : at+n : at+n]
		e.b = e.b[at+n:]
		return id, data, true
	}
	e.b = nil
	return 0, nil, false
}

// Extension returns the data of the first element with this id, which is part
// of the packet and may be written, or nil. An element without data gives an
// empty slice that is not nil.
func (v *View) Extension(id uint8) []byte {
	e := v.Extensions()
	for got, data, ok := e.Next(); ok; got, data, ok = e.Next() {
		if got == id {
			return data
		}
	}
	return nil
}

// ExtPair is one element of a header extension: an id, 1 to 255, where 0 says
// "none", and 0 to 255 bytes. Ids up to 14 with 1 to 16 bytes fit the one-byte
// form.
type ExtPair struct {
	ID   uint8
	Data []byte
}

// usable reports whether the element can be written at all, in either form.
func (p *ExtPair) usable() bool { return p.ID != 0 && len(p.Data) <= MaxExtensionData }

// needsTwoBytes reports whether an element does not fit the one-byte form.
func needsTwoBytes(id uint8, n int) bool { return id > 14 || n == 0 || n > 16 }

// appendElement appends one element in the chosen form.
func appendElement(b []byte, id uint8, data []byte, two bool) []byte {
	if two {
		b = append(b, id, uint8(len(data)))
	} else {
		b = append(b, id<<4|uint8(len(data)-1))
	}
	return append(b, data...)
}

// closeExtension pads the extension whose elements start at body to whole
// words and writes the count of them.
func closeExtension(b []byte, body int) []byte {
	for (len(b)-body)%4 != 0 {
		b = append(b, 0)
	}
	words := (len(b) - body) / 4
	b[body-2], b[body-1] = uint8(words>>8), uint8(words)
	return b
}
