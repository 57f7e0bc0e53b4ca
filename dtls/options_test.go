package dtls

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"fmt"
	"testing"
	"time"
)

// both runs a test in DTLS 1.2 and 1.3.
func both(t *testing.T, f func(t *testing.T, version uint16)) {
	for name, v := range map[string]uint16{"1.2": VersionDTLS12, "1.3": VersionDTLS13} {
		t.Run(name, func(t *testing.T) { f(t, v) })
	}
}

func TestALPN(t *testing.T) {
	for _, tc := range []struct {
		client, server []string
		want           string
		alert          Alert
	}{
		{[]string{ALPNWebRTC, ALPNConfidential}, []string{ALPNConfidential, ALPNWebRTC}, "c-webrtc", 0},
		{[]string{ALPNWebRTC}, []string{ALPNWebRTC}, "webrtc", 0},
		{[]string{ALPNWebRTC}, nil, "", 0},
		{nil, []string{ALPNWebRTC}, "", 0},
		{[]string{ALPNWebRTC}, []string{ALPNConfidential}, "", AlertNoApplicationProtocol},
	} {
		both(t, func(t *testing.T, v uint16) {
			w := newWorldOf(t, 1, v, func(c, s *Config) { c.ALPN, s.ALPN = tc.client, tc.server })
			if tc.alert != 0 {
				w.start()
				w.run(10*time.Second, nil)
				if !isAlert(w.server.closedErr(), tc.alert, true) || !isAlert(w.client.closedErr(), tc.alert, false) {
					t.Fatal(w.client.events, w.server.events)
				}
				return
			}
			w.handshake()
			if c, s := w.client.State().ALPN, w.server.State().ALPN; c != tc.want || s != tc.want {
				t.Fatalf("%q, %q, want %q", c, s, tc.want)
			}
		})
	}
}

// Lies about optional extensions, in the message that carries them.
func TestOptionsAreRefused(t *testing.T) {
	full := func(c, s *Config) {
		for _, cfg := range []*Config{c, s} {
			cfg.MTU = 4000
			cfg.ALPN, cfg.RecordSizeLimit = []string{ALPNWebRTC}, 1000
			cfg.ConnectionID, cfg.ReturnRoutability = []byte{1, 2}, true
		}
	}
	bare := func(c, s *Config) { c.MTU, s.MTU = 4000, 4000 }
	for name, tc := range map[string]struct {
		tune    func(c, s *Config)
		change  func(o *options)
		inHello bool // in DTLS 1.3, too
		alert   Alert
	}{
		"ALPN unasked":          {bare, func(o *options) { o.alpn = appendALPN(nil, "webrtc") }, false, AlertUnsupportedExtension},
		"another ALPN":          {full, func(o *options) { o.alpn = appendALPN(nil, "h2") }, false, AlertIllegalParameter},
		"two ALPNs":             {full, func(o *options) { o.alpn = appendALPN(nil, "webrtc", "webrtc") }, false, AlertDecodeError},
		"no ALPN in a list":     {full, func(o *options) { o.alpn = []byte{} }, false, AlertDecodeError},
		"empty ALPN":            {full, func(o *options) { o.alpn = []byte{0} }, false, AlertDecodeError},
		"cut ALPN":              {full, func(o *options) { o.alpn = []byte{4, 'h'} }, false, AlertDecodeError},
		"limit unasked":         {bare, func(o *options) { o.limit = 1000 }, false, AlertUnsupportedExtension},
		"limit of 63":           {full, func(o *options) { o.limit = 63 }, false, AlertIllegalParameter},
		"limit of 0":            {full, func(o *options) { o.limit = -1 }, false, AlertIllegalParameter},
		"connection ID unasked": {bare, func(o *options) { o.id = []byte{1} }, true, AlertUnsupportedExtension},
		"check unasked":         {bare, func(o *options) { o.rrc = true }, true, AlertUnsupportedExtension},
		"check without ID":      {full, func(o *options) { o.id = nil; o.rrc = true }, true, AlertIllegalParameter},
	} {
		both(t, func(t *testing.T, v uint16) {
			w := newWorldOf(t, 1, v, tc.tune)
			w.server.Start(w.now)
			w.client.Start(w.now)
			typ, alert := typeServerHello, tc.alert
			change := func(b []byte) []byte {
				h, ok := parseServerHello(b)
				if !ok {
					t.Fatal("our ServerHello does not parse")
				}
				tc.change(&h.options)
				return h.append(nil)
			}
			if v == VersionDTLS13 && !tc.inHello {
				typ = typeEncryptedExtensions
				change = func(b []byte) []byte {
					m, ok := parseEncryptedExtensions(b)
					if !ok {
						t.Fatal("our EncryptedExtensions do not parse")
					}
					tc.change(&m.options)
					return m.append(nil)
				}
			}
			w.lie(w.server, typ, change)
			if err := w.client.closedErr(); !isAlert(err, alert, true) || w.client.connected() {
				t.Errorf("%s: %v", name, w.client.events)
			}
		})
	}
	// In DTLS 1.3 each has its place (RFC 8446 §4.2).
	for name, o := range map[string]options{
		"ALPN in the clear":  {alpn: appendALPN(nil, "webrtc")},
		"limit in the clear": {limit: 1000},
	} {
		w := newWorldOf(t, 1, VersionDTLS13, full)
		w.server.Start(w.now)
		w.client.Start(w.now)
		w.lie(w.server, typeServerHello, func(b []byte) []byte {
			h, _ := parseServerHello(b)
			h.options = o
			return h.append(nil)
		})
		if !isAlert(w.client.closedErr(), AlertIllegalParameter, true) {
			t.Errorf("%s: %v", name, w.client.events)
		}
	}
	for name, raw := range map[string][]byte{
		"connection ID, sealed": {0, 6, 0, 54, 0, 2, 1, 1},
		"check, sealed":         {0, 4, 0, 61, 0, 0},
	} {
		w := newWorldOf(t, 1, VersionDTLS13, full)
		w.server.Start(w.now)
		w.client.Start(w.now)
		w.lie(w.server, typeEncryptedExtensions, func([]byte) []byte { return raw })
		if !isAlert(w.client.closedErr(), AlertIllegalParameter, true) {
			t.Errorf("%s: %v", name, w.client.events)
		}
	}
}

