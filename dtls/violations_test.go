package dtls

import (
	"slices"
	"testing"
	"time"

	aead "github.com/sluicertc/sluice/crypto"
)

// sealAny seals what SealAs refuses to.
func sealAny(t *testing.T, r *Records, contentType uint8, msg []byte) []byte {
	t.Helper()
	seq, err := r.seal.spend(len(msg))
	if err != nil {
		t.Fatal(err)
	}
	if r.v13 {
		return foreign13(r.seal, seq, contentType, msg, true, true, 0)
	}
	dst := make([]byte, len(msg)+r.overhead)
	var job [1]aead.GCMJob
	r.sealJob12(&job[0], &slot{key: r.seal, seq: seq}, dst, contentType, msg)
	job[0].Key = r.seal.gcm
	aead.SealBatch(job[:])
	return dst
}

// An authentic record that breaks the protocol ends the association, with the alert
// that its specification names, in either role, before hand-over and after.
func TestSealedViolationsEndTheAssociation(t *testing.T) {
	next := func(e *Conn, typ uint8, length int, body []byte) []byte {
		return appendFragment(nil, fragment{typ: typ, seq: e.in.next, length: length, body: body})
	}
	type tc struct {
		typ   uint8
		msg   func(victim *Conn) []byte
		alert Alert
	}
	raw := func(b ...byte) func(*Conn) []byte { return func(*Conn) []byte { return b } }
	cases := map[string]tc{
		"ChangeCipherSpec":  {ContentChangeCipherSpec, raw(1), AlertUnexpectedMessage},
		"heartbeat":         {24, raw(1, 2, 3), AlertUnexpectedMessage},
		"an unknown type":   {99, raw(1), AlertUnexpectedMessage},
		"no type":           {0, raw(), AlertUnexpectedMessage},
		"an empty alert":    {ContentAlert, raw(), AlertDecodeError},
		"half an alert":     {ContentAlert, raw(2), AlertDecodeError},
		"two alerts":        {ContentAlert, raw(1, 90, 1, 90), AlertDecodeError},
		"half a header":     {ContentHandshake, raw(1, 0, 0, 1), AlertDecodeError},
		"beyond its length": {ContentHandshake, func(c *Conn) []byte { return next(c, typeKeyUpdate, 1, []byte{0, 0}) }, AlertDecodeError},
		"a certificate":     {ContentHandshake, func(c *Conn) []byte { return next(c, typeCertificate, 1, []byte{0}) }, AlertUnexpectedMessage},
		"a message of 99":   {ContentHandshake, func(c *Conn) []byte { return next(c, 99, 0, nil) }, AlertUnexpectedMessage},
	}
	only := map[uint16]map[string]tc{
		VersionDTLS12: {
			"alert of level 3": {ContentAlert, raw(3, 40), AlertIllegalParameter},
			"ACK":              {ContentACK, raw(0, 0), AlertUnexpectedMessage},
		},
		VersionDTLS13: {
			"no handshake message": {ContentHandshake, raw(), AlertDecodeError},
			"an empty ACK":         {ContentACK, raw(), AlertDecodeError},
			"an ACK cut short":     {ContentACK, raw(0, 16, 0), AlertDecodeError},
			"an ACK with more":     {ContentACK, raw(0, 0, 1), AlertDecodeError},
			"an ACK of a part":     {ContentACK, raw(0, 1, 0), AlertDecodeError},
			"too long a content":   {ContentApplicationData, raw(make([]byte, maxFragment+1)...), AlertRecordOverflow},
			"too long a message":   {ContentHandshake, func(c *Conn) []byte { return next(c, typeNewSessionTicket, 1<<20, make([]byte, 9)) }, AlertIllegalParameter},
			"fragments of two lengths": {ContentHandshake, func(c *Conn) []byte {
				return append(next(c, typeKeyUpdate, 9, []byte{0}), next(c, typeKeyUpdate, 8, []byte{0})...)
			}, AlertIllegalParameter},
			"fragments of two types": {ContentHandshake, func(c *Conn) []byte {
				return append(next(c, typeKeyUpdate, 9, []byte{0}), next(c, 99, 9, []byte{0})...)
			}, AlertIllegalParameter},
			"a KeyUpdate of 2":       {ContentHandshake, func(c *Conn) []byte { return next(c, typeKeyUpdate, 1, []byte{2}) }, AlertIllegalParameter},
			"a KeyUpdate of 2 bytes": {ContentHandshake, func(c *Conn) []byte { return next(c, typeKeyUpdate, 2, []byte{0, 0}) }, AlertDecodeError},
			"an empty KeyUpdate":     {ContentHandshake, func(c *Conn) []byte { return next(c, typeKeyUpdate, 0, nil) }, AlertDecodeError},
			"a ClientHello":          {ContentHandshake, func(c *Conn) []byte { return next(c, typeClientHello, 1, []byte{0}) }, AlertUnexpectedMessage},
			"a request afterwards":   {ContentHandshake, func(c *Conn) []byte { return next(c, typeCertificateRequest, 1, []byte{0}) }, AlertUnexpectedMessage},
			"more connection IDs":    {ContentHandshake, func(c *Conn) []byte { return next(c, typeNewConnectionID, 3, []byte{0, 0, 0}) }, AlertUnexpectedMessage},
		},
	}
	both(t, func(t *testing.T, v uint16) {
		all := map[string]tc{}
		for _, m := range []map[string]tc{cases, only[v]} {
			for name, c := range m {
				all[name] = c
			}
		}
		for name, c := range all {
			for i := range 4 {
				w := newWorldOf(t, 1, v, nil)
				w.handshake()
				w.settle()
				liar, victim := w.client, w.server
				if i&1 != 0 {
					liar, victim = victim, liar
				}
				if i&2 != 0 {
					w.checkData() // which hands over
				}
				victim.receive(w.now, sealAny(t, liar.records, c.typ, c.msg(victim.Conn)))
				victim.drainEvents()
				if !isAlert(victim.closedErr(), c.alert, true) {
					t.Errorf("%s, %d: %v", name, i, victim.events)
					continue
				}
				for _, b := range victim.transmit(w.now) {
					liar.receive(w.now, b)
				}
				if liar.drainEvents(); !isAlert(liar.closedErr(), c.alert, false) {
					t.Errorf("%s, %d: the liar was told %v", name, i, liar.events)
				}
			}
		}
	})
}

