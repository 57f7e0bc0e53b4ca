package dtls

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"
)

// fuzzParse checks that a parser does not panic, and that what it accepts
// survives append and parse.
func fuzzParse[T any](f *testing.F, parse func([]byte) (T, bool), app func(*T) []byte, seeds ...[]byte) {
	for _, s := range seeds {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, ok := parse(b)
		if !ok {
			return
		}
		again, ok := parse(app(&v))
		if !ok || !reflect.DeepEqual(v, again) {
			t.Fatalf("%+v became %+v", v, again)
		}
	})
}

func FuzzClientHello(f *testing.F) {
	h := clientHello{
		version: VersionDTLS12, suites: []uint16{1, 2}, compressions: []byte{0}, cookie: []byte{1},
		versions: []uint16{VersionDTLS13, VersionDTLS12}, groups: groups[:], points: []byte{0},
		schemes: allSchemes, profiles: defaultProfiles[:], mki: []byte{}, ems: true, reneg: []byte{},
		shares: []keyShare{{GroupX25519, make([]byte, 32)}}, cookie3: []byte{1},
		options: options{alpn: appendALPN(nil, "webrtc", "c-webrtc"), limit: 100, id: []byte{1, 2}, rrc: true},
	}
	// What the parser only notes: two shares of a group, something behind
	// pre_shared_key, psk_key_exchange_modes.
	odd := func(typ uint16) []byte {
		h := clientHello{version: VersionDTLS12, suites: []uint16{1}, compressions: []byte{0}, cookie3: []byte{1}}
		share := keyShare{GroupX25519, []byte{1}}
		switch typ {
		case extKeyShare:
			h.shares = []keyShare{share, share}
		case extPreSharedKey:
			h.psk = true
		}
		const before = 2 + randomLen + 1 + 1 + 4 + 2 // the extensions
		b := appendVec16(binary.BigEndian.AppendUint16(h.append(nil), extPSKModes), []byte{1, 1})
		binary.BigEndian.PutUint16(b[before:], uint16(len(b)-before-2))
		return b
	}
	fuzzParse(f, func(b []byte) (clientHello, bool) {
		h, ok := parseClientHello(new(lists), b)
		h.illegal, h.pskModes = false, false // are not sent
		if ok && len(h.versions) == 0 {      // an empty list parses as none
			h.versions = nil
		}
		return h, ok
	}, func(h *clientHello) []byte { return h.append(nil) }, h.append(nil), odd(extKeyShare), odd(extPreSharedKey), odd(extPSKModes))
}

func FuzzServerHello(f *testing.F) {
	h := serverHello{version: VersionDTLS12, suite: ECDHE_ECDSA_AES128_GCM_SHA256, profile: 7, ems: true, reneg: []byte{}, points: []byte{0}}
	h13 := serverHello{version: VersionDTLS12, suite: AES128_GCM_SHA256, selected: VersionDTLS13, share: keyShare{GroupX25519, make([]byte, 32)}}
	retry := retryHello(&retryCookie{suite: AES128_GCM_SHA256, group: GroupP256}, []byte("cookie"))
	fuzzParse(f, func(b []byte) (serverHello, bool) {
		h, ok := parseServerHello(b)
		h.foreign = false // is not sent
		if h.profile == 0 {
			h.mki = nil
		}
		return h, ok
	}, func(h *serverHello) []byte { return h.append(nil) }, h.append(nil), retry.append(nil), h13.append(nil))
}

func FuzzHelloVerify(f *testing.F) {
	v := helloVerify{version: VersionDTLS10, cookie: []byte("cookie")}
	fuzzParse(f, parseHelloVerify, func(v *helloVerify) []byte { return v.append(nil) }, v.append(nil))
}

func FuzzServerKeyExchange(f *testing.F) {
	m := serverKeyExchange12{group: GroupX25519, public: make([]byte, 32), signed: signed{0x0403, make([]byte, 70)}}
	fuzzParse(f, parseServerKeyExchange12, func(m *serverKeyExchange12) []byte { return m.append(nil) }, m.append(nil))
}

func FuzzClientKeyExchange(f *testing.F) {
	fuzzParse(f, parseClientKeyExchange12, func(p *[]byte) []byte { return appendVec8(nil, *p) }, []byte{2, 1, 2})
}

func FuzzCertificateRequest(f *testing.F) {
	m := certificateRequest12{types: []byte{1, 64}, schemes: allSchemes, authorities: []byte{}}
	fuzzParse(f, func(b []byte) (certificateRequest12, bool) {
		return parseCertificateRequest12(new(lists), b)
	}, func(m *certificateRequest12) []byte { return m.append(nil) }, m.append(nil))
}

func FuzzCertificateVerify(f *testing.F) {
	m := signed{0x0403, []byte("signature")}
	fuzzParse(f, parseCertificateVerify12, func(m *signed) []byte { return m.append(nil) }, m.append(nil))
}

