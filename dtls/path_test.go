package dtls

import (
	"bytes"
	"net/netip"
	"slices"
	"testing"
	"time"
)

func newIDWorld(t *testing.T, v uint16) *world {
	w := newWorldOf(t, 1, v, func(c, s *Config) {
		c.ConnectionID, s.ConnectionID = []byte("cccc"), []byte("ssss")
		c.ReturnRoutability, s.ReturnRoutability = true, true
	})
	w.handshake()
	w.settle()
	return w
}

func (e *end) find(want Event) bool {
	return slices.ContainsFunc(e.events, func(ev Event) bool {
		a, ok := ev.(PathChecked)
		return ok && a == want
	})
}

var elsewhere = netip.MustParseAddrPort("192.0.2.7:5000")

func TestPathIsCheckedBeforeItIsBelieved(t *testing.T) {
	both(t, func(t *testing.T, v uint16) {
		for _, handed := range []bool{false, true} {
			w := newIDWorld(t, v)
			if handed {
				w.checkData()
			}
			if !w.server.State().ReturnRoutability {
				t.Fatal("not negotiated")
			}
			if err := w.server.CheckPath(w.now, elsewhere); err != nil {
				t.Fatal(err)
			}
			w.flush()
			if w.server.find(PathChecked{elsewhere, true}) {
				t.Fatal("believed before the answer")
			}
			w.settle()
			if !w.server.find(PathChecked{elsewhere, true}) {
				t.Fatal(w.server.events)
			}
		}
	})
}

func TestPathThatIsSilentOrRefusedFails(t *testing.T) {
	both(t, func(t *testing.T, v uint16) {
		w := newIDWorld(t, v)
		w.checkData()
		w.filter = func(to *end, b []byte) bool { return to != w.client }
		begin := w.now
		w.server.CheckPath(w.now, elsewhere)
		w.flush()
		w.run(10*time.Second, func() bool { return w.server.find(PathChecked{elsewhere, false}) })
		if !w.server.find(PathChecked{elsewhere, false}) || w.now.Sub(begin) != maxChallenges*challengeInterval {
			t.Fatal(w.server.events, w.now.Sub(begin))
		}
		// A client which is no longer there says so.
		w.server.events = nil
		w.server.CheckPath(w.now, elsewhere)
		buf := make([]byte, 64)
		n, to := w.server.TransmitPath(w.now, buf)
		if n != pathLen || to != elsewhere || buf[0] != pathChallenge {
			t.Fatal(n, to, buf[:n])
		}
		here := netip.MustParseAddrPort("192.0.2.9:1")
		if err := w.client.HandlePath(w.now, here, false, buf[:n]); err != nil {
			t.Fatal(err)
		}
		n, to = w.client.TransmitPath(w.now, buf)
		if n != pathLen || to != here || buf[0] != pathDrop {
			t.Fatal(n, to, buf[:n])
		}
		w.server.HandlePath(w.now, here, true, buf[:n])
		w.server.drainEvents()
		if !w.server.find(PathChecked{elsewhere, false}) || w.server.Timeout() != 0 {
			t.Fatal(w.server.events)
		}
	})
}

func TestPathMessagesThatAreWrong(t *testing.T) {
	w := newIDWorld(t, VersionDTLS13)
	w.checkData()
	w.server.CheckPath(w.now, elsewhere)
	for _, b := range [][]byte{nil, {pathResponse}, make([]byte, 8), make([]byte, 10)} {
		if err := w.server.HandlePath(w.now, elsewhere, true, b); err != ErrMessage {
			t.Error(b, err)
		}
	}
	guess := append([]byte{pathResponse}, make([]byte, 8)...)
	if err := w.server.HandlePath(w.now, elsewhere, true, guess); err != ErrUnexpected {
		t.Error("a guess:", err)
	}
	if err := w.server.HandlePath(w.now, elsewhere, true, append([]byte{3}, make([]byte, 8)...)); err != ErrUnexpected {
		t.Error("an unknown type:", err)
	}
	for range 100 { // answers are bounded
		w.server.HandlePath(w.now, elsewhere, true, append([]byte{pathChallenge}, make([]byte, 8)...))
	}
	if n := len(w.server.path.out); n > maxPathMessages {
		t.Errorf("%d messages wait", n)
	}
	if w.server.drainEvents(); len(w.server.events) != 1 {
		t.Error(w.server.events)
	}
	// Not negotiated: neither sent nor taken.
	plain := newWorld13(t, 1, nil)
	plain.handshake()
	if err := plain.server.CheckPath(plain.now, elsewhere); err != ErrVersion {
		t.Error(err)
	}
	if err := plain.server.HandlePath(plain.now, elsewhere, true, guess); err != ErrUnexpected {
		t.Error(err)
	}
}