// What the first message in the clear may not be like, once there is a peer: the
// handshake ends. w is stopped when the liar's flight is about to leave.
func TestFragmentsThatDisagreeEndTheHandshake(t *testing.T) {
	both(t, func(t *testing.T, v uint16) {
		for _, byServer := range []bool{true, false} {
			if !byServer && v == VersionDTLS13 {
				continue // its flight is sealed; see above
			}
			for name, tc := range map[string]struct {
				payload func(f fragment) []byte
				alert   Alert
			}{
				"types": {func(f fragment) []byte {
					a, b := f, f
					a.body, b.body, b.typ = f.body[:5], f.body[:5], f.typ+1
					return append(appendFragment(nil, a), appendFragment(nil, b)...)
				}, AlertIllegalParameter},
				"lengths": {func(f fragment) []byte {
					a, b := f, f
					a.body, b.body, b.length = f.body[:5], f.body[:5], f.length+1
					return append(appendFragment(nil, a), appendFragment(nil, b)...)
				}, AlertIllegalParameter},
				"too long": {func(f fragment) []byte {
					f.length, f.body = 1<<20, f.body[:5]
					return appendFragment(nil, f)
				}, AlertIllegalParameter},
				"a header cut":  {func(f fragment) []byte { return appendFragment(nil, f)[:7] }, AlertDecodeError},
				"a body cut":    {func(f fragment) []byte { return appendFragment(nil, f)[:messageHeaderLen+3] }, AlertDecodeError},
				"beyond itself": {func(f fragment) []byte { f.offset = 1; return appendFragment(nil, f) }, AlertDecodeError},
			} {
				w := newWorldOf(t, 1, v, func(c, s *Config) { c.MTU, s.MTU = 4000, 4000 })
				w.start()
				liar, victim := w.server, w.client
				if !byServer {
					liar, victim = victim, liar
				}
				w.run(time.Second, func() bool { return len(liar.out.items) > 0 && liar.out.items[0].raw[0] != typeClientHello })
				f, _, _ := parseFragment(liar.out.items[0].raw)
				w.flying = nil
				victim.receive(w.now, plainRecord(ContentHandshake, tc.payload(f)))
				if victim.drainEvents(); !isAlert(victim.closedErr(), tc.alert, true) || len(victim.transmit(w.now)) == 0 {
					t.Errorf("%s, by the server %v: %v", name, byServer, victim.events)
				}
			}
		}
	})
}

