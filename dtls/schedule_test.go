package dtls

import (
	"bytes"
	"encoding/binary"
	"fmt"
	mrand "math/rand/v2"
	"slices"
	"testing"
	"time"
)

// refragment cuts the plaintext handshake messages of a datagram into fragments of
// size bytes, each in a record and a datagram of its own, as a sender with little
// room would.
func refragment(b []byte, size int) (out [][]byte) {
	for len(b) > 0 {
		rec, rest, ok := SplitRecordCID(b, 0)
		if !ok || unified(rec) || rec[0] != ContentHandshake || Epoch(rec) != 0 {
			return append(out, b)
		}
		b = rest
		for payload := rec[headerLen:]; len(payload) > 0; {
			f, more, ok := parseFragment(payload)
			if !ok {
				return append(out, rec)
			}
			payload = more
			body, at := f.body, f.offset
			for first := true; first || len(body) > 0; first = false {
				k := min(size, len(body))
				part := fragment{typ: f.typ, seq: f.seq, length: f.length, offset: at, body: body[:k]}
				piece := append(slices.Clone(rec[:headerLen]), appendFragment(nil, part)...)
				binary.BigEndian.PutUint16(piece[11:], uint16(len(piece)-headerLen))
				out = append(out, piece)
				body, at = body[k:], at+k
			}
		}
	}
	return out
}

// schedule is what a seed makes of a pair and of the network between them.
type schedule struct {
	loss, dup, corrupt float64
	jitter             time.Duration
	fragment           int  // 0: messages are fragmented to the MTU only
	forging            bool // what is in the clear is corrupted, too
	about              string
}

func (s *schedule) tune(rng *mrand.Rand) func(client, server *Config) {
	s.loss, s.dup, s.corrupt = rng.Float64()*0.2, rng.Float64()*0.3, rng.Float64()*0.05
	s.jitter = time.Duration(rng.IntN(60)) * time.Millisecond
	s.forging = rng.IntN(10) == 0
	if rng.IntN(4) == 0 {
		s.fragment = 64 + rng.IntN(400)
		s.loss /= 4 // many datagrams to a flight
	}
	return func(client, server *Config) {
		for _, c := range []*Config{client, server} {
			c.MTU = 256 + rng.IntN(1300)
			if c.MTU < 600 {
				s.loss /= 2
			}
			switch rng.IntN(6) {
			case 0:
				c.Groups = []Group{GroupP256, GroupX25519}
			case 1, 2:
				c.Groups = []Group{GroupX25519, GroupP256}
			}
			if rng.IntN(4) == 0 {
				c.RecordSizeLimit = 64 + rng.IntN(1000)
			}
			if rng.IntN(4) == 0 {
				c.PadTo = rng.IntN(200)
			}
			if rng.IntN(3) == 0 {
				c.ConnectionID = bytes.Repeat([]byte{7}, rng.IntN(9))
			}
			if rng.IntN(4) == 0 {
				c.ALPN = []string{ALPNWebRTC}
			}
			c.MaxVersion = []uint16{VersionDTLS12, VersionDTLS13}[rng.IntN(2)]
		}
		server.HelloVerify = rng.IntN(3) == 0
		s.about = fmt.Sprintf("loss %.2f, MTU %d and %d, fragments %d, versions %x and %x", s.loss, client.MTU, server.MTU,
			s.fragment, client.MaxVersion, server.MaxVersion)
	}
}

