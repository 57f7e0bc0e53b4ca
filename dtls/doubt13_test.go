package dtls

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"
)

// doubtHows are handshakes of DTLS 1.3 whose hellos differ: short ones, ones with
// post-quantum shares that take several datagrams, and ones that must come twice.
var doubtHows = map[string]func(c, s *Config){
	"X25519":      func(c, s *Config) { c.Groups, s.Groups = []Group{GroupX25519}, []Group{GroupX25519} },
	"in pieces":   func(c, s *Config) { c.MTU, s.MTU = 500, 500 },
	"with an ID":  func(c, s *Config) { c.ConnectionID, s.ConnectionID = []byte{1, 2}, []byte{3, 4, 5} },
	"comes twice": func(c, s *Config) { c.Groups, s.Groups = []Group{GroupX25519, GroupP256}, []Group{GroupP256} },
	"has a cookie": func(c, s *Config) {
		c.Groups, s.Groups, s.HelloVerify = []Group{GroupP384}, []Group{GroupP384}, true
	},
}

// serverHelloIn is the fragment of a ServerHello that a datagram begins with, if it is
// none that asks for another hello.
func serverHelloIn(b []byte) (at int, f fragment, ok bool) {
	rec, _, ok := SplitRecordCID(b, 0)
	if !ok || unified(rec) || rec[0] != ContentHandshake {
		return 0, f, false
	}
	f, _, ok = parseFragment(rec[headerLen:])
	retry := f.offset == 0 && len(f.body) > 2+randomLen && [randomLen]byte(f.body[2:]) == retryRandom
	return headerLen + messageHeaderLen, f, ok && f.typ == typeServerHello && !retry
}

// spoilHellos runs a handshake in which spoil may change the datagrams to the client
// that begin with a piece of ServerHello.
func spoilHellos(t *testing.T, how string, spoil func(b []byte, at int, f fragment)) *world {
	w := newWorld13(t, 5, doubtHows[how])
	w.filter = func(to *end, b []byte) bool {
		if at, f, ok := serverHelloIn(b); ok && to == w.client {
			b = slices.Clone(b)
			spoil(b, at, f)
		}
		for range 1 + maxDoubts { // what the network repeats is none of the server's repetitions
			to.receive(w.now, b)
		}
		return false
	}
	w.start()
	w.run(time.Minute, func() bool {
		return w.bothConnected() || w.client.closedErr() != nil && w.server.closedErr() != nil
	})
	return w
}

// A bit of the first ServerHello is flipped on its way, each in turn. What a client
// can take for a ServerHello costs a repetition; what it cannot ends the handshake at
// once, as RFC 8446 demands.
func TestClass36_SpoiltServerHelloIsMendedByItsRepetition(t *testing.T) {
	for how := range doubtHows {
		mended := 0
		for k := 0; ; k += 3 {
			spoilt := false
			w := spoilHellos(t, how, func(b []byte, at int, f fragment) {
				if !spoilt && k >= f.offset && k < f.offset+len(f.body) {
					spoilt = true
					b[at+k-f.offset] ^= 1 << (k % 8)
				}
			})
			if !spoilt {
				break
			}
			took := time.Duration(w.now) - time.Second
			switch err := w.client.closedErr().(type) {
			case nil:
				if mended++; !w.bothConnected() || took > time.Second {
					t.Errorf("%s, byte %d: %v %v after %v", how, k, w.client.events, w.server.events, took)
				}
				w.filter = nil
				w.settle()
				w.checkSecrets()
				w.checkData()
			case *AlertError:
				if !err.Sent || err.Cause == ErrHello || !isAlert(w.server.closedErr(), err.Alert, false) || took > 4*time.Second {
					t.Errorf("%s, byte %d: %v %v after %v", how, k, err, w.server.events, took)
				}
			default:
				t.Errorf("%s, byte %d: %v %v", how, k, err, w.server.events)
			}
		}
		if mended < 10 { // its random at least; of a point not on the curve nothing can be made
			t.Errorf("%s: only %d are mended", how, mended)
		}
	}
}

// The twin: where each repetition is spoilt like the first, and where it was the
// ClientHello that was, no keys are right. Both ends are told, long before their
// patience is over.
func TestClass36_TwinHellosThatStayDifferentEndInAnAlert(t *testing.T) {
	for how := range doubtHows {
		for _, spoilt := range []string{"each ServerHello", "the ClientHello"} {
			t.Run(how+", "+spoilt, func(t *testing.T) {
				var w *world
				if spoilt == "each ServerHello" {
					w = spoilHellos(t, how, func(b []byte, at int, f fragment) {
						if f.offset == 0 {
							b[at+2] ^= 1 // random
						}
					})
				} else {
					w = newWorld13(t, 5, doubtHows[how])
					w.filter = func(to *end, b []byte) bool {
						if f, _, ok := parseFragment(b[headerLen:]); ok && to == w.server && b[0] == ContentHandshake &&
							f.typ == typeClientHello && f.offset == 0 && (f.seq == 1 || how != "comes twice" && how != "has a cookie") {
							b = slices.Clone(b)
							b[headerLen+messageHeaderLen+2] ^= 1
						}
						to.receive(w.now, b)
						return false
					}
					w.start()
					w.run(time.Minute, func() bool { return w.client.closedErr() != nil && w.server.closedErr() != nil })
				}
				if took := time.Duration(w.now) - time.Second; took > 5*time.Second ||
					!errors.Is(w.client.closedErr(), ErrHello) || !isAlert(w.client.closedErr(), AlertBadRecordMAC, true) ||
					!isAlert(w.server.closedErr(), AlertBadRecordMAC, false) {
					t.Errorf("%v %v after %v", w.client.events, w.server.events, took)
				}
			})
		}
	}
}

