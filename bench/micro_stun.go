package main

import (
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"net"
	"net/netip"

	pionstun "github.com/pion/stun/v4"

	"github.com/sluicertc/sluice/stun"
)

const (
	pionSTUN      = "github.com/pion/stun/v4"
	stunUsername  = "kZ4q:Wn7b"
	stunPassword  = "u8Xm2cVt5bNq7wEr9yTz1aSd"
	stunPriority  = 1853693695
	stunTiebreak  = 1234605616436508552
	stunReflexive = "203.0.113.9:51512"
)

var stunID = stun.TransactionID{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}

func appendRequest(b []byte, k *stun.Key) []byte {
	m := stun.Begin(b, stun.BindingRequest, stunID)
	m.Username(stunUsername)
	m.Priority(stunPriority)
	m.ICEControlling(stunTiebreak)
	m.Integrity(k)
	m.Fingerprint()
	must(m.Err())
	return m.Bytes()
}

func appendResponse(b []byte, k *stun.Key) []byte {
	m := stun.Begin(b, stun.MakeType(stun.Binding, stun.Success), stunID)
	m.XORMappedAddress(netip.MustParseAddrPort(stunReflexive))
	m.Integrity(k)
	m.Fingerprint()
	must(m.Err())
	return m.Bytes()
}

// microSTUN parses with integrity and fingerprint checked, as an agent must,
// and serializes with both.
func microSTUN() []microCase {
	k := stun.NewKey([]byte(stunPassword))
	request, response := appendRequest(nil, k), appendResponse(nil, k)
	input := func(b []byte) map[string]string {
		return map[string]string{"packet": hex.EncodeToString(b), "password": stunPassword, "username": stunUsername, "id": hex.EncodeToString(stunID[:])}
	}
	return []microCase{
		{path: "stun/parse-request", module: pionSTUN, input: input(request), sluice: sluiceSTUN(request, readRequest), pion: pionSTUNParse(request, pionReadRequest)},
		{path: "stun/serialize-request", module: pionSTUN, input: input(request), sluice: sluiceSTUNWrite, pion: pionSTUNWrite},
		{path: "stun/parse-response", module: pionSTUN, input: input(response), sluice: sluiceSTUN(response, readResponse), pion: pionSTUNParse(response, pionReadResponse)},
		{path: "stun/round-trip", module: pionSTUN, input: input(request), sluice: sluiceSTUNTrip, pion: pionSTUNTrip},
	}
}

func parseSTUN(b []byte, k *stun.Key) stun.Message {
	m, err := stun.Parse(b)
	must(err)
	if !m.CheckIntegrity(k) || !m.HasFingerprint() {
		panic("bench: our own message is not genuine")
	}
	return m
}

func readRequest(m stun.Message) string {
	name, _ := m.Get(stun.AttrUsername)
	p, _ := m.Priority()
	return fmt.Sprintf("%s %d", name, p)
}

func readResponse(m stun.Message) string {
	a, _ := m.XORMappedAddress()
	return a.String()
}

func sluiceSTUN(b []byte, show func(stun.Message) string) func() microWork {
	return func() microWork {
		k := stun.NewKey([]byte(stunPassword))
		var m stun.Message
		op := func() { m = parseSTUN(b, k) }
		return repeat(op, func() string { op(); return show(m) })
	}
}

func sluiceSTUNWrite() microWork {
	k, buf := stun.NewKey([]byte(stunPassword)), make([]byte, 0, 512)
	op := func() { buf = appendRequest(buf[:0], k) }
	return repeat(op, func() string { op(); return hex.EncodeToString(buf) })
}

func sluiceSTUNTrip() microWork {
	k, buf := stun.NewKey([]byte(stunPassword)), make([]byte, 0, 512)
	var m stun.Message
	op := func() {
		buf = appendRequest(buf[:0], k)
		m = parseSTUN(buf, k)
	}
	return repeat(op, func() string { op(); return readRequest(m) })
}

// parsePionSTUN reuses the message, which is Pion's fast way.
func parsePionSTUN(m *pionstun.Message, b []byte, k pionstun.MessageIntegrity) {
	m.Raw = append(m.Raw[:0], b...)
	must(m.Decode())
	must(k.Check(m))
	must(pionstun.Fingerprint.Check(m))
}

func pionReadRequest(m *pionstun.Message) string {
	name, err := m.Get(pionstun.AttrUsername)
	must(err)
	p, err := m.Get(pionstun.AttrPriority)
	must(err)
	return fmt.Sprintf("%s %d", name, binary.BigEndian.Uint32(p))
}

func pionReadResponse(m *pionstun.Message) string {
	var a pionstun.XORMappedAddress
	must(a.GetFrom(m))
	return (&net.UDPAddr{IP: a.IP, Port: a.Port}).String()
}

func pionSTUNParse(b []byte, show func(*pionstun.Message) string) func() microWork {
	return func() microWork {
		m, k := pionstun.New(), pionstun.NewShortTermIntegrity(stunPassword)
		op := func() { parsePionSTUN(m, b, k) }
		return repeat(op, func() string { op(); return show(m) })
	}
}

func pionSTUNWriter() (*pionstun.Message, pionstun.MessageIntegrity, func()) {
	m, k := pionstun.New(), pionstun.NewShortTermIntegrity(stunPassword)
	var priority [4]byte
	var tiebreak [8]byte
	binary.BigEndian.PutUint32(priority[:], stunPriority)
	binary.BigEndian.PutUint64(tiebreak[:], stunTiebreak)
	name := pionstun.NewUsername(stunUsername)
	return m, k, func() {
		m.Reset()
		m.TransactionID = stunID
		m.SetType(pionstun.BindingRequest)
		m.WriteHeader()
		must(name.AddTo(m))
		m.Add(pionstun.AttrPriority, priority[:])
		m.Add(pionstun.AttrICEControlling, tiebreak[:])
		must(k.AddTo(m))
		must(pionstun.Fingerprint.AddTo(m))
	}
}

func pionSTUNWrite() microWork {
	m, _, write := pionSTUNWriter()
	return repeat(write, func() string { write(); return hex.EncodeToString(m.Raw) })
}

func pionSTUNTrip() microWork {
	m, k, write := pionSTUNWriter()
	read := pionstun.New()
	op := func() {
		write()
		parsePionSTUN(read, m.Raw, k)
	}
	return repeat(op, func() string { op(); return pionReadRequest(read) })
}
