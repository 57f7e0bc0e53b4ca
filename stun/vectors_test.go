package stun

import (
	"encoding/hex"
	"net/netip"
	"testing"

	"github.com/sluicertc/sluice/internal/vectors"
)

// RFC 5769 §2.1 to §2.4.
const (
	vectorPassword = "VOkJxbRl1RmTxUk/WvJxBt"
	vectorRequest  = "00010058 2112a442 b7e7a701bc34d686fa87dfae 80220010 5354554e207465737420636c69656e74" +
		"00240004 6e0001ff 80290008 932ff9b151263b36 00060009 6576746a3a68367659202020" +
		"00080014 9aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a2 80280004 e57a3bcf"
	vectorIPv4 = "0101003c 2112a442 b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f7220" +
		"00200008 0001a147e112a643 00080014 2b91f599fd9e90c38c7489f92af9ba53f06be7d7 80280004 c07d4c96"
	vectorIPv6 = "01010048 2112a442 b7e7a701bc34d686fa87dfae 8022000b 7465737420766563746f7220" +
		"00200014 0002a1470113a9faa5d3f179bc25f4b5bed2b9d9" +
		"00080014 a382954e4be67bf11784c97c8292c275bfe3ed41 80280004 c8fb0b4c"
	vectorLongTerm = "00010060 2112a442 78ad3433c6ad72c029da412e" +
		"00060012 e3839ee38388e383aae38383e382afe382b90000" +
		"0015001c 662f2f3439396b39353464364f4c33346f4c394653547679363473 41" +
		"0014000b 6578616d706c652e6f726700 00080014 f67024656dd64a3e02b8e0712e85c9a28ca89666"
)

var vectorID = TransactionID{0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae}

func TestRFC5769SampleRequest(t *testing.T) {
	b := vectors.Hex(t, vectorRequest)
	m, err := Parse(b)
	if err != nil || !Is(b) {
		t.Fatal(err, Is(b))
	}
	if m.Type() != BindingRequest || m.Class() != Request || m.Method() != Binding || m.TransactionID() != vectorID {
		t.Errorf("header: %v %v %v %x", m.Type(), m.Class(), m.Method(), m.TransactionID())
	}
	if u, ok := m.Username(); !ok || string(u) != "evtj:h6vY" {
		t.Errorf("username %q %v", u, ok)
	}
	if s, ok := m.Get(AttrSoftware); !ok || string(s) != "STUN test client" {
		t.Errorf("software %q %v", s, ok)
	}
	if p, ok := m.Priority(); !ok || p != 0x6e0001ff {
		t.Errorf("priority %x %v", p, ok)
	}
	if tb, ok := m.ICEControlled(); !ok || tb != 0x932ff9b151263b36 {
		t.Errorf("controlled %x %v", tb, ok)
	}
	if _, ok := m.ICEControlling(); ok || m.UseCandidate() {
		t.Error("attributes which are not there")
	}
	if !m.HasFingerprint() || !m.CheckIntegrity(NewKey([]byte(vectorPassword))) {
		t.Error("fingerprint or integrity")
	}
	if m.CheckIntegrity(NewKey([]byte("VOkJxbRl1RmTxUk/WvJxBu"))) {
		t.Error("integrity with the wrong key")
	}
}

func TestRFC5769SampleResponses(t *testing.T) {
	for _, c := range []struct{ vector, addr string }{
		{vectorIPv4, "192.0.2.1:32853"},
		{vectorIPv6, "[2001:db8:1234:5678:11:2233:4455:6677]:32853"},
	} {
		b := vectors.Hex(t, c.vector)
		m, err := Parse(b)
		if err != nil {
			t.Fatal(err)
		}
		want := netip.MustParseAddrPort(c.addr)
		if a, ok := m.XORMappedAddress(); !ok || a != want {
			t.Errorf("mapped %v %v, want %v", a, ok, want)
		}
		if m.Type() != BindingSuccess || !m.CheckIntegrity(NewKey([]byte(vectorPassword))) || !m.HasFingerprint() {
			t.Errorf("%v: type, integrity or fingerprint", c.addr)
		}
		// The vectors pad with spaces; so does this once Begin to Fingerprint ran.
		w := Begin(nil, BindingSuccess, vectorID)
		w.Text(AttrSoftware, "test vector")
		w.Bytes()[len(w.Bytes())-1] = ' '
		w.XORMappedAddress(want)
		w.Integrity(NewKey([]byte(vectorPassword)))
		w.Fingerprint()
		if got := w.Bytes(); hex.EncodeToString(got) != hex.EncodeToString(b) || w.Err() != nil {
			t.Errorf("built\n%x, want\n%x", got, b)
		}
	}
}

func TestRFC5769LongTerm(t *testing.T) {
	m, err := Parse(vectors.Hex(t, vectorLongTerm))
	if err != nil {
		t.Fatal(err)
	}
	// MD5("マトリックス:example.org:TheMatrIX"), after SASLprep of RFC 5769 §2.4.
	if !m.CheckIntegrity(NewKey(vectors.Hex(t, longTermKey(t)))) || m.HasFingerprint() {
		t.Error("integrity with the long-term key, or a fingerprint that is not there")
	}
}

func TestRequestIsBuiltAsInRFC5769(t *testing.T) {
	w := Begin([]byte("prefix"), BindingRequest, vectorID)
	w.Text(AttrSoftware, "STUN test client")
	w.Priority(0x6e0001ff)
	w.ICEControlled(0x932ff9b151263b36)
	w.Username("evtj:h6vY")
	for i := 1; i <= 3; i++ { // the vector pads with spaces
		w.Bytes()[len(w.Bytes())-i] = ' '
	}
	w.Integrity(NewKey([]byte(vectorPassword)))
	w.Fingerprint()
	if got := string(w.Bytes()); got != "prefix"+string(vectors.Hex(t, vectorRequest)) {
		t.Errorf("built %x", got)
	}
}