// A server that has accepted no hello answers what cannot be one with an alert, and
// takes the genuine one.
func TestClass01_WrongHelloIsAnsweredAndForgotten(t *testing.T) {
	both(t, func(t *testing.T, v uint16) {
		for _, verify := range []bool{false, true} {
			good := foreignHello(nil)[headerLen+messageHeaderLen:]
			for name, tc := range map[string]struct {
				record []byte
				alert  Alert
			}{
				"a byte more":  {plainRecord(ContentHandshake, newMessage(typeClientHello, 0, append(slices.Clone(good), 0)).raw), AlertDecodeError},
				"a byte less":  {plainRecord(ContentHandshake, newMessage(typeClientHello, 0, good[:len(good)-1]).raw), AlertDecodeError},
				"nothing":      {plainRecord(ContentHandshake, newMessage(typeClientHello, 0, nil).raw), AlertDecodeError},
				"half a frame": {plainRecord(ContentHandshake, newMessage(typeClientHello, 0, good).raw[:9]), AlertDecodeError},
				"ServerHello":  {plainRecord(ContentHandshake, newMessage(typeServerHello, 0, good).raw), AlertUnexpectedMessage},
				"too long":     {plainRecord(ContentHandshake, appendFragment(nil, fragment{typ: typeClientHello, length: 1 << 20, body: good})), AlertIllegalParameter},
			} {
				w := newWorldOf(t, 1, v, func(_, s *Config) { s.HelloVerify = verify })
				w.server.Start(w.now)
				for range 3 {
					w.server.HandlePacket(w.now, tc.record)
					out := w.server.transmit(w.now)
					if len(out) != 1 || len(out[0]) != headerLen+2 || out[0][0] != ContentAlert || Alert(out[0][headerLen+1]) != tc.alert {
						t.Fatalf("%s: %x", name, out)
					}
				}
				w.handshake()
				w.checkData()
			}
		}
	})
}

// A HelloRetryRequest is of DTLS 1.3 and a HelloVerifyRequest of 1.2: no server
// sends the one and goes on with the other (RFC 8446 §4.1.4, RFC 9147 §5.1, §5.3).
func TestVersionOfASecondRoundHolds(t *testing.T) {
	retry := func(w *world) *Conn {
		h := serverHello{version: VersionDTLS12, random: retryRandom, suite: AES128_GCM_SHA256, selected: VersionDTLS13, share: keyShare{group: GroupP384}}
		w.client.receive(w.now, plainRecord(ContentHandshake, newMessage(typeServerHello, 0, h.append(nil)).raw))
		w.client.transmit(w.now)
		return w.client.Conn
	}
	verify := func(w *world, seq uint16) {
		v := helloVerify{version: VersionDTLS10, cookie: []byte{1}}
		w.client.receive(w.now, plainRecord(ContentHandshake, newMessage(typeHelloVerifyRequest, seq, v.append(nil)).raw))
		w.client.transmit(w.now)
	}
	for name, tc := range map[string]struct {
		only13 bool
		play   func(w *world)
		alert  Alert
	}{
		"1.2 after a retry": {false, func(w *world) {
			retry(w)
			h := goodServerHello()
			w.client.receive(w.now, plainRecord(ContentHandshake, newMessage(typeServerHello, 1, h.append(nil)).raw))
		}, AlertIllegalParameter},
		"a cookie of 1.2 after a retry": {false, func(w *world) { retry(w); verify(w, 1) }, AlertUnexpectedMessage},
		"a cookie of 1.2 for 1.3 only":  {true, func(w *world) { verify(w, 0) }, AlertUnexpectedMessage},
		"a second retry":                {false, func(w *world) { retry(w); w.client.receive(w.now, plainRecord(ContentHandshake, secondRetry())) }, AlertUnexpectedMessage},
		"a retry after a cookie of 1.2": {false, func(w *world) { verify(w, 0); w.client.receive(w.now, plainRecord(ContentHandshake, secondRetry())) }, AlertIllegalParameter},
	} {
		w := newWorld13(t, 1, func(c, _ *Config) {
			if tc.only13 {
				c.MinVersion = VersionDTLS13
			}
		})
		w.client.Start(w.now)
		w.client.transmit(w.now)
		tc.play(w)
		if w.client.drainEvents(); !isAlert(w.client.closedErr(), tc.alert, true) {
			t.Errorf("%s: %v", name, w.client.events)
		}
	}
}

func secondRetry() []byte {
	h := serverHello{version: VersionDTLS12, random: retryRandom, suite: AES128_GCM_SHA256, selected: VersionDTLS13, share: keyShare{group: GroupP256}}
	return newMessage(typeServerHello, 1, h.append(nil)).raw
}