// What a client's hello may not say of them.
func TestServerRefusesOptionsOfHello(t *testing.T) {
	for name, tc := range map[string]struct {
		o     options
		alert Alert // 0: the hello does not parse and is dropped
	}{
		"limit of 63":   {options{limit: 63}, AlertIllegalParameter},
		"limit of 0":    {options{limit: -1}, AlertIllegalParameter},
		"empty list":    {options{alpn: []byte{}}, 0},
		"empty name":    {options{alpn: []byte{1, 'a', 0}}, 0},
		"name cut":      {options{alpn: []byte{3, 'a'}}, 0},
		"name in front": {options{alpn: []byte{1, 'a', 200}}, 0},
	} {
		both(t, func(t *testing.T, v uint16) {
			w := newWorldOf(t, 1, v, func(c, s *Config) { s.ALPN = []string{ALPNWebRTC} })
			w.server.Start(w.now)
			w.client.Start(w.now)
			c := w.client.Conn
			c.hs.hello.options = tc.o
			c.hs.seq, c.hs.transcript = 0, nil
			c.send(w.now, c.hs.say(typeClientHello, c.hs.hello.append(nil)))
			w.flush()
			w.run(5*time.Second, nil)
			if tc.alert != 0 && !isAlert(w.server.closedErr(), tc.alert, true) ||
				tc.alert == 0 && (w.server.closedErr() != nil || w.server.Stats().Malformed == 0) {
				t.Errorf("%s: %v, %+v", name, w.server.events, w.server.Stats())
			}
		})
	}
}