// runSchedule shakes hands under a seed and reports whether it came to an end in
// time. Anything but success and exhausted patience is a failure.
func runSchedule(t *testing.T, seed uint64) (connected bool) {
	rng := mrand.New(mrand.NewPCG(seed, 77))
	var s schedule
	w := newWorldOf(t, seed, VersionDTLS13, s.tune(rng))
	w.dup, w.jitter = s.dup, s.jitter+1
	limit := map[*end]int{w.client: w.client.cfg.MTU, w.server: w.server.cfg.MTU}
	w.sent = func(from *end, b []byte) {
		if len(b) > limit[from] {
			t.Errorf("seed %d (%s): a datagram of %d bytes", seed, s.about, len(b))
		}
	}
	w.filter = func(to *end, b []byte) bool {
		pieces := [][]byte{b}
		if s.fragment > 0 && to.rec == nil {
			pieces = refragment(b, s.fragment)
		}
		rng.Shuffle(len(pieces), func(i, j int) { pieces[i], pieces[j] = pieces[j], pieces[i] })
		for _, p := range pieces {
			if rng.Float64() < s.loss {
				continue
			}
			if rng.Float64() < s.corrupt && (s.forging || unified(p) || Epoch(p) != 0) {
				p = slices.Clone(p)
				p[rng.IntN(len(p))] ^= 1 << rng.IntN(8)
			}
			to.receive(w.now, p)
		}
		return false
	}
	w.start()
	w.run(time.Minute, func() bool {
		return w.bothConnected() || w.client.closedErr() != nil && w.server.closedErr() != nil
	})
	if !w.bothConnected() {
		for _, e := range []*end{w.client, w.server} {
			// A flipped bit of a message in the clear ends a handshake with an
			// alert; nothing else does but one side's patience.
			if err := e.closedErr(); err == nil {
				t.Errorf("seed %d (%s): %s hangs: %v", seed, s.about, e.name, e.events)
			} else if !s.forging && err != ErrTimeout && err != ErrCloseNotify {
				t.Errorf("seed %d (%s): %s: %v", seed, s.about, e.name, err)
			}
		}
		return s.forging
	}
	s.loss, s.corrupt = 0, 0
	w.dup = 0
	w.run(time.Second, nil)
	if w.client.closedErr() != nil || w.server.closedErr() != nil {
		t.Errorf("seed %d (%s): closed: %v, %v", seed, s.about, w.client.events, w.server.events)
		return false
	}
	w.filter = nil
	w.checkSecrets()
	w.checkData()
	return true
}

// Ten thousand schedules of losses, repetitions, delays and flipped bits, over all
// that is negotiated: each ends, and nearly all in a connection.
func TestTenThousandSchedules(t *testing.T) {
	seeds := 10_000
	switch {
	case underRace:
		seeds = 300
	case testing.Short():
		seeds = 1000
	}
	const lanes = 4
	failed := make([]int, lanes)
	t.Run("lanes", func(t *testing.T) {
		for lane := range lanes {
			t.Run(fmt.Sprint(lane), func(t *testing.T) {
				t.Parallel()
				for seed := lane; seed < seeds; seed += lanes {
					if !runSchedule(t, uint64(seed)) {
						failed[lane]++
					}
				}
			})
		}
	})
	sum := 0
	for _, n := range failed {
		sum += n
	}
	t.Logf("%d of %d did not connect", sum, seeds)
	if sum > seeds/200 {
		t.Errorf("%d of %d did not connect", sum, seeds)
	}
}

// Any MTU from 256 up is kept to the byte: no datagram is longer, and one is as long
// where a message is longer than it (the ClientHello of DTLS 1.3; in 1.2 from 257 bytes
// on the rest may be too little to begin a message with, see minFragment).
func TestMTUIsUsedToTheByte(t *testing.T) {
	both(t, func(t *testing.T, v uint16) {
		for mtu := minMTU; mtu < 700; mtu += 3 {
			w := newWorldOf(t, 1, v, func(c, s *Config) { c.MTU, s.MTU = mtu, mtu })
			w.handshake()
			w.settle()
			if longest := slices.Max(w.sizes); longest > mtu || longest < mtu && (v == VersionDTLS13 || mtu < 400) {
				t.Errorf("MTU %d: the longest datagram has %d bytes", mtu, longest)
			}
		}
	})
}

func TestCertificateExpires(t *testing.T) {
	c, err := GenerateCertificate(epochStart)
	if err != nil {
		t.Fatal(err)
	}
	if got := c.Expires(); !got.Equal(epochStart.Add(certValidity)) {
		t.Error(got)
	}
}
