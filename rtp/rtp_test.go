package rtp

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/internal/vectors"
)

// full is a packet with two contributing sources, a one-byte extension of
// three elements, and two bytes of padding.
const full = "b2e0 1234 00010203 cafebabe 11111111 22222222" +
	"bede 0003 10ff 3201020300 51abcd 0000" + "706179 0002"

func TestParseFull(t *testing.T) {
	v, ok := Parse(vectors.Hex(t, full))
	if !ok {
		t.Fatal("not parsed")
	}
	if !v.Marker || v.PayloadType != 0x60 || v.Seq != 0x1234 || v.Timestamp != 0x10203 || v.SSRC != 0xcafebabe {
		t.Errorf("fixed header: %+v", v)
	}
	if v.CSRCCount != 2 || v.CSRC(0) != 0x11111111 || v.CSRC(1) != 0x22222222 {
		t.Errorf("contributing sources: %+v", v)
	}
	if !v.HasExtension || v.ExtensionProfile != ProfileOneByte || v.Header() != 36 {
		t.Errorf("extension: %+v", v)
	}
	if string(v.Payload()) != "pay" || v.Padding() != 2 {
		t.Errorf("payload %q, padding %d", v.Payload(), v.Padding())
	}
	for id, want := range map[uint8]string{1: "ff", 3: "010203", 5: "abcd"} {
		if got := hex.EncodeToString(v.Extension(id)); got != want {
			t.Errorf("extension %d: %s, want %s", id, got, want)
		}
	}
	if v.Extension(2) != nil || v.Extension(0) != nil || v.Extension(15) != nil {
		t.Error("an extension that is not there")
	}
}

// The malformed are refused, and the twins that differ by one byte are not.
func TestClass11_MalformedHeaders(t *testing.T) {
	const fixed = "0060 0001 00000002 00000003"
	for _, v := range []struct{ name, bad, good string }{
		{"empty", "", "80" + fixed[2:]},
		{"11 bytes", "80" + fixed[2:len(fixed)-2], "80" + fixed[2:]},
		{"version 0", "00" + fixed[2:], "80" + fixed[2:]},
		{"version 1", "40" + fixed[2:], "80" + fixed[2:]},
		{"version 3", "c0" + fixed[2:], "80" + fixed[2:]},
		{"CSRC beyond the end", "82" + fixed[2:] + "00000004 000000", "82" + fixed[2:] + "00000004 00000005"},
		{"no room for the extension's header", "90" + fixed[2:] + "bede00", "90" + fixed[2:] + "bede0000"},
		{"extension beyond the end", "90" + fixed[2:] + "bede0001 000000", "90" + fixed[2:] + "bede0001 00000000"},
		{"extension of 65,535 words", "90" + fixed[2:] + "bedeffff 00000000", "90" + fixed[2:] + "bede0001 00000000"},
		{"padding without a byte", "a0" + fixed[2:], "a0" + fixed[2:] + "01"},
		{"padding of zero", "a0" + fixed[2:] + "0000", "a0" + fixed[2:] + "0001"},
		{"padding longer than the payload", "a0" + fixed[2:] + "0003", "a0" + fixed[2:] + "0002"},
		{"padding into the extension", "b0" + fixed[2:] + "bede0001 10000000 0003", "b0" + fixed[2:] + "bede0001 10000000 0002"},
	} {
		t.Run(v.name, func(t *testing.T) {
			if _, ok := Parse(vectors.Hex(t, v.bad)); ok {
				t.Error("malformed packet is parsed")
			}
			if _, ok := Parse(vectors.Hex(t, v.good)); !ok {
				t.Error("good packet is refused")
			}
			if _, ok := UnwrapRTX(vectors.Hex(t, v.bad), 1, 1); ok {
				t.Error("malformed retransmission is unwrapped")
			}
		})
	}
}

func TestClass28_LongestPacket(t *testing.T) {
	b := make([]byte, MaxPacket+1)
	b[0] = 0x80
	if v, ok := Parse(b[:MaxPacket]); !ok || len(v.Payload()) != MaxPacket-12 {
		t.Error("a datagram's worth is refused")
	}
	if _, ok := Parse(b); ok {
		t.Error("more than a datagram is parsed")
	}
}

