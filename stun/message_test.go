package stun

import (
	"bytes"
	"crypto/md5"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"net/netip"
	"os"
	"testing"

	"github.com/sluicertc/sluice/internal/vectors"
)

func longTermKey(t *testing.T) string {
	t.Helper()
	sum := md5.Sum([]byte("マトリックス:example.org:TheMatrIX"))
	return hex.EncodeToString(sum[:])
}

func TestMessageTypesInterleave(t *testing.T) {
	for _, c := range []struct {
		m    Method
		c    Class
		want Type
	}{
		{Binding, Request, 0x0001}, {Binding, Indication, 0x0011}, {Binding, Success, 0x0101}, {Binding, Error, 0x0111},
		{Allocate, Error, 0x0113}, {Data, Indication, 0x0017}, {0xfff, Error, 0x3fff}, {0x80, Request, 0x0200},
	} {
		if got := MakeType(c.m, c.c); got != c.want {
			t.Errorf("MakeType(%#x, %d) = %#x, want %#x", c.m, c.c, got, c.want)
		}
	}
	for v := Type(0); v < 0x4000; v++ {
		if MakeType(v.Method(), v.Class()) != v {
			t.Fatalf("type %#x does not survive", v)
		}
	}
}

// raw makes a message out of attribute bytes, with a right length.
func raw(attrs ...byte) []byte {
	b := append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, make([]byte, 12)...)
	b = append(b, attrs...)
	binary.BigEndian.PutUint16(b[2:], uint16(len(attrs)))
	return b
}

func TestClass10_AttributeLengthsAreChecked(t *testing.T) {
	good := vectors.Hex(t, vectorRequest)
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"empty", nil, ErrNotSTUN},
		{"short header", good[:19], ErrNotSTUN},
		{"top bits", append([]byte{0x80}, good[1:]...), ErrNotSTUN},
		{"cookie", append([]byte{0, 1, 0, 0, 1, 2, 3, 4}, make([]byte, 12)...), ErrNotSTUN},
		{"truncated", good[:len(good)-4], ErrLength},
		{"trailing bytes", append(bytes.Clone(good), 0, 0, 0, 0), ErrLength},
		{"odd length", append(raw(), 0), ErrLength},
		{"length not of 4", func() []byte { b := raw(0, 1); return b }(), ErrLength},
		{"attribute past the end", raw(0, 6, 0, 5, 1, 2, 3, 4), ErrAttribute},
		{"attribute of 65535", raw(0, 6, 0xff, 0xff), ErrAttribute},
		{"integrity of 0", raw(0, 8, 0, 0), ErrIntegrity},
		{"integrity of 16", raw(append([]byte{0, 8, 0, 16}, make([]byte, 16)...)...), ErrIntegrity},
		{"fingerprint wrong", raw(0x80, 0x28, 0, 4, 1, 2, 3, 4), ErrFingerprint},
		{"fingerprint of 0", raw(0x80, 0x28, 0, 0), ErrFingerprint},
	} {
		if _, err := Parse(c.b); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
	// The negative twin: the same shapes, right.
	for _, b := range [][]byte{good, raw(), raw(0, 6, 0, 0), raw(0, 6, 0, 3, 1, 2, 3, 9)} {
		if _, err := Parse(b); err != nil || !Is(b) {
			t.Errorf("%x: %v", b, err)
		}
	}
}