func FuzzCertificate(f *testing.F) {
	fuzzParse(f, parseCertificate12, func(c *[][]byte) []byte { return appendCertificate12(nil, *c) },
		appendCertificate12(nil, [][]byte{{1, 2, 3}, {4}}))
}

func FuzzEncryptedExtensions(f *testing.F) {
	m := encryptedExtensions{profile: SRTP_AEAD_AES_128_GCM, mki: []byte{}}
	fuzzParse(f, func(b []byte) (encryptedExtensions, bool) {
		m, ok := parseEncryptedExtensions(b)
		m.foreign = 0 // is not sent
		return m, ok
	}, func(m *encryptedExtensions) []byte { return m.append(nil) }, m.append(nil), []byte{0, 0}, []byte{0, 4, 0, 16, 0, 0})
}

func FuzzCertificateRequest13(f *testing.F) {
	m := certificateRequest13{context: []byte{}, schemes: allSchemes}
	fuzzParse(f, parseCertificateRequest13, func(m *certificateRequest13) []byte { return m.append(nil) }, m.append(nil))
}

func FuzzCertificate13(f *testing.F) {
	m := certificate13{context: []byte{}, chain: [][]byte{{1, 2, 3}, {4}}}
	fuzzParse(f, func(b []byte) (certificate13, bool) {
		m, ok := parseCertificate13(b)
		m.foreign = false // is not sent
		return m, ok
	}, func(m *certificate13) []byte { return m.append(nil) }, m.append(nil))
}

func FuzzNewConnectionID(f *testing.F) {
	m := newConnectionID{ids: [][]byte{{1, 2}, {}}, usage: idSpare}
	f.Add(m.append(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		m, ok := parseNewConnectionID(b)
		if !ok {
			return
		}
		if len(m.ids) > maxSpareIDs {
			t.Fatal(len(m.ids))
		}
		again, ok := parseNewConnectionID(m.append(nil))
		if !ok || !reflect.DeepEqual(again, m) {
			t.Fatal(m, again)
		}
	})
}

// Whatever a datagram holds, its parts lie within it.
func FuzzSplitRecordCID(f *testing.F) {
	f.Add([]byte{25, 0xfe, 0xfd, 0, 1, 0, 0, 0, 0, 0, 0, 7, 7, 0, 1, 9}, uint8(2))
	f.Add(append([]byte{0x3f, 7, 7, 0, 1, 0, 20}, make([]byte, 20)...), uint8(2))
	f.Fuzz(func(t *testing.T, b []byte, idLen uint8) {
		n := int(idLen % 40)
		rec, rest, ok := SplitRecordCID(b, n)
		if id, has := RecordCID(b, n); has && (len(id) != n || n == 0) {
			t.Fatal(id)
		}
		if ok && (len(rec)+len(rest) != len(b) || len(rec) == 0) {
			t.Fatal(len(rec), len(rest), len(b))
		}
	})
}

func FuzzRetryCookie(f *testing.F) {
	c := retryCookie{AES128_GCM_SHA256, GroupP256, make([]byte, 32)}
	fuzzParse(f, parseRetryCookie, func(c *retryCookie) []byte { return c.append(nil) }, c.append(nil))
}

func FuzzACK(f *testing.F) {
	f.Add(appendACK(nil, []recordNumber{1, 2<<48 | 3}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var numbers []recordNumber
		if !numbersOf(b, func(n recordNumber) { numbers = append(numbers, n) }) {
			return
		}
		var again []recordNumber
		if !numbersOf(appendACK(nil, numbers), func(n recordNumber) { again = append(again, n) }) || !slices.Equal(numbers, again) {
			t.Fatalf("%x became %x", numbers, again)
		}
	})
}

// FuzzOpen13 gives records to every kind of record layer; what splits is the
// datagram, piece by piece, and nothing forged opens.
func FuzzOpen13(f *testing.F) {
	a, _ := records13Pair(f, &suites13[0], epochTraffic)
	f.Add(foreign13(a.seal, 0, ContentApplicationData, []byte("x"), true, true, 3))
	f.Add(foreign13(a.seal, 1, ContentHandshake, newMessage(typeKeyUpdate, 0, []byte{0}).raw, false, false, 0))
	f.Add(plainRecord(ContentAlert, []byte{2, 40}))
	f.Fuzz(func(t *testing.T, b []byte) {
		var all []byte
		rest := b
		for len(rest) > 0 {
			rec, more, ok := SplitRecord(rest)
			if !ok {
				break
			}
			all = append(all, rec...)
			rest = more
			for i := range suites13 {
				_, r := records13Pair(t, &suites13[i], epochTraffic)
				r.Owns(rec)
				Epoch(rec)
				n, typ, err := r.Open(make([]byte, len(rec)), rec)
				if err == nil && (n > len(rec) || typ == 0) {
					t.Fatal(n, typ)
				}
			}
		}
		if !bytes.Equal(append(all, rest...), b) {
			t.Fatal("a byte is lost")
		}
	})
}

