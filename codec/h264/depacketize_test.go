package h264

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/sluicertc/sluice/internal/vectors"
)

func TestDepacketize(t *testing.T) {
	for _, c := range []struct {
		name    string
		packets []string // in sequence; "" is one that was lost
		want    string   // Annex B
		err     error    // of the last packet
	}{
		{"single unit", []string{"65 8880"}, "00000001 658880", nil},
		{"STAP-A", []string{"78 0002 6742 0003 68ce3c"}, "00000001 6742 00000001 68ce3c", nil},
		{"FU-A", []string{"7c 85 0102", "7c 05 0304", "7c 45 05"}, "00000001 65 0102030405", nil},
		{"FU-A behind a unit", []string{"61 01", "5c 81 aa", "5c 41 bb"}, "00000001 6101 00000001 41aabb", nil},
		{"middle lost", []string{"67 42", "7c 85 0102", "", "7c 45 05"}, "00000001 6742", ErrLost},
		{"start lost", []string{"7c 05 0102", "7c 45 05"}, "", ErrLost},
		{"end lost", []string{"7c 85 0102", "", "61 ff"}, "00000001 61ff", nil},
		{"end lost, next start", []string{"7c 85 0102", "", "7c 85 03", "7c 45 04"}, "00000001 650304", nil},
		{"start after start", []string{"7c 85 0102", "7c 85 03", "7c 45 04"}, "00000001 650304", nil},
		{"unit amid fragments", []string{"7c 85 0102", "61 ff", "7c 45 04"}, "00000001 61ff", ErrLost},
		{"other type amid fragments", []string{"7c 85 0102", "7c 41 04"}, "", ErrMalformed},
		{"never ends", []string{"61 ff", "7c 85 0102"}, "00000001 61ff", nil},
		{"start and end at once", []string{"7c c5 01"}, "", ErrMalformed},
		{"fragment of nothing", []string{"7c 85"}, "", ErrMalformed},
		{"fragment of an aggregation", []string{"7c 98 01"}, "", ErrMalformed},
		{"fragment of type 0", []string{"7c 80 01"}, "", ErrMalformed},
		{"empty", []string{""}, "", nil},
		{"forbidden bit", []string{"e5 01"}, "", ErrMalformed},
		{"type 0", []string{"60 01"}, "", ErrMalformed},
		{"type 30", []string{"7e 01"}, "", ErrMalformed},
		{"type 31", []string{"7f 01"}, "", ErrMalformed},
		{"STAP-B", []string{"79 0000 0002 6742"}, "", ErrInterleaved},
		{"MTAP16", []string{"7a 0000 0006 00 0000 6742"}, "", ErrInterleaved},
		{"MTAP24", []string{"7b 0000 0007 00 000000 6742"}, "", ErrInterleaved},
		{"FU-B", []string{"7d 85 0000 01"}, "", ErrInterleaved},
		{"STAP-A alone", []string{"78"}, "", ErrMalformed},
		{"STAP-A: length cut", []string{"78 0002 6742 00"}, "", ErrMalformed},
		{"STAP-A: unit beyond the end", []string{"78 0002 6742 0003 68ce"}, "", ErrMalformed},
		{"STAP-A: unit of nothing", []string{"78 0000 0002 6742"}, "", ErrMalformed},
		{"STAP-A within", []string{"78 0005 78 0002 6742"}, "", ErrMalformed},
	} {
		var d Depacketizer
		var b []byte
		var err error
		for i, p := range c.packets {
			if p != "" {
				b, err = d.Append(b, uint16(65534+i), vectors.Hex(t, p))
			}
		}
		b = d.Finish(b)
		if !bytes.Equal(b, vectors.Hex(t, c.want)) || !errors.Is(err, c.err) {
			t.Errorf("%s: %x, %v", c.name, b, err)
		}
		if n := d.Drops.Lost + d.Drops.Malformed + d.Drops.Interleaved; (n > 0) != (c.err != nil) {
			t.Errorf("%s: %+v", c.name, d.Drops)
		}
	}
	var d Depacketizer
	if _, err := d.Append(nil, 1, nil); !errors.Is(err, ErrMalformed) {
		t.Error("no payload:", err)
	}
}

func TestDepacketizeToLengths(t *testing.T) {
	d := Depacketizer{AVCC: true}
	b, _ := d.Append(nil, 1, vectors.Hex(t, "78 0002 6742 0003 68ce3c"))
	b, _ = d.Append(b, 2, vectors.Hex(t, "7c 85 0102"))
	b, err := d.Append(b, 3, vectors.Hex(t, "7c 45 03"))
	if want := vectors.Hex(t, "00000002 6742 00000003 68ce3c 00000004 65010203"); err != nil || !bytes.Equal(b, want) {
		t.Errorf("%x, %v", b, err)
	}
}