// extended is a packet with this extension.
func extended(t testing.TB, profile uint16, body string) View {
	ext := vectors.Hex(t, body)
	b := vectors.Hex(t, "906000010000000200000003")
	b = binary.BigEndian.AppendUint16(b, profile)
	b = binary.BigEndian.AppendUint16(b, uint16(len(ext)/4))
	v, ok := Parse(append(b, ext...))
	if !ok {
		t.Fatal("not parsed")
	}
	return v
}

func list(v View) string {
	var s []string
	e := v.Extensions()
	for id, data, ok := e.Next(); ok; id, data, ok = e.Next() {
		s = append(s, hex.EncodeToString([]byte{id})+":"+hex.EncodeToString(data))
	}
	return strings.Join(s, " ")
}

func TestClass46_ExtensionForms(t *testing.T) {
	for _, v := range []struct {
		name    string
		profile uint16
		body    string
		want    string
	}{
		{"one byte", 0xbede, "10aa 21bbbb 00 00 00", "01:aa 02:bbbb"},
		{"one byte, 16 long", 0xbede, "1f000102030405060708090a0b0c0d0e0f 000000", "01:000102030405060708090a0b0c0d0e0f"},
		{"padding before and between", 0xbede, "00 10aa 00 00 20bb 00", "01:aa 02:bb"},
		{"id 0 with a length ends it", 0xbede, "10aa 02 000000 20bb", "01:aa"},
		{"id 15 ends it", 0xbede, "10aa f0 20bb 00 00 00", "01:aa"},
		{"element beyond the end", 0xbede, "10aa 2f bb", "01:aa"},
		{"last byte is an element's head", 0xbede, "00 10aa 20", "01:aa"},
		{"two bytes", 0x1000, "01 01 aa 10 02 bbcc 00", "01:aa 10:bbcc"},
		{"two bytes, no data", 0x1000, "01 00 ff 01 aa 000000", "01: ff:aa"},
		{"two bytes with appbits", 0x100f, "01 01 aa 00", "01:aa"},
		{"two bytes, padding between", 0x1000, "00 01 01 aa 00 00 02 00", "01:aa 02:"},
		{"two bytes, id 15 is one like others", 0x1000, "0f 01 aa 00", "0f:aa"},
		{"two bytes, beyond the end", 0x1000, "01 01 aa 02 ff 000000", "01:aa"},
		{"two bytes, head cut", 0x1000, "01 01 aa 02", "01:aa"},
		{"neither", 0x1010, "01 01 aa 00", ""},
		{"one-byte profile with appbits is neither", 0xbedf, "10aa 0000", ""},
		{"empty", 0xbede, "", ""},
	} {
		t.Run(v.name, func(t *testing.T) {
			if got := list(extended(t, v.profile, v.body)); got != v.want {
				t.Errorf("got %q, want %q", got, v.want)
			}
		})
	}
	v := extended(t, 0x1000, "01 00 0000")
	if d := v.Extension(1); d == nil || len(d) != 0 {
		t.Error("an element without data is not an empty slice")
	}
}

func TestSettersKeepRawInStep(t *testing.T) {
	v, _ := Parse(vectors.Hex(t, full))
	v.SetSeq(0xfffe)
	v.SetTimestamp(0xdeadbeef)
	v.SetSSRC(7)
	v.SetPayloadType(0xff)
	v.SetMarker(false)
	again, ok := Parse(v.Raw)
	if !ok || again.Seq != 0xfffe || again.Timestamp != 0xdeadbeef || again.SSRC != 7 || again.PayloadType != 0x7f || again.Marker {
		t.Errorf("%+v", again)
	}
	if v.Seq != again.Seq || v.PayloadType != again.PayloadType || v.Marker || string(again.Payload()) != "pay" {
		t.Error("the view differs from its bytes")
	}
	v.SetMarker(true)
	if v.SetPayloadType(3); v.Raw[1] != 0x83 {
		t.Errorf("second byte %#x", v.Raw[1])
	}
}