func FuzzSpans(f *testing.F) {
	f.Add([]byte{0, 4, 2, 9, 20, 22, 22, 30, 10, 20, 0, 0})
	f.Fuzz(func(t *testing.T, b []byte) {
		var s spans
		var want [256]bool
		for ; len(b) >= 2; b = b[2:] {
			from, to := int(min(b[0], b[1])), int(max(b[0], b[1]))
			if from == to {
				continue
			}
			s.add(from, to)
			for i := from; i < to; i++ {
				want[i] = true
			}
		}
		for off := 0; off < 256; {
			from, to := s.gap(off, 256)
			for i := off; i < from; i++ {
				if !want[i] {
					t.Fatalf("%v: %d is not there", s, i)
				}
			}
			for i := from; i < to; i++ {
				if want[i] {
					t.Fatalf("%v: %d is there", s, i)
				}
			}
			if off = to; from == 256 {
				break
			}
		}
	})
}

func FuzzFragment(f *testing.F) {
	f.Add(newMessage(1, 2, []byte("body")).raw)
	f.Fuzz(func(t *testing.T, b []byte) {
		frag, rest, ok := parseFragment(b)
		if ok && !bytes.Equal(append(appendFragment(nil, frag), rest...), b) {
			t.Fatal("append is not the inverse of parse")
		}
	})
}

func FuzzFingerprint(f *testing.F) {
	f.Add(fps(testCerts["client"])[0].String())
	f.Add("sha-512 00")
	f.Fuzz(func(t *testing.T, s string) {
		fp, err := ParseFingerprint(s)
		if err != nil {
			return
		}
		again, err := ParseFingerprint(fp.String())
		if err != nil || !reflect.DeepEqual(fp, again) {
			t.Fatalf("%v became %v", fp, again)
		}
	})
}

func FuzzReassembly(f *testing.F) {
	f.Add([]byte{1, 0, 4, 0, 4, 1, 1, 4, 2, 2})
	f.Fuzz(func(t *testing.T, b []byte) {
		var a reassembler
		for len(b) >= 5 {
			frag := fragment{typ: b[0] & 3, seq: a.next + uint16(b[1]) - 2, length: int(b[2]) << (b[0] >> 4)}
			frag.offset = min(frag.length, int(b[3]))
			frag.body = make([]byte, min(frag.length-frag.offset, int(b[4])))
			a.add(uint16(b[0]>>2&1), frag)
			if m, ok := a.peek(0); ok {
				if len(m.body()) > maxMessage {
					t.Fatal("message longer than allowed")
				}
				a.pop()
			}
			if a.bytes < 0 || a.bytes > maxReassembly {
				t.Fatalf("%d bytes", a.bytes)
			}
			b = b[5:]
		}
	})
}

// FuzzConnection lets the input decide what becomes of each datagram between a
// client and a server: delivered, dropped, repeated, cut, or changed.
func FuzzConnection(f *testing.F) {
	f.Add([]byte{}, uint64(1))
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11}, uint64(2))
	f.Add(bytes.Repeat([]byte{4, 200, 17}, 20), uint64(3))
	f.Fuzz(func(t *testing.T, script []byte, seed uint64) {
		version := VersionDTLS12
		if seed&2 == 0 {
			version = VersionDTLS13
		}
		w := newWorldOf(t, seed, version, func(c, s *Config) {
			c.Groups, s.Groups = []Group{groups[seed>>3&1], GroupP256}, []Group{GroupP256}
			c.MTU, s.MTU = 256+int(seed%1000), 256+int(seed/7%1000)
			s.HelloVerify = seed&1 == 1
		})
		rng := rand.New(rand.NewPCG(seed, 4))
		next := func() (v byte) {
			if len(script) > 0 {
				v, script = script[0], script[1:]
			}
			return v
		}
		w.filter = func(to *end, b []byte) bool {
			if len(script) == 0 || len(b) == 0 {
				return true
			}
			switch next() % 8 {
			case 1:
				return false
			case 2:
				w.flying = append(w.flying, wire{w.now + 1, to, append([]byte(nil), b...)})
			case 3:
				to.receive(w.now, b[:int(next())%len(b)])
				return false
			case 4, 5:
				c := append([]byte(nil), b...)
				for n := 1 + next()%4; n > 0; n-- {
					c[(int(next())<<3|int(next()))%len(c)] ^= next()
				}
				to.receive(w.now, c)
				return next()&1 == 0
			case 6:
				w.now = w.now.Add(time.Duration(rng.IntN(300)) * time.Millisecond)
			case 7:
				w.peer(to).receive(w.now, b) // reflected
			}
			return true
		}
		w.start()
		for i := 0; i < 400 && !w.bothConnected(); i++ {
			if !w.step() {
				break
			}
		}
		for _, e := range []*end{w.client, w.server} {
			if e.connected() && !e.verified {
				t.Fatal("connected without verification")
			}
		}
		if w.bothConnected() && w.client.closedErr() == nil && w.server.closedErr() == nil {
			w.settle()
			w.checkSecrets()
			w.checkData()
		}
	})
}