func TestRecordSizeLimitIsKept(t *testing.T) {
	for _, limit := range []int{64, 65, 500, 16384} {
		both(t, func(t *testing.T, v uint16) {
			w := newWorldOf(t, 1, v, func(c, s *Config) { c.RecordSizeLimit = limit })
			longest := 0
			w.sent = func(from *end, b []byte) {
				for rec, rest, ok := SplitRecord(b); ok; rec, rest, ok = SplitRecord(rest) {
					if from == w.server && Epoch(rec) != 0 {
						overhead := headerLen + nonceLen + tagLen
						if v == VersionDTLS13 {
							overhead = headerLen13 + tagLen // the type counts
						}
						longest = max(longest, len(rec)-overhead)
					}
				}
			}
			w.handshake()
			w.settle()
			w.checkData()
			if longest > limit {
				t.Errorf("a record of %d bytes, limit %d", longest, limit)
			}
			want := limit
			if v == VersionDTLS13 {
				want--
			}
			if got := w.server.rec.MaxPlaintext(); got != want {
				t.Errorf("MaxPlaintext %d, want %d", got, want)
			}
			buf := make([]byte, 1<<15)
			if _, err := w.server.rec.Seal(buf, make([]byte, want+1)); err != ErrTooLong {
				t.Error("sealed beyond the limit:", err)
			}
			// A peer that does not keep it: dropped (RFC 8449 §4).
			w.server.rec.maxSeal = maxFragment + 1
			if limit < 16000 {
				n, err := w.server.rec.Seal(buf, make([]byte, want+1))
				if err != nil {
					t.Fatal(err)
				}
				if _, _, err := w.client.rec.Open(make([]byte, 1<<15), buf[:n]); err != ErrRecord {
					t.Error("opened beyond the limit:", err)
				}
			}
			if got := w.client.rec.MaxPlaintext(); got < maxFragment-1 {
				t.Errorf("the client is limited to %d", got)
			}
		})
	}
}

func TestPaddingHidesLengths(t *testing.T) {
	for _, id := range [][]byte{nil, {1, 2, 3}} {
		both(t, func(t *testing.T, v uint16) {
			w := newWorldOf(t, 1, v, func(c, s *Config) {
				c.PadTo, s.PadTo, c.MTU, s.MTU = 128, 128, 1000, 1000
				c.ConnectionID, s.ConnectionID = id, id
			})
			w.handshake()
			for _, n := range w.sizes {
				if n > 1000 {
					t.Fatalf("datagram of %d bytes", n)
				}
			}
			w.settle()
			w.checkData()
			r := w.client.rec
			for n := 0; n < 1100; n++ {
				buf := make([]byte, 2000)
				k, err := r.Seal(buf, bytes.Repeat([]byte{7}, n))
				if err != nil {
					t.Fatal(err)
				}
				want := (n + 127) / 128 * 128
				switch {
				case v == VersionDTLS12 && id == nil:
					want = n
				case want+r.Overhead() > 1000:
					want = max(n, 1000-r.Overhead())
				}
				if k != want+r.Overhead() {
					t.Fatalf("%d bytes became %d, want %d", n, k, want+r.Overhead())
				}
				got, typ, err := w.server.rec.Open(make([]byte, 2000), buf[:k])
				if err != nil || typ != ContentApplicationData || got != n {
					t.Fatal(n, got, typ, err)
				}
			}
			// Without room there is no padding.
			if k, err := r.Seal(make([]byte, 5+r.Overhead()), make([]byte, 5)); err != nil || k != 5+r.Overhead() {
				t.Fatal(k, err)
			}
		})
	}
}

func TestConnectionIDsInEveryDirection(t *testing.T) {
	long := bytes.Repeat([]byte{9}, maxConnectionID)
	for _, tc := range []struct{ client, server []byte }{
		{[]byte("client"), []byte("srv")}, {[]byte{}, []byte("srv")}, {[]byte("client"), []byte{}}, {[]byte{}, []byte{}}, {long, long},
		{nil, []byte("srv")}, {[]byte("client"), nil},
	} {
		for _, v := range []uint16{VersionDTLS12, VersionDTLS13} {
			{
				t.Run(fmt.Sprintf("%x/%d,%d", v, len(tc.client), len(tc.server)), func(t *testing.T) {
					w := newWorldOf(t, 3, v, func(c, s *Config) {
						c.ConnectionID, s.ConnectionID = tc.client, tc.server
						c.MTU, s.MTU = 300, 300
					})
					w.loss, w.dup, w.jitter = 0.1, 0.2, 30*time.Millisecond
					agreed := tc.client != nil && tc.server != nil
					w.sent = func(from *end, b []byte) {
						id := tc.server
						if from == w.server {
							id = tc.client
						}
						for rec, rest, ok := SplitRecordCID(b, len(id)); ok; rec, rest, ok = SplitRecordCID(rest, len(id)) {
							got, has := RecordCID(rec, len(id))
							if sealed := Epoch(rec) != 0; has != (sealed && agreed && len(id) > 0) || has && !bytes.Equal(got, id) {
								t.Errorf("record %x from %s: ID %x %v", rec[:min(len(rec), 30)], from.name, got, has)
							}
						}
						if len(b) > 300 {
							t.Errorf("datagram of %d bytes", len(b))
						}
					}
					w.handshake()
					w.settle()
					w.loss = 0
					w.checkSecrets()
					w.checkData()
					w.client.Close(w.now)
					w.flush()
					w.settle()
					if w.server.closedErr() != ErrCloseNotify {
						t.Error(w.server.events)
					}
				})
			}
		}
	}
}