func TestHeaderAppend(t *testing.T) {
	long := make([]byte, 17)
	for _, v := range []struct {
		name string
		h    Header
		want string
	}{
		{"plain", Header{PayloadType: 96, Seq: 1, Timestamp: 2, SSRC: 3}, "8060 0001 00000002 00000003"},
		{"all", Header{Marker: true, Padding: true, PayloadType: 111, Seq: 1, Timestamp: 2, SSRC: 3, CSRC: []uint32{4},
			Extensions: []ExtPair{{1, []byte{0xaa}}, {14, []byte{1, 2}}}},
			"b1ef 0001 00000002 00000003 00000004 bede 0002 10aa e10102 000000"},
		{"two bytes for an id", Header{Extensions: []ExtPair{{15, []byte{0xaa}}}}, "9000 0000 00000000 00000000 1000 0001 0f01aa00"},
		{"two bytes for no data", Header{Extensions: []ExtPair{{1, nil}}}, "9000 0000 00000000 00000000 1000 0001 01000000"},
		{"two bytes for 17", Header{Extensions: []ExtPair{{1, long}}},
			"9000 0000 00000000 00000000 1000 0005 0111 0000000000000000000000000000000000 00"},
		{"nothing usable", Header{Extensions: []ExtPair{{0, long}, {1, make([]byte, 256)}}}, "8000 0000 00000000 00000000"},
	} {
		if got := v.h.Append(nil); !bytes.Equal(got, vectors.Hex(t, v.want)) {
			t.Errorf("%s: %x, want %s", v.name, got, v.want)
		}
	}
	h := Header{CSRC: make([]uint32, 20)}
	if b := h.Append(nil); b[0]&15 != MaxCSRC || len(b) != 12+4*MaxCSRC {
		t.Errorf("20 contributing sources: %x", b)
	}
	h = Header{}
	for range 1000 {
		h.Extensions = append(h.Extensions, ExtPair{200, make([]byte, 255)})
	}
	if b := h.Append(nil); len(b) != 16+4*int(binary.BigEndian.Uint16(b[14:])) {
		t.Error("the length of a huge extension wrapped")
	}
}

func TestAppendPadding(t *testing.T) {
	for n := 1; n < 256; n++ {
		h := Header{Padding: true}
		v, ok := Parse(AppendPadding(append(h.Append(nil), 'x'), uint8(n)))
		if !ok || v.Padding() != n || string(v.Payload()) != "x" {
			t.Fatalf("%d bytes: %+v, %v", n, v, ok)
		}
	}
}

func TestAppendRewritten(t *testing.T) {
	v, _ := Parse(vectors.Hex(t, full))
	r := Rewrite{SSRC: 0x0a0b0c0d, PayloadType: 100, Seq: 7, Timestamp: 8}
	for _, c := range []struct {
		name  string
		ids   map[uint8]uint8
		extra []ExtPair
		want  string
	}{
		{"all dropped", nil, nil, ""},
		{"renumbered", map[uint8]uint8{1: 9, 5: 1}, nil, "bede 0002 90ff 11abcd 000000"},
		{"with extras", map[uint8]uint8{3: 3}, []ExtPair{{4, []byte{1, 2}}, {}, {5, []byte{9}}}, "bede 0003 32010203 410102 5009 000000"},
		{"only extras", nil, []ExtPair{{4, []byte{1, 2}}}, "bede 0001 410102 00"},
		{"id that needs two bytes", map[uint8]uint8{1: 200}, []ExtPair{{4, []byte{1}}}, "1000 0002 c801ff 040101 0000"},
		{"extra too long", nil, []ExtPair{{4, make([]byte, 256)}}, ""},
	} {
		r.IDs, r.Extra = [16]uint8{}, [MaxExtra]ExtPair{}
		for in, out := range c.ids {
			r.IDs[in] = out
		}
		copy(r.Extra[:], c.extra)
		first := "92"
		if c.want == "" {
			first = "82"
		}
		want := vectors.Hex(t, "ffff"+first+"e4 0007 00000008 0a0b0c0d 11111111 22222222"+c.want)
		if got := AppendRewritten([]byte{0xff, 0xff}, v, &r); !bytes.Equal(got, want) {
			t.Errorf("%s: %x, want %x", c.name, got, want)
		}
	}

	// From the two-byte form back to one, without an id no map can hold.
	v = extended(t, 0x1000, "01 01 aa 10 01 bb 0000")
	r.IDs, r.Extra = [16]uint8{1: 2}, [MaxExtra]ExtPair{}
	if got := AppendRewritten(nil, v, &r); !bytes.Equal(got[12:], vectors.Hex(t, "bede 0001 20aa 0000")) {
		t.Errorf("two-byte form: %x", got[12:])
	}
}

