package interop

import (
	"bytes"
	"encoding/binary"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/sluicertc/sluice/sctp"
	"github.com/sluicertc/sluice/sctp/sctpnet"
)

// lossyConn drops one datagram of each n that leave, by a seed; 0: none.
type lossyConn struct {
	net.PacketConn
	mu  sync.Mutex
	rng *rand.Rand
	n   int
}

func (l *lossyConn) WriteTo(b []byte, to net.Addr) (int, error) {
	l.mu.Lock()
	lose := l.n > 0 && l.rng.IntN(l.n) == 0
	l.mu.Unlock()
	if lose {
		return len(b), nil
	}
	return l.PacketConn.WriteTo(b, to)
}

// sctpEndpoint is ours, on a UDP port of the loopback network.
func sctpEndpoint(t *testing.T, cfg sctp.Config, loss int) *sctpnet.Endpoint {
	t.Helper()
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	cfg.MaxSendMessageSize = 64 << 20
	e, err := sctpnet.New(&lossyConn{PacketConn: pc, n: loss, rng: rand.New(rand.NewPCG(1, 2))}, sctpnet.Config{SCTP: cfg, CloseTimeout: patience})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close() })
	return e
}

func sctpStream(t *testing.T, c *sctpnet.Conn, id uint16) *sctpnet.Stream {
	t.Helper()
	s, err := c.Stream(id)
	if err == nil {
		err = s.SetDeadline(time.Now().Add(patience))
	}
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sctpNumbered is a message which tells its number.
func sctpNumbered(n, size int) []byte {
	b := bytes.Repeat([]byte{byte(n)}, max(size, 4))
	binary.BigEndian.PutUint32(b, uint32(n))
	return b
}

// sctpEchoes sends messages of all sizes on many streams, in order and not,
// and wants each back once.
func sctpEchoes(t *testing.T, c *sctpnet.Conn) {
	t.Helper()
	sizes := []int{4, 100, 1100, 1200, 5000, 64 << 10, 200 << 10}
	const each = 21
	var wg sync.WaitGroup
	for id := range uint16(10) {
		s := sctpStream(t, c, id)
		unordered := id&1 == 1
		wg.Go(func() {
			for n := range each {
				m := sctpnet.Message{PPID: uint32(51 + n%2*2), Unordered: unordered, Data: sctpNumbered(n, sizes[n%len(sizes)])}
				if _, err := s.WriteMessage(m, sctp.SendOptions{}); err != nil {
					t.Error(err)
					return
				}
			}
		})
		wg.Go(func() {
			buf, seen := make([]byte, 256<<10), map[int]bool{}
			for i := range each {
				m, err := s.ReadMessage(buf)
				if err != nil {
					t.Errorf("stream %d: after %d messages: %v", id, i, err)
					return
				}
				n := int(binary.BigEndian.Uint32(m.Data))
				if n >= each || seen[n] || (!unordered && n != i) || m.Unordered != unordered || m.PPID != uint32(51+n%2*2) ||
					!bytes.Equal(m.Data, sctpNumbered(n, sizes[n%len(sizes)])) {
					t.Errorf("stream %d: message %d (at %d) twice, altered or out of order: PPID %d, unordered %v", id, n, i, m.PPID, m.Unordered)
					return
				}
				seen[n] = true
			}
		})
	}
	wg.Wait()
}

// sctpPartial sends messages which need not arrive, and one which must. A stream
// is either ordered or not: usrsctp 0.9.5 takes an unordered message which is
// skipped by I-FORWARD-TSN for an ordered one.
func sctpPartial(t *testing.T, c *sctpnet.Conn, loss bool) {
	t.Helper()
	for id, opt := range map[uint16]sctp.SendOptions{
		20: {Reliability: sctp.Rexmit}, 21: {Reliability: sctp.Timed, Value: 1, Unordered: true},
	} {
		s := sctpStream(t, c, id)
		const count = 300
		for n := range count {
			if _, err := s.WriteMessage(sctpnet.Message{PPID: 53, Data: sctpNumbered(n, 2500)}, opt); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := s.WriteMessage(sctpnet.Message{PPID: 53, Data: sctpNumbered(count, 4)}, sctp.SendOptions{Unordered: opt.Unordered}); err != nil {
			t.Fatal(err)
		}
		buf, last, got := make([]byte, 1<<16), -1, 0
		for last < count {
			m, err := s.ReadMessage(buf)
			if err != nil {
				t.Fatal(err)
			}
			n := int(binary.BigEndian.Uint32(m.Data))
			if !opt.Unordered && n <= last {
				t.Errorf("stream %d: %d after %d", id, n, last)
			}
			last = max(last, n)
			got++
		}
		if !loss && !opt.Unordered && got != count+1 {
			t.Errorf("stream %d: %d messages of %d without loss", id, got, count+1)
		}
	}
	if st := c.Stats(); loss && (st.MessagesAbandoned == 0 || st.ForwardTSNs == 0) {
		t.Errorf("%d abandoned, %d FORWARD TSNs", st.MessagesAbandoned, st.ForwardTSNs)
	}
}

// sctpClosed closes a stream and waits for the peer to do so.
func sctpClosed(t *testing.T, c *sctpnet.Conn, id uint16) {
	t.Helper()
	s := sctpStream(t, c, id)
	s.Close()
	select {
	case <-s.Done():
	case <-time.After(patience):
		t.Fatalf("the peer did not close its side: %+v", c.Stats())
	}
}

// sctpReset closes a stream, which the peer does likewise, and uses its id, or
// another one, afterwards.
func sctpReset(t *testing.T, c *sctpnet.Conn, then uint16) {
	t.Helper()
	sctpClosed(t, c, 3)
	s := sctpStream(t, c, then)
	for n := range 3 {
		if _, err := s.WriteMessage(sctpnet.Message{PPID: 51, Data: sctpNumbered(n, 100)}, sctp.SendOptions{}); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 200)
		if m, err := s.ReadMessage(buf); err != nil || !bytes.Equal(m.Data, sctpNumbered(n, 100)) {
			t.Fatalf("message %d after the reset: %v", n, err)
		}
	}
}

// sctpLarge sends one message of 10 MiB in parts, and wants it back.
func sctpLarge(t *testing.T, c *sctpnet.Conn, size int) {
	t.Helper()
	s := sctpStream(t, c, 30)
	s.ReadParts(true)
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(i * 31 >> 7)
	}
	go func() {
		for at := 0; at < size; {
			n := min(40_000, size-at)
			if _, err := s.WriteMessage(sctpnet.Message{PPID: 53, More: at+n < size, Data: data[at : at+n]}, sctp.SendOptions{}); err != nil {
				t.Error(err)
				return
			}
			at += n
		}
	}()
	got := make([]byte, size)
	if n, err := io.ReadFull(s, got); err != nil || !bytes.Equal(got, data) {
		t.Errorf("%d bytes back, %v", n, err)
	}
}

// e2rng is the fate of a peer's datagrams.
func e2rng() *rand.Rand { return rand.New(rand.NewPCG(3, 4)) }

// sctpOrderedEchoes is for peers which send everything back in order.
func sctpOrderedEchoes(t *testing.T, c *sctpnet.Conn) {
	t.Helper()
	sizes := []int{4, 100, 1100, 1200, 5000, 64 << 10, 200 << 10}
	var wg sync.WaitGroup
	for id := range uint16(8) {
		s := sctpStream(t, c, id)
		wg.Go(func() {
			buf := make([]byte, 256<<10)
			for n := range 20 {
				want := sctpNumbered(n, sizes[n%len(sizes)])
				if _, err := s.WriteMessage(sctpnet.Message{PPID: 53, Data: want}, sctp.SendOptions{}); err != nil {
					t.Error(err)
					return
				}
				if m, err := s.ReadMessage(buf); err != nil || m.PPID != 53 || !bytes.Equal(m.Data, want) {
					t.Errorf("stream %d: message %d: %v, PPID %d, %d bytes; %+v", id, n, err, m.PPID, len(m.Data), c.Stats())
					return
				}
			}
		})
	}
	wg.Wait()
}