// The additional data and the layout of RFC 9146 §4 and §5.3, put together here by
// hand and sealed by the standard library.
func TestConnectionIDRecordOfRFC9146(t *testing.T) {
	key, iv := []byte("0123456789abcdef"), []byte("wxyz")
	r, err := newRecords12(false, key, key, iv, iv)
	if err != nil {
		t.Fatal(err)
	}
	id := []byte{0xc1, 0xd0, 0x01}
	r.UseConnectionID(id)
	r.ids.accept(id)
	r.seal.next = 0x0102
	msg := []byte("attack at dawn")
	buf := make([]byte, 200)
	n, err := r.Seal(buf, msg)
	if err != nil {
		t.Fatal(err)
	}
	block, _ := aes.NewCipher(key)
	gcm, _ := cipher.NewGCM(block)
	number := []byte{0, 1, 0, 0, 0, 0, 1, 2} // epoch, sequence_number
	inner := append(append([]byte{}, msg...), ContentApplicationData)
	aad := bytes.Repeat([]byte{0xff}, 8)
	aad = append(aad, 25, 3, 25, 0xfe, 0xfd)
	aad = append(aad, number...)
	aad = append(aad, id...)
	aad = append(aad, 0, byte(len(inner)))
	want := append([]byte{25, 0xfe, 0xfd}, number...)
	want = append(want, id...)
	want = append(want, 0, byte(8+len(inner)+16))
	want = append(want, number...)
	want = append(want, gcm.Seal(nil, append([]byte("wxyz"), number...), inner, aad)...)
	if !bytes.Equal(buf[:n], want) {
		t.Fatalf("record\n%x, want\n%x", buf[:n], want)
	}
	dst := make([]byte, 200)
	if n, typ, err := r.Open(dst, buf[:n]); err != nil || typ != ContentApplicationData || string(dst[:n]) != string(msg) {
		t.Fatal(n, typ, err)
	}
	if !r.Newest() {
		t.Error("not the newest")
	}
	wrong := bytes.Clone(buf[:len(want)])
	wrong[12]++
	if _, _, err := r.Open(dst, wrong); err != ErrRecord {
		t.Error("another's ID:", err)
	}
	// RFC 9146 §3: without the ID that was negotiated a record is nobody's.
	plain, _ := newRecords12(false, key, key, iv, iv)
	k, _ := plain.Seal(buf, msg)
	if _, _, err := r.Open(dst, buf[:k]); err != ErrRecord {
		t.Error("no ID:", err)
	}
}

func TestConnectionIDRecordsAllocateNothing(t *testing.T) {
	both(t, func(t *testing.T, v uint16) {
		w := newWorldOf(t, 1, v, func(c, s *Config) {
			c.ConnectionID, s.ConnectionID, c.PadTo = []byte("12345678"), []byte("abcdefgh"), 64
		})
		w.handshake()
		w.settle()
		w.checkData()
		msg, buf, dst := make([]byte, 1000), make([]byte, 2000), make([]byte, 2000)
		if n := testing.AllocsPerRun(100, func() {
			n, err := w.client.rec.Seal(buf, msg)
			if err != nil {
				t.Fatal(err)
			}
			if _, _, err := w.server.rec.Open(dst, buf[:n]); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v allocations", n)
		}
	})
}
