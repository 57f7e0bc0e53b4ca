package dtls

import (
	"encoding/binary"
	"os"
	"slices"
	"testing"

	"github.com/sluicertc/sluice/internal/mono"
)

// captured returns the UDP payloads of a classic pcap file of "Linux cooked"
// frames (link type 113) over IPv4 or IPv6, in order.
func captured(t *testing.T, name string) (payloads [][]byte) {
	t.Helper()
	b, err := os.ReadFile("../testdata/captures/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if len(b) < 24 || binary.LittleEndian.Uint32(b) != 0xa1b2c3d4 || binary.LittleEndian.Uint32(b[20:]) != 113 {
		t.Fatalf("%s: another kind of capture", name)
	}
	for b = b[24:]; len(b) >= 16; {
		n := int(binary.LittleEndian.Uint32(b[8:]))
		frame := b[16 : 16+n]
		b = b[16+n:]
		ip := frame[16:]
		var udp []byte
		switch binary.BigEndian.Uint16(frame[14:]) {
		case 0x0800:
			if ip[9] == 17 {
				udp = ip[4*int(ip[0]&15):]
			}
		case 0x86dd:
			if ip[6] == 17 {
				udp = ip[40:]
			}
		}
		if udp != nil {
			payloads = append(payloads, udp[8:])
		}
	}
	return payloads
}

// clientHellos returns the datagrams which hold the capture's ClientHello.
func clientHellos(t *testing.T, name string) (datagrams [][]byte) {
	t.Helper()
	for _, p := range captured(t, name) {
		rec, _, ok := SplitRecord(p)
		if !ok || rec[0] != ContentHandshake || Epoch(rec) != 0 {
			continue
		}
		if f, _, ok := parseFragment(rec[headerLen:]); ok && f.typ == typeClientHello {
			datagrams = append(datagrams, p)
		}
	}
	if len(datagrams) < 2 {
		t.Fatalf("%s: %d datagrams of ClientHello, want 2", name, len(datagrams))
	}
	return datagrams[:2]
}

var captures = []string{"chromium-dtls13-datachannel.pcap", "firefox-dtls13-datachannel.pcap"}

// flight4Of feeds datagrams to a new server and parses what it answers.
func flight4Of(t *testing.T, cfg Config, datagrams [][]byte) (sh serverHello, types []uint8) {
	t.Helper()
	cfg.MaxVersion = VersionDTLS12
	cfg.Role, cfg.Certificate, cfg.AwaitFingerprints = Server, testCerts["server"], true
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	now := mono.Time(1e9)
	c.Start(now)
	for _, d := range datagrams {
		c.HandlePacket(now, d)
	}
	var in reassembler
	buf := make([]byte, 1500)
	for n := c.Transmit(now, buf); n > 0; n = c.Transmit(now, buf) {
		if n > DefaultMTU {
			t.Fatalf("datagram of %d bytes", n)
		}
		for b := buf[:n]; len(b) > 0; {
			rec, rest, ok := SplitRecord(b)
			if !ok {
				t.Fatal("not a record")
			}
			b = rest
			f, _, ok := parseFragment(rec[headerLen:])
			if !ok || in.add(0, f) != nil {
				t.Fatal("not a fragment")
			}
		}
	}
	for m, ok := in.peek(0); ok; m, ok = in.peek(0) {
		if types = append(types, m.typ); m.typ == typeServerHello {
			if sh, ok = parseServerHello(m.body()); !ok {
				t.Fatal("our ServerHello does not parse")
			}
		}
		in.pop()
	}
	return sh, types
}

func TestBrowserHelloOverTwoDatagramsIsAnswered(t *testing.T) {
	for _, name := range captures {
		d := clientHellos(t, name)
		for order, in := range map[string][][]byte{
			"in order":   {d[0], d[1]},
			"reversed":   {d[1], d[0]},
			"duplicated": {d[0], d[0], d[1], d[1], d[0]},
			"repeated":   {d[1], d[1], d[0], d[1]},
		} {
			sh, types := flight4Of(t, Config{}, in)
			want := []uint8{typeServerHello, typeCertificate, typeServerKeyExchange, typeCertificateRequest, typeServerHelloDone}
			if !slices.Equal(types, want) {
				t.Fatalf("%s %s: answered with %v", name, order, types)
			}
			if sh.version != VersionDTLS12 || sh.suite != ECDHE_ECDSA_AES128_GCM_SHA256 || !sh.ems || sh.reneg == nil ||
				sh.profile != SRTP_AEAD_AES_128_GCM || sh.foreign {
				t.Fatalf("%s %s: %+v", name, order, sh)
			}
		}
		if _, types := flight4Of(t, Config{}, d[:1]); len(types) != 0 {
			t.Fatalf("%s: half a hello was answered", name)
		}
		if _, types := flight4Of(t, Config{HelloVerify: true}, d); !slices.Equal(types, []uint8{typeHelloVerifyRequest}) {
			t.Fatalf("%s: HelloVerify answered with %v", name, types)
		}
	}
}