// forgedServerHello answers the client's hello with keys of nobody's.
func forgedServerHello(t *testing.T, serial byte, o options) []byte {
	_, shares, err := newOffer([]Group{GroupX25519}, keySource{})
	if err != nil {
		t.Fatal(err)
	}
	sh := serverHello{version: VersionDTLS12, suite: AES128_GCM_SHA256, selected: VersionDTLS13, share: shares[0], options: o}
	sh.random[0] = serial
	return plainRecord(ContentHandshake, newMessage(typeServerHello, 0, sh.append(nil)).raw)
}

// Somebody else answers first, and sends what only looks sealed, too.
func TestClass01_V13ForgedServerHelloDoesNotDisplaceTheServers(t *testing.T) {
	for n := range maxBeliefs + 1 {
		for _, when := range []string{"before", "behind"} {
			t.Run(fmt.Sprint(n, " ", when), func(t *testing.T) {
				w := newWorld13(t, 3, doubtHows["X25519"])
				forge := func() {
					for i := range n {
						w.client.HandlePacket(w.now, forgedServerHello(t, byte(i), options{}))
						w.client.HandlePacket(w.now, append([]byte{0x2e, 0, 1, 0, 40}, make([]byte, 40)...))
					}
				}
				w.start()
				if when == "before" {
					forge()
				}
				w.filter = func(to *end, b []byte) bool {
					if at, f, ok := serverHelloIn(b); ok && to == w.client {
						// The flight's other records are lost the first time.
						hello := b[:at+len(f.body)]
						if w.server.Stats().Resent == 0 {
							to.receive(w.now, hello)
							forge()
							return false
						}
					}
					return w.server.Stats().Resent > 0 || to == w.server
				}
				w.run(20*time.Second, w.bothConnected)
				// Who comes first maxBeliefs times keeps the server out.
				if full := n >= maxBeliefs && when == "before"; w.bothConnected() == full {
					t.Fatalf("%v %v", w.client.events, w.server.events)
				} else if !full {
					w.checkData()
				}
				if w.client.doubt != nil && len(w.client.doubt.others) >= maxBeliefs {
					t.Errorf("%d ServerHellos are kept", len(w.client.doubt.others))
				}
			})
		}
	}
}

// What a forged hello says is forgotten with it, and one that is refused changes
// nothing.
func TestClass01_V13ForgedServerHelloLeavesNoTrace(t *testing.T) {
	for name, o := range map[string]options{"possible": {id: []byte{7}}, "refused": {alpn: appendALPN(nil, "x")}} {
		for _, when := range []string{"before", "behind"} {
			w := newWorld13(t, 3, func(c, s *Config) {
				doubtHows["X25519"](c, s)
				c.ConnectionID = []byte{1}
			})
			if name == "refused" && when == "before" {
				continue // it is the answer that the RFC wants
			}
			w.filter = func(to *end, b []byte) bool {
				if at, f, ok := serverHelloIn(b); ok && to == w.client && w.server.Stats().Resent == 0 {
					forged := forgedServerHello(t, 1, o)
					if when == "before" {
						to.receive(w.now, forged)
						to.receive(w.now, b)
						return false
					}
					to.receive(w.now, b[:at+len(f.body)])
					to.receive(w.now, forged)
					return false
				}
				return true
			}
			w.handshake()
			w.checkData()
			c, s := w.client.State(), w.server.State()
			if c.CipherSuite != s.CipherSuite || c.Group != s.Group || c.PeerConnectionID != nil || c.LocalConnectionID != nil {
				t.Errorf("%s %s: %+v", name, when, c)
			}
		}
	}
}

// The keys that are proved are the last word.
func TestServerHelloIsNotDoubtedOnceARecordOpened(t *testing.T) {
	w := newWorld13(t, 3, doubtHows["X25519"])
	w.filter = func(to *end, b []byte) bool {
		if to == w.client && len(b) > 400 { // the first record behind the hello alone
			rec, rest, _ := SplitRecordCID(b, 0)
			next, _, _ := SplitRecordCID(rest, 0)
			to.receive(w.now, b[:len(rec)+len(next)])
			if w.client.hs13.offer != nil || w.client.hs13.hello != nil {
				t.Fatal("it is doubted")
			}
			to.receive(w.now, forgedServerHello(t, 1, options{}))
			if w.client.doubt != nil {
				t.Fatal("another is believed, too")
			}
			to.receive(w.now, rest)
			return false
		}
		return true
	}
	w.handshake()
	w.checkData()
}
