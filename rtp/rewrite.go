package rtp

// Rewrite says how a packet's header changes on its way to one receiver.
// Marker bit and contributing sources stay.
type Rewrite struct {
	SSRC        uint32
	Timestamp   uint32
	Seq         uint16
	PayloadType uint8

	// IDs maps each incoming extension id to the id it leaves under; 0
	// drops it. Incoming ids above 15 are always dropped.
	IDs [16]uint8
	// Extra are elements to add; those with id 0 or with more than
	// MaxExtensionData bytes are left out. An id that Extra writes should
	// be the target of none in IDs.
	Extra [MaxExtra]ExtPair
	// KeepPadding announces v's padding: append v.Body(), not v.Payload().
	KeepPadding bool
}

// AppendRewritten appends to dst the complete header with which v's payload
// goes to the receiver r describes, and returns the extended slice: append
// v.Payload(), or encrypt it, behind. Extensions go in one-byte form if all of
// them fit it, else in two-byte form; an extension of a profile other than
// RFC 8285's is dropped. dst does not overlap v.
func AppendRewritten(dst []byte, v View, r *Rewrite) []byte {
	first, second := uint8(versionBits)|v.CSRCCount, r.PayloadType&typeMask
	if v.Marker {
		second |= markerBit
	}
	if r.KeepPadding && v.padding > 0 {
		first |= paddingBit
	}
	start := len(dst)
	dst = appendFixed(dst, first, second, r.Seq, r.Timestamp, r.SSRC)
	dst = append(dst, v.Raw[fixedLen:fixedLen+4*int(v.CSRCCount)]...)

	head := len(dst)
	dst = append(dst, ProfileOneByte>>8, ProfileOneByte&0xff, 0, 0)
	body := len(dst)
	dst, ok := r.appendElements(dst, &v, false)
	if !ok {
		dst[head], dst[head+1] = ProfileTwoByte>>8, ProfileTwoByte&0xff
		dst, _ = r.appendElements(dst[:body], &v, true)
	}
	if len(dst) == body {
		return dst[:head]
	}
	dst[start] |= extensionBit
	return closeExtension(dst, body)
}

// appendElements appends the elements that go to the receiver. It reports
// false, half done, if one of them does not fit the one-byte form.
func (r *Rewrite) appendElements(dst []byte, v *View, two bool) ([]byte, bool) {
	e := v.Extensions()
	for id, data, ok := e.Next(); ok; id, data, ok = e.Next() {
		if id = r.target(id); id == 0 {
			continue
		}
		if !two && needsTwoBytes(id, len(data)) {
			return dst, false
		}
		dst = appendElement(dst, id, data, two)
	}
	for i := range r.Extra {
		p := &r.Extra[i]
		if !p.usable() {
			continue
		}
		if !two && needsTwoBytes(p.ID, len(p.Data)) {
			return dst, false
		}
		dst = appendElement(dst, p.ID, p.Data, two)
	}
	return dst, true
}

func (r *Rewrite) target(id uint8) uint8 {
	if int(id) >= len(r.IDs) {
		return 0
	}
	return r.IDs[id]
}