func TestBrowserHellosParse(t *testing.T) {
	for _, name := range captures {
		var in reassembler
		for _, d := range clientHellos(t, name) {
			f, _, _ := parseFragment(d[headerLen:])
			in.add(0, f)
		}
		m, ok := in.peek(0)
		if !ok {
			t.Fatal(name)
		}
		h, ok := parseClientHello(new(lists), m.body())
		if !ok || !slices.Contains(h.versions, VersionDTLS13) || !slices.Contains(h.versions, VersionDTLS12) ||
			!slices.Contains(h.groups, 0x11ec) || len(h.profiles) < 3 || !h.ems {
			t.Fatalf("%s: %v %+v", name, ok, h)
		}
	}
}

// The browsers' hellos offer X25519MLKEM768, and DTLS 1.3 first.
func TestV13BrowserHelloIsAnswered(t *testing.T) {
	for _, name := range captures {
		for _, g := range groups {
			c, err := New(Config{
				Role: Server, MinVersion: VersionDTLS13, MaxVersion: VersionDTLS13, Groups: []Group{g},
				Certificate: testCerts["server"], AwaitFingerprints: true,
			})
			if err != nil {
				t.Fatal(err)
			}
			c.Start(1)
			for _, d := range clientHellos(t, name) {
				if err := c.HandlePacket(1, d); err != nil {
					t.Fatal(err)
				}
			}
			var in reassembler
			buf := make([]byte, 1500)
			sealed := 0
			for n := c.Transmit(1, buf); n > 0; n = c.Transmit(1, buf) {
				for b := buf[:n]; len(b) > 0; {
					rec, rest, ok := SplitRecord(b)
					if !ok {
						t.Fatal("not a record")
					}
					if b = rest; unified(rec) {
						sealed++
						continue
					}
					f, _, ok := parseFragment(rec[headerLen:])
					if !ok || in.add(0, f) != nil {
						t.Fatal("not a fragment")
					}
				}
			}
			m, ok := in.peek(0)
			if !ok || m.typ != typeServerHello {
				t.Fatalf("%s, %v: no ServerHello", name, g)
			}
			sh, ok := parseServerHello(m.body())
			if !ok || sh.selected != VersionDTLS13 || sh.suite != AES128_GCM_SHA256 || sh.share.group != g {
				t.Fatalf("%s, %v: %+v", name, g, sh)
			}
			// Both send shares of the hybrid and of X25519 (Firefox of P-256, too).
			if sh.retry() != (sealed == 0) || sh.retry() && (g == GroupX25519MLKEM768 || g == GroupX25519) {
				t.Fatalf("%s, %v: retry %v, %d sealed records", name, g, sh.retry(), sealed)
			}
			if !sh.retry() && (c.State().Version != VersionDTLS13 || c.State().Group != g || c.State().SRTPProfile != SRTP_AEAD_AES_128_GCM) {
				t.Fatalf("%s: %+v", name, c.State())
			}
		}
	}
}

// Every record of the browsers' handshakes splits, in the epochs of RFC 9147
// §6.1, and every datagram is used up.
func TestV13BrowserRecordsSplit(t *testing.T) {
	for _, name := range captures {
		epochs := map[uint16]int{}
		for _, p := range captured(t, name) {
			if len(p) == 0 || p[0] < 20 || p[0] > 63 {
				continue
			}
			for len(p) > 0 {
				rec, rest, ok := SplitRecord(p)
				if !ok {
					t.Fatalf("%s: % x does not split", name, p[:min(16, len(p))])
				}
				epochs[Epoch(rec)]++
				p = rest
			}
		}
		if epochs[0] < 3 || epochs[2] < 2 || epochs[3] < 4 || len(epochs) != 3 {
			t.Fatalf("%s: records per epoch %v", name, epochs)
		}
	}
}