// A caller who takes the frame while a unit is open does not get the rest of it.
func TestABufferThatWasTakenAway(t *testing.T) {
	var d Depacketizer
	b, _ := d.Append(nil, 1, vectors.Hex(t, "61 ff"))
	b, _ = d.Append(b, 2, vectors.Hex(t, "7c 85 0102"))
	b, err := d.Append(b[:0], 3, vectors.Hex(t, "7c 45 03"))
	if len(b) != 0 || !errors.Is(err, ErrLost) || d.Drops.Units != 1 {
		t.Errorf("%x, %v, %+v", b, err, d.Drops)
	}
}

func TestFramesAreBounded(t *testing.T) {
	var d Depacketizer
	unit := append([]byte{0x61}, make([]byte, 65000)...)
	fu := append([]byte{0x7c, 0x05}, make([]byte, 65000)...)
	stap := append([]byte{typeSTAPA, 0xfd, 0xe8}, unit[:65000]...)
	for name, next := range map[string]func(i int) []byte{
		"units": func(int) []byte { return unit },
		"STAP":  func(int) []byte { return stap },
		"fragments": func(i int) []byte {
			if i == 0 {
				return []byte{0x7c, 0x85, 1}
			}
			return fu
		},
	} {
		var b []byte
		var err error
		refused := 0
		for i := range 400 {
			if b, err = d.Append(b, uint16(i), next(i)); errors.Is(err, ErrTooLarge) {
				refused++
			}
			if len(b) > MaxFrame {
				t.Fatalf("%s: %d bytes", name, len(b))
			}
		}
		if refused == 0 {
			t.Errorf("%s: nothing was refused", name)
		}
		d.Finish(b)
	}
}

// frameOf makes a frame of lengths out of units.
func frameOf(units ...[]byte) (b []byte) {
	for _, u := range units {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(u))), u...)
	}
	return b
}

func unitOf(header byte, n int) []byte {
	b := bytes.Repeat([]byte{0x5a}, n)
	b[0] = header
	return b
}

// send packetizes a frame and puts it together again.
func send(t testing.TB, p *Packetizer, d *Depacketizer, frame []byte) (b []byte, sizes []int, types []byte) {
	t.Helper()
	p.Start(frame)
	seq := d.seq
	for {
		payload, ok := p.Next(nil)
		if !ok {
			break
		}
		seq++
		var err error
		if b, err = d.Append(b, seq, payload); err != nil {
			t.Fatalf("%x: %v", payload, err)
		}
		sizes, types = append(sizes, len(payload)), append(types, payload[0]&typeMask)
	}
	if !p.Done() {
		t.Fatal("not done at the end")
	}
	return d.Finish(b), sizes, types
}

func TestPacketize(t *testing.T) {
	for _, c := range []struct {
		name  string
		units [][]byte
		sizes []int
		types []byte
	}{
		{"nothing", nil, nil, nil},
		{"one that fits", [][]byte{unitOf(0x41, 100)}, []int{100}, []byte{1}},
		{"parameter sets and a picture", [][]byte{unitOf(0x67, 10), unitOf(0x68, 4), unitOf(0x65, 250)},
			[]int{1 + 12 + 6, 100, 100, 55}, []byte{24, 28, 28, 28}},
		{"two too long for one", [][]byte{unitOf(0x41, 50), unitOf(0x41, 50)}, []int{50, 50}, []byte{1, 1}},
		{"two that just fit", [][]byte{unitOf(0x41, 48), unitOf(0x41, 47)}, []int{100}, []byte{24}},
		{"one byte too long", [][]byte{unitOf(0x41, 101)}, []int{100, 4}, []byte{28, 28}},
	} {
		for _, avcc := range []bool{true, false} {
			p, d := Packetizer{AVCC: avcc, MaxPayload: 100}, Depacketizer{AVCC: avcc}
			frame := frameOf(c.units...)
			if !avcc {
				frame = nil
				for _, u := range c.units {
					frame = append(append(frame, 0, 0, 0, 1), u...)
				}
			}
			got, sizes, types := send(t, &p, &d, frame)
			if !bytes.Equal(got, frame) {
				t.Errorf("%s: %x became %x", c.name, frame, got)
			}
			if len(sizes) != len(c.sizes) || !bytes.Equal(types, c.types) {
				t.Errorf("%s: payloads of %v bytes, types %v", c.name, sizes, types)
			}
			for i, n := range sizes {
				if n != c.sizes[i] {
					t.Errorf("%s: payloads of %v bytes", c.name, sizes)
				}
			}
		}
	}
}

