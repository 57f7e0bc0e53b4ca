package ice

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/sluicertc/sluice/internal/mono"
	"github.com/sluicertc/sluice/stun"
)

const fuzzPwd, fuzzTheirPwd = "abcdefghijabcdefghijabcd", "theytheytheytheytheythey"

// fuzzer plays a script of two bytes an act.
type fuzzer struct {
	t      *testing.T
	a      *Agent
	now    mono.Time
	theirs *stun.Key
	sent   []Path
	ids    []stun.TransactionID
	buf    [MaxCarryPacket]byte
}

// Whatever a peer with or without the password sends, in whatever order, the
// agent neither panics, nor grows, nor keeps its owner busy.
func FuzzAgent(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5, 6, 7, 8, 9}, uint8(0))
	f.Add([]byte{0x13, 0x80, 0x90, 0x31, 0xff, 0x00, 0x20, 0x7a, 0x81, 0x92}, uint8(7))
	f.Fuzz(func(t *testing.T, script []byte, mode uint8) {
		a, err := New(Config{Role: Role(mode & 1), Lite: mode&2 != 0, Hosts: hostB6, LocalUfrag: "usus", LocalPwd: fuzzPwd,
			Rand: rand.NewChaCha8([32]byte{mode}), Ta: minTa, STUNServers: hostA, Carry: mode&4 != 0})
		if err != nil {
			t.Fatal(err)
		}
		z := &fuzzer{t: t, a: a, now: mono.Time(time.Hour), theirs: stun.NewKey([]byte(fuzzTheirPwd))}
		for i := 0; i+1 < len(script) && i < 400; i += 2 {
			switch op, arg := script[i], script[i+1]; op % 8 {
			case 0, 1, 2:
				z.request(op, arg)
			case 3, 4:
				z.respond(op, arg)
			case 5:
				a.HandlePacket(z.now, script[i:], Path{Local: hostB6[0], Remote: hostA[0]})
			case 6:
				z.wait(arg)
			case 7:
				z.command(op, arg)
			}
			z.drain()
		}
	})
}

func (z *fuzzer) request(op, arg byte) {
	m := stun.Begin(nil, stun.BindingRequest, stun.TransactionID{arg, op})
	ufrag, pwd := z.a.LocalCredentials()
	m.Username(ufrag + ":they")
	if arg&2 != 0 {
		m.ICEControlling(uint64(arg) << 56)
	} else {
		m.ICEControlled(uint64(arg) << 56)
	}
	m.Priority(uint32(arg) << 20)
	if arg&4 != 0 {
		m.UseCandidate()
	}
	if op&64 != 0 {
		m.Raw(attrCarried, dtlsOf(int(arg)+1, ""))
		m.Raw(attrCarriedAck, ackList(uint32(arg), uint32(op)))
	}
	m.Integrity(stun.NewKey([]byte(pwd)))
	z.a.HandlePacket(z.now, m.Bytes(), Path{Local: hostB6[arg&1], Remote: hostA6[arg>>3&1]})
}

func (z *fuzzer) respond(op, arg byte) {
	if len(z.ids) == 0 {
		return
	}
	k := len(z.ids) - 1 - int(arg)%len(z.ids)
	b := answer(z.theirs, z.ids[k], arg&8 == 0)
	if op&16 != 0 {
		b = stunError(z.theirs, z.ids[k], []int{400, 403, 487, 500}[arg&3])
	}
	p := z.sent[k]
	if op&32 != 0 {
		p.Remote = evil
	}
	z.a.HandlePacket(z.now, b, p)
}

func (z *fuzzer) wait(arg byte) {
	z.now = z.now.Add(time.Duration(arg) * time.Duration(arg) * time.Millisecond)
	z.a.HandleTimeout(z.now)
	if x := z.a.Timeout(); x != 0 && x <= z.now {
		z.t.Fatalf("the timeout stays at %d, now %d, %+v", x, z.now, retain(z.a))
	}
}

func (z *fuzzer) command(op, arg byte) {
	a := z.a
	switch op >> 3 % 8 {
	case 0, 1:
		a.SetRemoteCredentials(z.now, "they", fuzzTheirPwd)
	case 2:
		a.AddRemoteCandidate(z.now, Candidate{Component: 1, Foundation: string('a' + rune(arg&3)),
			Priority: uint32(arg) << 16, Addr: hostA6[arg&1]})
	case 3:
		a.Gather(z.now)
		a.EndOfRemoteCandidates(z.now)
	case 4:
		a.SetRole(Role(arg >> 7))
		a.SetRemoteLite(arg&0x70 == 0x70)
	case 5:
		a.Restart(z.now, "", "")
	case 6:
		if arg > 250 {
			a.Close()
		}
	case 7:
		z.carry(arg)
	}
}

func (z *fuzzer) carry(arg byte) {
	a := z.a
	switch {
	case arg > 250:
		a.StopCarry()
	case arg > 240:
		a.EndCarry(z.now, arg&1 != 0)
	case arg > 220:
		a.Carried(z.now)
	case arg > 200:
		a.HeardDirectly(dtlsOf(int(arg), ""))
	default:
		a.Carry(z.now, flightOf(int(arg&15), int(arg)*6, string(rune(arg))), arg&16 != 0)
	}
}

func (z *fuzzer) drain() {
	a := z.a
	for n, p := a.Transmit(z.now, z.buf[:]); n > 0; n, p = a.Transmit(z.now, z.buf[:]) {
		m, err := stun.Parse(z.buf[:n])
		if err != nil {
			z.t.Fatal(err)
		}
		if m.Class() == stun.Request {
			z.sent, z.ids = append(z.sent, p), append(z.ids, m.TransactionID())
		}
	}
	for e, ok := a.Event(); ok; e, ok = a.Event() {
		if _, selected := a.Selected(); e.Kind == EventState && e.State == StateFailed && a.State() == StateFailed && selected {
			z.t.Fatal("failed, and selected")
		}
	}
	if r := retain(a); r.pairs > MaxPairs || r.txs > MaxTransactions || r.triggered > MaxPairs || r.remotes > MaxRemoteCandidates {
		z.t.Fatalf("%+v", r)
	}
	a.Stats()
}
