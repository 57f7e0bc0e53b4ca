package dtls

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
)

// move exports an end and imports it again, as another process would.
func (w *world) move(e *end) {
	w.t.Helper()
	cfg := e.cfg
	cfg.ConnectionID = nil
	handed := e.rec != nil
	state, err := e.Export(w.now)
	if err != nil {
		w.t.Fatal(err)
	}
	old := e.Conn
	if _, err := old.records.Seal(make([]byte, 200), []byte("x")); err != ErrKeyExhausted {
		w.t.Fatal("what was exported still seals:", err)
	}
	if n := old.Transmit(w.now, make([]byte, 2000)); n != 0 {
		w.t.Fatal("what was exported still sends")
	}
	if ev, ok := lastEvent(old); !ok || ev.Err != ErrExported {
		w.t.Fatal("event", ev)
	}
	if e.Conn, err = Import(w.now, cfg, state); err != nil {
		w.t.Fatal(err)
	}
	again := e.Conn.appendState(nil, w.now)
	if !bytes.Equal(again, state) {
		w.t.Fatalf("state changes:\n%x\n%x", state, again)
	}
	if e.rec = nil; handed {
		e.takeRecords()
	}
}

func lastEvent(c *Conn) (last Closed, ok bool) {
	for ev, more := c.Event(); more; ev, more = c.Event() {
		last, ok = ev.(Closed)
	}
	return last, ok
}

func TestAssociationMovesBetweenProcesses(t *testing.T) {
	for _, id := range [][]byte{nil, []byte("12345678")} {
		both(t, func(t *testing.T, v uint16) {
			w := newWorldOf(t, 1, v, func(c, s *Config) {
				c.ConnectionID, s.ConnectionID, c.ALPN, s.ALPN = id, id, []string{"webrtc"}, []string{"webrtc"}
				c.RecordSizeLimit = 2000
			})
			w.handshake()
			w.settle()
			want, _ := w.client.ExportKeyingMaterial("EXPORTER-x", nil, 32)
			state := w.server.State()
			for range 3 {
				w.checkData()
				w.move(w.server)
				w.checkData()
				w.move(w.client)
				if v == VersionDTLS13 {
					epoch := w.client.rec.seal.epoch
					w.client.UpdateKeys(w.now, true)
					w.flush()
					w.move(w.client) // while the update is under way
					w.move(w.server)
					w.flush()
					w.run(2*time.Second, nil)
					if w.client.rec.seal.epoch != epoch+1 || w.server.rec.seal.epoch != epoch+1 {
						t.Fatal(w.client.rec.seal.epoch, w.server.rec.seal.epoch)
					}
				}
			}
			w.checkSecrets()
			got, err := w.server.ExportKeyingMaterial("EXPORTER-x", nil, 32)
			if err != nil || !bytes.Equal(got, want) {
				t.Fatal(err)
			}
			now := w.server.State()
			if now.ALPN != state.ALPN || now.Group != state.Group || now.SRTPProfile != state.SRTPProfile ||
				now.SignatureScheme != state.SignatureScheme || !bytes.Equal(now.PeerCertificates[0], state.PeerCertificates[0]) {
				t.Fatal(now)
			}
			w.client.Close(w.now)
			w.flush()
			w.settle()
			if w.server.closedErr() != ErrCloseNotify {
				t.Fatal(w.server.events)
			}
		})
	}
}

// The peer may still need our last flight, wherever we are by then.
func TestLastFlightMovesToo(t *testing.T) {
	both(t, func(t *testing.T, v uint16) {
		for seed := uint64(0); seed < 50; seed++ {
			w := newWorldOf(t, seed, v, nil)
			w.loss = 0.3
			moved := 0
			w.start()
			w.run(time.Minute, func() bool {
				for _, e := range []*end{w.client, w.server} {
					if e.connected() && e.rec == nil && moved < 4 {
						moved++
						w.move(e)
						w.flush()
					}
				}
				return w.bothConnected() && moved >= 2
			})
			w.loss = 0
			w.run(20*time.Second, nil)
			if !w.bothConnected() {
				t.Fatalf("seed %d: %v, %v", seed, w.client.events, w.server.events)
			}
			w.checkData()
		}
	})
}

// Class 2: neither a sequence number nor what was received before is used again.
func TestClass02_MovedAssociationRepeatsNoNonce(t *testing.T) {
	both(t, func(t *testing.T, v uint16) {
		w := newWorldOf(t, 1, v, nil)
		w.handshake()
		w.settle()
		w.checkData()
		buf := make([]byte, 200)
		n, _ := w.client.rec.Seal(buf, []byte("once"))
		w.server.receive(w.now, buf[:n])
		next := w.client.rec.seal.next
		w.move(w.client)
		w.move(w.server)
		if w.client.rec.seal.next != next {
			t.Fatal("sequence numbers start again")
		}
		if _, _, err := w.server.rec.Open(make([]byte, 200), buf[:n]); err != ErrReplay {
			t.Fatal("replayed after the move:", err)
		}
	})
}

func TestStateIsChecked(t *testing.T) {
	both(t, func(t *testing.T, v uint16) {
		w := newWorldOf(t, 1, v, nil)
		if _, err := w.client.Export(w.now); err != ErrNotConnected {
			t.Fatal(err)
		}
		w.handshake()
		w.settle()
		cfg := w.client.cfg
		state, _ := w.client.Export(w.now)
		for n := range state {
			if _, err := Import(w.now, cfg, state[:n]); !errors.Is(err, ErrState) {
				t.Fatalf("%d of %d bytes: %v", n, len(state), err)
			}
		}
		if _, err := Import(w.now, cfg, append(bytes.Clone(state), 0)); !errors.Is(err, ErrState) {
			t.Fatal("trailing byte:", err)
		}
		other := cfg
		other.Role = Server
		if _, err := Import(w.now, other, state); !errors.Is(err, ErrState) {
			t.Fatal("other role:", err)
		}
		other = cfg
		other.RemoteFingerprints = fps(testCerts["other"])
		if _, err := Import(w.now, other, state); !errors.Is(err, ErrFingerprint) {
			t.Fatal("other fingerprint:", err)
		}
		other.RemoteFingerprints, other.AwaitFingerprints = nil, true
		if _, err := Import(w.now, other, state); !errors.Is(err, ErrState) {
			t.Fatal("no fingerprint:", err)
		}
	})
}

func FuzzState(f *testing.F) {
	var cfgs []Config
	for _, v := range []uint16{VersionDTLS12, VersionDTLS13} {
		w := newWorldOf(&testing.T{}, 1, v, func(c, s *Config) { c.ConnectionID, s.ConnectionID = []byte{1}, []byte{2} })
		w.handshake()
		for _, e := range []*end{w.client, w.server} {
			cfg := e.cfg
			cfg.ConnectionID = nil
			cfg.RemoteFingerprints, cfg.VerifyPeer = nil, func([]byte) error { return nil }
			cfgs = append(cfgs, cfg)
			state, err := e.Export(w.now)
			if err != nil {
				f.Fatal(err)
			}
			f.Add(state)
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, cfg := range cfgs[:2] {
			const now = mono.Time(5e9)
			c, err := Import(now, cfg, b)
			if err != nil {
				continue
			}
			state := c.appendState(nil, now)
			again, err := Import(now, cfg, state)
			if err != nil || !bytes.Equal(again.appendState(nil, now), state) {
				t.Fatal("a state that was accepted is not", err)
			}
			buf := make([]byte, 2000)
			for c.Transmit(now, buf) > 0 {
			}
			c.HandleTimeout(now + 10e9)
			c.HandlePacket(now, b)
		}
	})
}