func TestPacketizerSkipsWhatCannotTravel(t *testing.T) {
	p := Packetizer{}
	p.Start(vectors.Hex(t, "aabb 000001 78 0002 6742 000001 e501 00000001 6742 0000 000001 000001 00"))
	b, ok := p.Next(nil)
	if !ok || !bytes.Equal(b, vectors.Hex(t, "6742")) || !p.Done() || p.Skipped != 3 {
		t.Errorf("%x, skipped %d, done %v", b, p.Skipped, p.Done())
	}
	p = Packetizer{AVCC: true}
	p.Start(vectors.Hex(t, "00000002 6742 00000009 68"))
	if b, _ = p.Next(nil); !bytes.Equal(b, vectors.Hex(t, "6742")) || !p.Done() || p.Skipped != 1 {
		t.Errorf("%x, skipped %d, done %v", b, p.Skipped, p.Done())
	}
	p.Start(frameOf(unitOf(0x41, 2000)))
	p.Start(nil)
	if _, ok := p.Next(nil); ok {
		t.Error("the frame before goes on")
	}
	p = Packetizer{MaxPayload: 1}
	p.Start(vectors.Hex(t, "000001 65010203"))
	for n := 0; ; n++ {
		if b, ok = p.Next(nil); !ok {
			if n != 3 {
				t.Errorf("%d payloads", n)
			}
			break
		}
		if len(b) != 3 {
			t.Errorf("%x", b)
		}
	}
}

// The parameter sets of a constrained baseline stream of 720p, as they go ahead
// of a key frame.
func TestParameterSets(t *testing.T) {
	const (
		sps = "6742c01e d9010055 b2c04400 00030004 00000300 f03c58b9 20"
		pps = "68cb83cb 20"
	)
	stap := "78 0019" + sps + "0005" + pps
	var d Depacketizer
	b, err := d.Append(nil, 9, vectors.Hex(t, stap))
	if want := vectors.Hex(t, "00000001"+sps+"00000001"+pps); err != nil || !bytes.Equal(b, want) {
		t.Errorf("%s, %v", hex.EncodeToString(b), err)
	}
	if !IsKeyframe(vectors.Hex(t, stap)) {
		t.Error("not a key frame")
	}
	var p Packetizer
	p.Start(b)
	if again, ok := p.Next(nil); !ok || !bytes.Equal(again, vectors.Hex(t, stap)) || !p.Done() {
		t.Errorf("%x", again)
	}
}

func TestTakingApartDoesNotAllocate(t *testing.T) {
	var d Depacketizer
	var p Packetizer
	frame := append(vectors.Hex(t, "00000001 6742 00000001 68ce 00000001"), unitOf(0x65, 9000)...)
	b, payload := make([]byte, 0, 16<<10), make([]byte, 0, 1200)
	seq := uint16(0)
	if n := testing.AllocsPerRun(100, func() {
		p.Start(frame)
		b = b[:0]
		for {
			var ok bool
			if payload, ok = p.Next(payload[:0]); !ok {
				break
			}
			seq++
			b, _ = d.Append(b, seq, payload)
		}
		if len(b) != len(frame) {
			t.Fatalf("%d bytes of %d", len(b), len(frame))
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// Any packets: no panic, bounded memory, whole units behind their lengths.
func FuzzDepacketize(f *testing.F) {
	f.Add(vectors.Hex(f, "00 03 678001 00 05 7c85010203 00 04 7c450405 00 06 780002674201"))
	f.Add(vectors.Hex(f, "00 05 7c85010203 03 04 7c450405 10 02 7d01 10 03 6500ff"))
	f.Fuzz(func(t *testing.T, script []byte) {
		d, seq := Depacketizer{AVCC: true}, uint16(0)
		var b []byte
		for len(script) >= 2 {
			jump, n := script[0]&3, min(int(script[1]), len(script)-2)
			finish := script[0]&0x10 != 0
			seq += 1 + uint16(jump)
			before := len(b)
			var err error
			b, err = d.Append(b, seq, script[2:2+n])
			if len(b) > before+2*n+prefixLen || (err != nil && len(b) > before) {
				t.Fatalf("%d bytes became %d: %v", n, len(b)-before, err)
			}
			script = script[2+n:]
			if finish || len(script) < 2 {
				b = d.Finish(b)
				for rest := b; len(rest) > 0; {
					unit, r := cutLength(rest)
					if len(unit) == 0 || !plainUnit(unit[0]) {
						t.Fatalf("%x holds what is no unit", b)
					}
					rest = r
				}
				b = b[:0]
			}
		}
	})
}

// What is packetized comes back the same, at any size of payload.
func FuzzPacketize(f *testing.F) {
	f.Add(vectors.Hex(f, "02 6742 02 68ce 09 650102030405060708"), uint8(0))
	f.Add(vectors.Hex(f, "05 4101020304 05 4101020304"), uint8(9))
	f.Fuzz(func(t *testing.T, script []byte, limit uint8) {
		var units [][]byte
		for len(script) > 1 {
			n := min(1+int(script[0]), len(script)-1)
			unit := script[1 : 1+n]
			if plainUnit(unit[0]) {
				units = append(units, unit)
			}
			script = script[1+n:]
		}
		p, d := Packetizer{AVCC: true, MaxPayload: int(limit)}, Depacketizer{AVCC: true}
		frame := frameOf(units...)
		got, sizes, _ := send(t, &p, &d, frame)
		if !bytes.Equal(got, frame) || p.Skipped != 0 {
			t.Fatalf("%x became %x", frame, got)
		}
		for _, n := range sizes {
			if limit > 0 && n > max(int(limit), minPayload) {
				t.Fatalf("a payload of %d bytes, at most %d", n, limit)
			}
		}
	})
}