func TestSetPadding(t *testing.T) {
	h := Header{PayloadType: 100, Seq: 7}
	room := make([]byte, 0, 400)
	v, _ := Parse(append(h.Append(room), "payload"...))
	plain := bytes.Clone(v.Raw)
	for _, n := range []uint8{1, 255, 2, 0, 3, 0} {
		if !v.SetPadding(n) {
			t.Fatalf("%d bytes are refused", n)
		}
		want := plain
		if n > 0 {
			h.Padding = true
			want = AppendPadding(append(h.Append(nil), "payload"...), n)
		}
		if !bytes.Equal(v.Raw, want) || v.Padding() != int(n) || string(v.Payload()) != "payload" || len(v.Body()) != 7+int(n) {
			t.Fatalf("%d bytes: %x, want %x", n, v.Raw, want)
		}
		again, ok := Parse(v.Raw)
		if !ok || !reflect.DeepEqual(again, v) {
			t.Fatalf("%d bytes: parses to %+v, want %+v", n, again, v)
		}
		var r Rewrite
		if out := AppendRewritten(nil, v, &r); out[0]&paddingBit != 0 {
			t.Errorf("padding is announced though it is not kept")
		}
		r.KeepPadding = true
		if out, ok := Parse(append(AppendRewritten(nil, v, &r), v.Body()...)); !ok || out.Padding() != int(n) || string(out.Payload()) != "payload" {
			t.Errorf("%d bytes on: %+v", n, out)
		}
	}
	for _, n := range []int{len(plain), len(plain) + 9, MaxPacket} {
		v, _ = Parse(append(make([]byte, 0, n), plain...))
		if v.SetPadding(10) != (n == MaxPacket) {
			t.Errorf("room for %d bytes: %v", n-len(plain), n != MaxPacket)
		}
	}
	whole := make([]byte, MaxPacket, MaxPacket+10)
	whole[0] = versionBits
	if v, ok := Parse(whole); !ok || v.SetPadding(1) {
		t.Error("a packet grows beyond MaxPacket")
	}
}

func TestRTX(t *testing.T) {
	v, _ := Parse(vectors.Hex(t, full))
	rtx := AppendRTX([]byte{0xee}, v, 0x99999999, 97, 5)[1:]
	rv, ok := Parse(rtx)
	if !ok || rv.SSRC != 0x99999999 || rv.PayloadType != 97 || rv.Seq != 5 || !rv.Marker || rv.Padding() != 0 {
		t.Fatalf("%+v", rv)
	}
	if !bytes.Equal(rv.Payload(), append([]byte{0x12, 0x34}, "pay"...)) || rv.Timestamp != v.Timestamp {
		t.Errorf("payload %x", rv.Payload())
	}
	back, ok := UnwrapRTX(rtx, v.SSRC, v.PayloadType)
	want := bytes.Clone(v.Raw[:len(v.Raw)-2])
	want[0] &^= paddingBit
	if !ok || !bytes.Equal(back, want) {
		t.Errorf("unwrapped %x, want %x", back, want)
	}

	h := Header{Padding: true}
	probe := AppendPadding(h.Append(nil), 200)
	if _, ok := UnwrapRTX(probe, 1, 1); ok {
		t.Error("a padding probe is unwrapped")
	}
	if _, ok := UnwrapRTX(append((&Header{}).Append(nil), 1), 1, 1); ok {
		t.Error("half a sequence number is unwrapped")
	}
	if got, ok := UnwrapRTX(append((&Header{}).Append(nil), 1, 2), 1, 1); !ok || len(got) != 12 {
		t.Error("an empty packet is not unwrapped")
	}
}