func TestClass10_AddressAndErrorValuesOfEveryLength(t *testing.T) {
	for n := range 40 {
		for family := range 4 {
			v := make([]byte, n)
			if n > 1 {
				v[1] = byte(family)
			}
			w := Begin(nil, BindingSuccess, vectorID)
			w.Raw(AttrXORMappedAddress, v)
			w.Raw(AttrErrorCode, v)
			w.Raw(AttrPriority, v)
			w.Raw(AttrICEControlled, v)
			m, err := Parse(w.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			_, ok := m.XORMappedAddress()
			if want := n == 8 && family == 1 || n == 20 && family == 2; ok != want {
				t.Errorf("address of %d bytes, family %d: %v", n, family, ok)
			}
			if _, ok = m.Priority(); ok != (n == 4) {
				t.Errorf("priority of %d bytes: %v", n, ok)
			}
			if _, ok = m.ICEControlled(); ok != (n == 8) {
				t.Errorf("tiebreaker of %d bytes: %v", n, ok)
			}
			if _, _, ok = m.ErrorCode(); ok {
				t.Errorf("error class 0 taken")
			}
		}
	}
}

func TestAttributesBehindIntegrityAreIgnored(t *testing.T) {
	k := NewKey([]byte(vectorPassword))
	w := Begin(nil, BindingRequest, vectorID)
	w.Username("a:b")
	w.Integrity(k)
	w.UseCandidate()
	w.Priority(7)
	w.Integrity(NewKey([]byte("another")))
	w.Fingerprint()
	m, err := Parse(w.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := m.Priority(); ok || m.UseCandidate() {
		t.Error("an unsigned attribute counts")
	}
	if !m.CheckIntegrity(k) || len(m.Unknown(nil)) != 1 {
		t.Error("the first integrity attribute counts, and it hides the rest")
	}
	n := 0
	for a := range m.All {
		if n++; a != AttrUsername {
			t.Errorf("attribute %#x yielded", a)
		}
	}
	if n != 1 {
		t.Errorf("%d attributes yielded", n)
	}
}

func TestFingerprintMustBeLast(t *testing.T) {
	w := Begin(nil, BindingRequest, vectorID)
	w.Username("a:b")
	w.Fingerprint()
	if _, err := Parse(w.Bytes()); err != nil {
		t.Fatal(err)
	}
	w.Priority(1)
	// The checksum is right for the bytes before it; only the place is wrong.
	b := w.Bytes()
	at := len(b) - 8 - fingerprintLen
	binary.BigEndian.PutUint32(b[at+4:], crc32.ChecksumIEEE(b[:at])^fingerprintXOR)
	if _, err := Parse(b); !errors.Is(err, ErrFingerprint) {
		t.Errorf("something behind FINGERPRINT: %v", err)
	}
}

func TestEveryFlippedBitBreaksIntegrityOrParse(t *testing.T) {
	k := NewKey([]byte(vectorPassword))
	b := vectors.Hex(t, vectorRequest)
	end := len(b) - fingerprintLen
	for i := range end * 8 {
		c := bytes.Clone(b)
		c[i/8] ^= 1 << (i % 8)
		// A forger repairs the checksum, which is no secret.
		binary.BigEndian.PutUint32(c[end+4:], crc32.ChecksumIEEE(c[:end])^fingerprintXOR)
		if m, err := Parse(c); err == nil && m.CheckIntegrity(k) {
			t.Fatalf("bit %d flipped unnoticed", i)
		}
	}
	if m, err := Parse(b); err != nil || !m.CheckIntegrity(k) {
		t.Fatal("the message itself")
	}
}

func TestUnknownAttributesAreListed(t *testing.T) {
	w := Begin(nil, BindingRequest, vectorID)
	w.Username("a:b")
	w.Raw(0x0030, []byte{1})
	w.Raw(0xc057, []byte{1, 2, 3, 4})
	w.Raw(0x7fff, nil)
	m, err := Parse(w.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	got := m.Unknown(nil, AttrUsername)
	if len(got) != 2 || got[0] != 0x0030 || got[1] != 0x7fff {
		t.Errorf("unknown %#x", got)
	}
	for range 2 * MaxUnknown {
		w.Raw(0x7001, nil)
	}
	m, _ = Parse(w.Bytes())
	if got = m.Unknown(nil, AttrUsername); len(got) != MaxUnknown {
		t.Errorf("%d listed", len(got))
	}
	e := Begin(nil, BindingError, vectorID)
	e.ErrorCode(CodeUnknownAttribute, "Unknown Attribute")
	e.UnknownAttributes(got[:1])
	m, err = Parse(e.Bytes())
	if err != nil {
		t.Fatal(err)
	}
	code, reason, ok := m.ErrorCode()
	v, _ := m.Get(AttrUnknownAttributes)
	if code != 420 || string(reason) != "Unknown Attribute" || !ok || !bytes.Equal(v, []byte{0, 0x30}) {
		t.Errorf("%d %q %v %x", code, reason, ok, v)
	}
}

func TestBuilderStopsAtTheLargestMessage(t *testing.T) {
	w := Begin(nil, BindingRequest, vectorID)
	w.Raw(AttrData, make([]byte, 65528))
	if w.Err() != nil || len(w.Bytes()) != MaxMessage {
		t.Fatalf("%d bytes: %v", len(w.Bytes()), w.Err())
	}
	if _, err := Parse(w.Bytes()); err != nil {
		t.Fatal(err)
	}
	w.UseCandidate()
	w.Integrity(NewKey(nil))
	w.Fingerprint()
	w.XORMappedAddress(netip.MustParseAddrPort("[::1]:1"))
	w.XORMappedAddress(netip.MustParseAddrPort("1.1.1.1:1"))
	w.XORMappedAddress(netip.AddrPort{})
	w.Uint32(AttrPriority, 1)
	w.Uint64(AttrICEControlled, 1)
	w.ErrorCode(400, string(make([]byte, 4000)))
	w.UnknownAttributes([]Attr{1})
	w.Text(AttrSoftware, "")
	if !errors.Is(w.Err(), ErrTooLong) || len(w.Bytes()) != MaxMessage {
		t.Errorf("%d bytes: %v", len(w.Bytes()), w.Err())
	}
}

func TestMappedIPv4IsWrittenAndReadAsIPv4(t *testing.T) {
	w := Begin(nil, BindingSuccess, vectorID)
	w.XORMappedAddress(netip.MustParseAddrPort("[::ffff:192.0.2.7]:9"))
	m, _ := Parse(w.Bytes())
	if v, _ := m.Get(AttrXORMappedAddress); len(v) != 8 {
		t.Errorf("%d bytes", len(v))
	}
	if a, ok := m.XORMappedAddress(); !ok || a != netip.MustParseAddrPort("192.0.2.7:9") {
		t.Errorf("%v %v", a, ok)
	}
	// A peer may write it as IPv6 all the same.
	id := m.TransactionID()
	v := []byte{0, 2, 0x21, 0x12 ^ 9}
	ip := netip.MustParseAddr("::ffff:192.0.2.7").As16()
	mask := append([]byte{0x21, 0x12, 0xa4, 0x42}, id[:]...)
	for i := range ip {
		v = append(v, ip[i]^mask[i])
	}
	w = Begin(nil, BindingSuccess, id)
	w.Raw(AttrXORMappedAddress, v)
	m, _ = Parse(w.Bytes())
	if a, ok := m.XORMappedAddress(); !ok || !a.Addr().Is4() {
		t.Errorf("%v %v", a, ok)
	}
}

func TestZeroMessageHasNothing(t *testing.T) {
	var m Message
	if _, ok := m.Username(); ok || m.Type() != 0 || m.TransactionID() != (TransactionID{}) ||
		m.CheckIntegrity(NewKey(nil)) || m.HasIntegrity() {
		t.Error("the zero Message has something")
	}
}

// What browsers put on the wire parses, and their fingerprints agree with ours.
func TestRecordedBrowserChecksParse(t *testing.T) {
	for _, file := range []string{"chromium-dtls13-datachannel.pcap", "firefox-dtls13-datachannel.pcap"} {
		d, err := os.ReadFile("../testdata/captures/" + file)
		if err != nil {
			t.Fatal(err)
		}
		seen := 0
		for off := 24; off+16 <= len(d); {
			n := int(binary.LittleEndian.Uint32(d[off+8:]))
			p := d[off+16 : off+16+n]
			off += 16 + n
			i := bytes.Index(p, []byte{0x21, 0x12, 0xa4, 0x42})
			if i < 4 || !Is(p[i-4:]) {
				continue
			}
			m, err := Parse(p[i-4:])
			if err != nil || !m.HasFingerprint() || !m.HasIntegrity() {
				t.Fatalf("%s: %x: %v", file, p[i-4:], err)
			}
			seen++
			if m.Class() == Request {
				_, controlling := m.ICEControlling()
				_, controlled := m.ICEControlled()
				if _, ok := m.Priority(); !ok || controlling == controlled {
					t.Errorf("%s: a check without priority or role", file)
				}
			} else if a, ok := m.XORMappedAddress(); !ok || !a.Addr().IsLoopback() && !a.Addr().IsPrivate() && a.Addr().String() != "192.0.2.2" {
				t.Errorf("%s: mapped %v %v", file, a, ok)
			}
		}
		if seen < 8 {
			t.Errorf("%s: only %d STUN messages", file, seen)
		}
	}
}

func TestParseCheckAndBuildAllocateNothing(t *testing.T) {
	k := NewKey([]byte(vectorPassword))
	b := vectors.Hex(t, vectorRequest)
	if n := testing.AllocsPerRun(200, func() {
		m, err := Parse(b)
		if err != nil || !m.CheckIntegrity(k) || !Is(b) {
			panic("vector")
		}
		if _, ok := m.Username(); !ok {
			panic("username")
		}
	}); n != 0 {
		t.Errorf("parse and check: %v allocations", n)
	}
	buf := make([]byte, 0, 512)
	addr := netip.MustParseAddrPort("[2001:db8::1]:443")
	if n := testing.AllocsPerRun(200, func() {
		w := Begin(buf, BindingRequest, vectorID)
		w.Username("evtj:h6vY")
		w.Priority(1)
		w.ICEControlling(2)
		w.UseCandidate()
		w.XORMappedAddress(addr)
		w.Integrity(k)
		w.Fingerprint()
		if len(w.Bytes()) == 0 {
			panic("empty")
		}
	}); n != 0 {
		t.Errorf("build: %v allocations", n)
	}
}

// Class 9, 10: whatever comes, no panic; what parses is the same when its
// attributes are appended again, padding and what is ignored aside.
func FuzzParse(f *testing.F) {
	for _, v := range []string{vectorRequest, vectorIPv4, vectorIPv6, vectorLongTerm} {
		f.Add(vectors.Hex(f, v))
	}
	f.Add(raw(0, 0x20, 0, 0))
	f.Add(raw(0, 8, 0, 20))
	k := NewKey([]byte(vectorPassword))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Parse(b)
		if err != nil {
			return
		}
		if !Is(b) {
			t.Fatal("parsed, but not told as STUN")
		}
		m.XORMappedAddress()
		m.ErrorCode()
		m.Priority()
		m.ICEControlling()
		m.Unknown(nil)
		m.CheckIntegrity(k)
		w := Begin(nil, m.Type(), m.TransactionID())
		for a, v := range m.All {
			w.Raw(a, v)
		}
		w.Integrity(k)
		w.Fingerprint()
		if w.Err() != nil {
			return
		}
		again, err := Parse(w.Bytes())
		if err != nil || !again.CheckIntegrity(k) || again.Type() != m.Type() || again.TransactionID() != m.TransactionID() {
			t.Fatalf("appended again: %v", err)
		}
		type attr struct {
			t Attr
			v string
		}
		var before, after []attr
		for a, v := range m.All {
			before = append(before, attr{a, string(v)})
		}
		for a, v := range again.All {
			after = append(after, attr{a, string(v)})
		}
		if len(before) != len(after) {
			t.Fatalf("%d attributes became %d", len(before), len(after))
		}
		for i := range before {
			if before[i] != after[i] {
				t.Fatalf("attribute %d changed", i)
			}
		}
	})
}

func BenchmarkParse(b *testing.B) {
	d := vectors.Hex(b, vectorRequest)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Parse(d); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCheckIntegrity(b *testing.B) {
	m, _ := Parse(vectors.Hex(b, vectorRequest))
	k := NewKey([]byte(vectorPassword))
	b.ReportAllocs()
	for b.Loop() {
		m.CheckIntegrity(k)
	}
}