func TestConnectionIDsAreRenewed(t *testing.T) {
	for _, handed := range []bool{false, true} {
		w := newIDWorld(t, VersionDTLS13)
		if handed {
			w.checkData()
		}
		if err := w.client.RequestConnectionIDs(w.now, 3); err != nil {
			t.Fatal(err)
		}
		w.flush()
		w.settle()
		if ev := w.server.events[len(w.server.events)-1]; ev != Event(ConnectionIDsWanted{3}) {
			t.Fatal(w.server.events)
		}
		ids := [][]byte{[]byte("aaaa"), []byte("bbbb"), []byte("dddd")}
		if handed {
			for _, id := range ids {
				w.server.rec.AcceptConnectionID(id)
			}
		}
		if n, err := w.server.OfferConnectionIDs(w.now, false, ids...); n != 3 || err != nil {
			t.Fatal(n, err)
		}
		w.flush()
		w.settle()
		if len(w.client.spare) != 3 {
			t.Fatal(w.client.spare)
		}
		for _, id := range ids { // in the order they were provided (RFC 9147 §9)
			if !w.client.SpareConnectionID() || !bytes.Equal(w.client.State().PeerConnectionID, id) {
				t.Fatal(w.client.State())
			}
			w.client.drainEvents()
			w.checkData()
		}
		if w.client.SpareConnectionID() {
			t.Fatal("a fourth")
		}
		// One that must be used at once; then keys change, and all goes on.
		w.client.rec.AcceptConnectionID([]byte("zzzz"))
		if n, err := w.client.OfferConnectionIDs(w.now, true, []byte("zzzz")); n != 1 || err != nil {
			t.Fatal(n, err)
		}
		w.client.UpdateKeys(w.now, true)
		w.flush()
		w.run(time.Second, nil)
		if !bytes.Equal(w.server.State().PeerConnectionID, []byte("zzzz")) {
			t.Fatal(w.server.State())
		}
		w.checkData()
		if w.client.rec.seal.epoch != 4 || w.server.rec.seal.epoch != 4 {
			t.Fatal(w.client.rec.seal.epoch, w.server.rec.seal.epoch)
		}
		if w.client.closedErr() != nil || w.server.closedErr() != nil {
			t.Fatal(w.client.events, w.server.events)
		}
	}
}

