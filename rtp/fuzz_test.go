package rtp

import (
	"bytes"
	"reflect"
	"testing"

	"github.com/sluicertc/sluice/internal/vectors"
)

// identity rewrites every element under its own id.
func identity(v View) Rewrite {
	r := Rewrite{SSRC: v.SSRC, Timestamp: v.Timestamp, Seq: v.Seq, PayloadType: v.PayloadType}
	for i := range r.IDs {
		r.IDs[i] = uint8(i)
	}
	return r
}

func FuzzParse(f *testing.F) {
	f.Add(vectors.Hex(f, full))
	f.Add(vectors.Hex(f, "906000010000000200000003 1000 0002 c801ff 040101 0000 aabb"))
	f.Add(vectors.Hex(f, "806000010000000200000003"))
	f.Fuzz(func(t *testing.T, b []byte) {
		orig := bytes.Clone(b)
		v, ok := Parse(b)
		if !ok {
			if !reflect.DeepEqual(v, View{}) {
				t.Fatalf("refused, but %+v", v)
			}
			if _, ok := UnwrapRTX(b, 1, 2); ok || !bytes.Equal(b, orig) {
				t.Fatal("what does not parse is unwrapped or written")
			}
			return
		}
		again := View{Timestamp: 1, Seq: 2, Marker: true, HasExtension: true, ExtensionProfile: 3, CSRCCount: 4, padding: 5, header: 6}
		if !again.Parse(b) || !reflect.DeepEqual(again, v) {
			t.Fatalf("in place: %+v, want %+v", again, v)
		}
		if v.Header()+len(v.Payload())+v.Padding() != len(b) {
			t.Fatal("the parts are not the whole")
		}

		// Parse, append, parse: the same elements and payload.
		h := Header{Marker: v.Marker, PayloadType: v.PayloadType, Seq: v.Seq, Timestamp: v.Timestamp, SSRC: v.SSRC}
		for i := range int(v.CSRCCount) {
			h.CSRC = append(h.CSRC, v.CSRC(i))
		}
		steps := 0
		e := v.Extensions()
		for id, data, ok := e.Next(); ok; id, data, ok = e.Next() {
			h.Extensions = append(h.Extensions, ExtPair{id, data})
			if steps++; steps > len(b) {
				t.Fatal("more elements than bytes")
			}
		}
		if again, ok := Parse(append(h.Append(nil), v.Payload()...)); ok {
			if list(again) != list(v) || !bytes.Equal(again.Payload(), v.Payload()) || again.SSRC != v.SSRC || again.CSRCCount != v.CSRCCount {
				t.Fatal("Header.Append does not give the packet back")
			}
		} else if len(b) < MaxPacket/2 {
			t.Fatal("Header.Append makes what does not parse")
		}

		r := identity(v)
		once := append(AppendRewritten(nil, v, &r), v.Payload()...)
		if w, ok := Parse(once); ok {
			r = identity(w)
			if twice := append(AppendRewritten(nil, w, &r), w.Payload()...); !bytes.Equal(once, twice) {
				t.Fatal("rewriting again changes the packet")
			}
		} else if len(b) < MaxPacket/2 {
			t.Fatal("AppendRewritten makes what does not parse")
		}

		if len(b) < MaxPacket-1 {
			back, ok := UnwrapRTX(AppendRTX(nil, v, 1, 2, 3), v.SSRC, v.PayloadType)
			if !ok || len(back) != v.Header()+len(v.Payload()) || !bytes.Equal(back[1:], b[1:len(back)]) {
				t.Fatal("retransmission does not come back")
			}
		}
		if back, ok := UnwrapRTX(b, 1, 2); ok {
			if _, ok := Parse(back); !ok {
				t.Fatal("unwrapped packet does not parse")
			}
		} else if !bytes.Equal(b, orig) {
			t.Fatal("written, though not unwrapped")
		}
	})
}