func TestSequenceArithmetic(t *testing.T) {
	for _, v := range []struct {
		a, b uint16
		less bool
		diff int16
	}{{1, 2, true, -1}, {2, 1, false, 1}, {5, 5, false, 0}, {65535, 0, true, -1}, {0, 65535, false, 1}, {0, 32767, true, -32767}, {32768, 0, true, -32768}} {
		if SeqLess(v.a, v.b) != v.less || SeqDiff(v.a, v.b) != v.diff {
			t.Errorf("%d, %d: %v, %d", v.a, v.b, SeqLess(v.a, v.b), SeqDiff(v.a, v.b))
		}
	}
	var u Unwrapper
	for i, v := range []struct {
		seq  uint16
		want int64
	}{{65000, 65000}, {65535, 65535}, {1, 65537}, {65535, 65535}, {0, 65536}, {30000, 95536}, {60000, 125536}, {20000, 151072}, {64000, 129536}} {
		if got := u.Unwrap(v.seq); got != v.want {
			t.Errorf("%d: %d is %d, want %d", i, v.seq, got, v.want)
		}
	}
	u = Unwrapper{}
	if u.Unwrap(3) != 3 || u.Unwrap(65535) != -1 || u.Unwrap(4) != 4 {
		t.Error("numbers before the first")
	}
}

func TestElements(t *testing.T) {
	for _, v := range []struct {
		at   mono.Time
		want uint32
	}{{0, 0}, {mono.Time(time.Second), 1 << 18}, {mono.Time(64 * time.Second), 0}, {mono.Time(time.Second / 2), 1 << 17},
		{mono.Time(65*time.Second + time.Second/4), 1<<18 + 1<<16}, {1<<63 - 1, uint32((uint64(1<<63-1)/1e9<<18 + uint64(1<<63-1)%1e9<<18/1e9) & 0xffffff)}} {
		got := AbsSendTime(v.at)
		var b [3]byte
		PutAbsSendTime(b[:], got)
		back, ok := ParseAbsSendTime(b[:])
		if got != v.want || back != got || !ok {
			t.Errorf("%d: %#x, want %#x, read %#x", v.at, got, v.want, back)
		}
	}
	var b [2]byte
	PutTransportSeq(b[:], 0xfedc)
	if s, ok := ParseTransportSeq(b[:]); !ok || s != 0xfedc {
		t.Error("transport-cc")
	}
	for _, voice := range []bool{true, false} {
		PutAudioLevel(b[:1], 93, voice)
		if l, v, ok := ParseAudioLevel(b[:1]); !ok || l != 93 || v != voice {
			t.Error("audio level")
		}
	}
	for n := range 6 {
		data := make([]byte, n)
		_, a := ParseAbsSendTime(data)
		_, s := ParseTransportSeq(data)
		_, _, l := ParseAudioLevel(data)
		if a != (n == 3) || s != (n == 2 || n == 4) || l != (n == 1 || n == 2) {
			t.Errorf("%d bytes: %v %v %v", n, a, s, l)
		}
	}
	if o := Orientation(0x0f); o.Degrees() != 270 || !o.Flipped() || !o.BackCamera() || Orientation(1).Degrees() != 90 {
		t.Error("orientation")
	}
	for id, want := range map[string]bool{"0": true, "hi_res-2": true, "": false, "a b": false, "sixteen-bytes-ok": true, "seventeen-bytes--": false, "é": false, "a\x00": false} {
		if ValidID([]byte(id)) != want {
			t.Errorf("ValidID(%q) is %v", id, !want)
		}
	}
}

func TestNothingAllocates(t *testing.T) {
	raw := vectors.Hex(t, full)
	dst := make([]byte, 0, 2000)
	r := Rewrite{SSRC: 1, IDs: [16]uint8{1: 2, 3: 4, 5: 6}, Extra: [MaxExtra]ExtPair{{ID: 9, Data: []byte{1, 2, 3}}}}
	var u Unwrapper
	h := Header{CSRC: []uint32{1}, Extensions: []ExtPair{{1, []byte{2}}}}
	if n := testing.AllocsPerRun(100, func() {
		v, ok := Parse(raw)
		if !ok || v.Extension(5) == nil {
			t.Fatal("not parsed")
		}
		v.SetSeq(uint16(u.Unwrap(v.Seq)))
		dst = AppendRewritten(dst[:0], v, &r)
		dst = AppendRTX(dst[:0], v, 1, 2, 3)
		if _, ok := UnwrapRTX(dst, 1, 2); !ok {
			t.Fatal("not unwrapped")
		}
		dst = h.Append(dst[:0])
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