func TestConnectionIDMessagesThatAreWrong(t *testing.T) {
	m := func(typ uint8, body ...byte) message { return newMessage(typ, 0, body) }
	for name, tc := range map[string]struct {
		m     message
		plain bool // where no IDs were negotiated
		alert Alert
	}{
		"request, not negotiated": {m(typeRequestConnectionID, 1), true, AlertUnexpectedMessage},
		"new, not negotiated":     {m(typeNewConnectionID, 0, 2, 1, 7, 1), true, AlertUnexpectedMessage},
		"request, empty":          {m(typeRequestConnectionID), false, AlertDecodeError},
		"request, too long":       {m(typeRequestConnectionID, 1, 1), false, AlertDecodeError},
		"new, empty":              {m(typeNewConnectionID), false, AlertDecodeError},
		"new, cut":                {m(typeNewConnectionID, 0, 2, 2, 7, 1), false, AlertDecodeError},
		"new, trailing":           {m(typeNewConnectionID, 0, 2, 1, 7, 1, 0), false, AlertDecodeError},
		"new, no usage":           {m(typeNewConnectionID, 0, 2, 1, 7), false, AlertDecodeError},
		"new, unknown usage":      {m(typeNewConnectionID, 0, 2, 1, 7, 2), false, AlertIllegalParameter},
		"new, none at once":       {m(typeNewConnectionID, 0, 0, 0), false, AlertIllegalParameter},
	} {
		w := newIDWorld(t, VersionDTLS13)
		if tc.plain {
			w = newWorld13(t, 1, nil)
			w.handshake()
			w.settle()
		}
		w.client.settle(w.client.onPost(tc.m))
		w.client.drainEvents()
		if !isAlert(w.client.closedErr(), tc.alert, true) {
			t.Errorf("%s: %v", name, w.client.events)
		}
	}
	w := newIDWorld(t, VersionDTLS13)
	for range 2 {
		w.client.settle(w.client.onPost(m(typeRequestConnectionID, 200)))
	}
	w.client.drainEvents()
	if !isAlert(w.client.closedErr(), AlertTooManyCIDsRequested, true) {
		t.Error(w.client.events)
	}
	// Spares are bounded.
	w = newIDWorld(t, VersionDTLS13)
	for range 100 {
		w.client.onPost(m(typeNewConnectionID, 0, 4, 1, 7, 1, 8, 1))
	}
	if len(w.client.spare) != maxSpareIDs {
		t.Error(len(w.client.spare))
	}
	w12 := newIDWorld(t, VersionDTLS12)
	if err := w12.client.RequestConnectionIDs(w12.now, 1); err != ErrVersion {
		t.Error(err)
	}
	if _, err := w.client.OfferConnectionIDs(w.now, false, []byte("toolong")); err != ErrParameter {
		t.Error(err)
	}
}

func TestNewestTellsWhatMayMoveThePeer(t *testing.T) {
	both(t, func(t *testing.T, v uint16) {
		w := newIDWorld(t, v)
		w.checkData()
		var recs [][]byte
		for range 3 {
			b := make([]byte, 100)
			n, _ := w.client.rec.Seal(b, []byte("x"))
			recs = append(recs, b[:n])
		}
		for _, tc := range []struct {
			i    int
			want bool
		}{{1, true}, {0, false}, {2, true}} {
			if _, _, err := w.server.rec.Open(make([]byte, 100), recs[tc.i]); err != nil || w.server.rec.Newest() != tc.want {
				t.Error(tc.i, err, w.server.rec.Newest())
			}
		}
	})
}

func TestClass02_KeysAreRenewedBeforeTheirLimit(t *testing.T) {
	w := newWorld13(t, 1, nil)
	w.handshake()
	w.settle()
	w.checkData()
	r := w.client.rec
	r.seal.blocks = maxSealBlocks / 4 * 3
	if r.WantsUpdate() {
		t.Fatal("too early")
	}
	w.checkData()
	if !r.WantsUpdate() {
		t.Fatal("not wanted")
	}
	if err := w.client.HandleRecord(w.now, KeyLimitNear, nil); err != nil {
		t.Fatal(err)
	}
	w.flush()
	if r.WantsUpdate() {
		t.Fatal("wanted while it is under way")
	}
	w.settle()
	w.checkData()
	if r.seal.epoch != 4 || r.seal.blocks > 100 || r.WantsUpdate() {
		t.Fatal(r.seal.epoch, r.seal.blocks)
	}
	// DTLS 1.2 has no such thing: it ends with ErrKeyExhausted.
	w = newWorldOf(t, 1, VersionDTLS12, nil)
	w.handshake()
	w.checkData()
	w.client.rec.seal.blocks = maxSealBlocks
	if _, err := w.client.rec.Seal(make([]byte, 100), []byte("x")); err != ErrKeyExhausted || w.client.rec.WantsUpdate() {
		t.Fatal(err)
	}
	if err := w.client.HandleRecord(w.now, KeyLimitNear, nil); err != ErrVersion {
		t.Fatal(err)
	}
}
