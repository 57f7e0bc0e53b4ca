package dtls

import (
	"bytes"
	"math/rand/v2"
	"reflect"
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
		schemes: offeredSchemes(), profiles: defaultProfiles[:], mki: []byte{}, ems: true, reneg: []byte{},
	}
	fuzzParse(f, func(b []byte) (clientHello, bool) {
		h, ok := parseClientHello(b)
		if ok && len(h.versions) == 0 { // an empty list parses as none
			h.versions = nil
		}
		return h, ok
	}, func(h *clientHello) []byte { return h.append(nil) }, h.append(nil))
}

func FuzzServerHello(f *testing.F) {
	h := serverHello{version: VersionDTLS12, suite: ECDHE_ECDSA_AES128_GCM_SHA256, profile: 7, ems: true, reneg: []byte{}, points: []byte{0}}
	fuzzParse(f, func(b []byte) (serverHello, bool) {
		h, ok := parseServerHello(b)
		h.foreign = false // is not sent
		if h.profile == 0 {
			h.mki = nil
		}
		return h, ok
	}, func(h *serverHello) []byte { return h.append(nil) }, h.append(nil))
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
	m := certificateRequest12{types: []byte{1, 64}, schemes: offeredSchemes(), authorities: []byte{}}
	fuzzParse(f, parseCertificateRequest12, func(m *certificateRequest12) []byte { return m.append(nil) }, m.append(nil))
}

func FuzzCertificateVerify(f *testing.F) {
	m := signed{0x0403, []byte("signature")}
	fuzzParse(f, parseCertificateVerify12, func(m *signed) []byte { return m.append(nil) }, m.append(nil))
}

func FuzzCertificate(f *testing.F) {
	fuzzParse(f, parseCertificate12, func(c *[][]byte) []byte { return appendCertificate12(nil, *c) },
		appendCertificate12(nil, [][]byte{{1, 2, 3}, {4}}))
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
		w := newWorld(t, seed, func(c, s *Config) {
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
