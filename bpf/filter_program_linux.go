package bpf

import (
	"fmt"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// Places on the filter's stack, besides stackKey.
const (
	filterBytes   = -64 // of the packet, 24
	filterSource  = -72 // sourceKey, 8
	filterState   = -88 // sourceState, 16
	filterCounter = -92 // 4
)

const (
	sourceKeySize   = 8
	sourceStateSize = 16
)

// Places in struct __sk_buff.
const skbSegments = 164

// filterMaps are descriptors.
type filterMaps struct{ flows, sources, counts int }

// filter writes the program that guards ports. R6 is the context throughout, R7
// how far into the packet it has come.
type filter struct {
	guard
	filterMaps
	tc bool // a program of traffic control, else of XDP
	p  asm.Instructions
}

func (f *filter) emit(p ...asm.Instruction) { f.p = append(f.p, p...) }

// label gives the next instruction a name, by one that does nothing.
func (f *filter) label(name string) { f.emit(asm.Mov.Reg(asm.R6, asm.R6).WithSymbol(name)) }

// load copies size bytes of the packet to filterBytes, or goes where told if
// the packet ends before.
func (f *filter) load(size int16, short string) {
	if f.tc {
		f.emit(
			asm.Mov.Reg(asm.R1, asm.R6),
			asm.Mov.Reg(asm.R2, asm.R7),
			asm.Mov.Reg(asm.R3, asm.RFP),
			asm.Add.Imm(asm.R3, filterBytes),
			asm.Mov.Imm(asm.R4, int32(size)),
			asm.FnSkbLoadBytes.Call(),
			asm.JNE.Imm(asm.R0, 0, short),
		)
		return
	}
	f.emit(
		asm.LoadMem(asm.R2, asm.R6, 0, asm.Word), // data
		asm.LoadMem(asm.R3, asm.R6, 4, asm.Word), // its end
		asm.Add.Reg(asm.R2, asm.R7),
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, int32(size)),
		asm.JGT.Reg(asm.R4, asm.R3, short),
	)
	for at := int16(0); at < size; {
		unit := asm.DWord
		for int16(unit.Sizeof()) > size-at {
			unit = map[asm.Size]asm.Size{asm.DWord: asm.Word, asm.Word: asm.Half, asm.Half: asm.Byte}[unit]
		}
		f.emit(asm.LoadMem(asm.R5, asm.R2, at, unit), asm.StoreMem(asm.RFP, filterBytes+at, asm.R5, unit))
		at += int16(unit.Sizeof())
	}
}

// got reads what load has copied.
func got(dst asm.Register, at int16, size asm.Size) asm.Instruction {
	return asm.LoadMem(dst, asm.RFP, filterBytes+at, size)
}

// filterProgram: what is not for the ports passes, and so does what cannot be
// read, since the kernel knows better what to do with it.
func filterProgram(g guard, m filterMaps, tc bool) asm.Instructions {
	f := &filter{guard: g, filterMaps: m, tc: tc}
	f.emit(asm.Mov.Reg(asm.R6, asm.R1))
	f.network()
	f.ipv4()
	f.ipv6()
	f.udp()
	f.kinds()
	f.limit("stun", g.stun, 0, countSTUN)
	f.limit("hello", g.hello, 8, countHello)
	f.verdict()
	return f.p
}

// network finds the IP header.
func (f *filter) network() {
	if f.bare {
		f.emit(asm.Mov.Imm(asm.R7, 0))
		f.load(1, "pass")
		f.emit(
			got(asm.R2, 0, asm.Byte),
			asm.RSh.Imm(asm.R2, 4),
			asm.JEq.Imm(asm.R2, 4, "ipv4"),
			asm.JEq.Imm(asm.R2, 6, "ipv6"),
			asm.Ja.Label("pass"),
		)
		return
	}
	f.emit(asm.Mov.Imm(asm.R7, 12))
	for i := range maxTags + 1 {
		f.load(2, "pass")
		f.emit(
			asm.Add.Imm(asm.R7, 2),
			got(asm.R2, 0, asm.Half),
			asm.JEq.Imm(asm.R2, be16(unix.ETH_P_IP), "ipv4"),
			asm.JEq.Imm(asm.R2, be16(unix.ETH_P_IPV6), "ipv6"),
		)
		if i == maxTags {
			f.emit(asm.Ja.Label("pass"))
			break
		}
		tagged := fmt.Sprint("tagged", i)
		f.emit(
			asm.JEq.Imm(asm.R2, be16(unix.ETH_P_8021Q), tagged),
			asm.JNE.Imm(asm.R2, be16(unix.ETH_P_8021AD), "pass"),
			asm.Add.Imm(asm.R7, 2).WithSymbol(tagged),
		)
	}
}

// ipv4 keeps the source and finds the UDP header (RFC 791 §3.1).
func (f *filter) ipv4() {
	f.label("ipv4")
	f.load(20, "pass")
	f.emit(
		got(asm.R2, 0, asm.Byte),
		asm.Mov.Reg(asm.R3, asm.R2),
		asm.RSh.Imm(asm.R3, 4),
		asm.JNE.Imm(asm.R3, 4, "pass"),
		asm.And.Imm(asm.R2, 15),
		asm.JLT.Imm(asm.R2, 5, "pass"),
		got(asm.R3, 9, asm.Byte),
		asm.JNE.Imm(asm.R3, unix.IPPROTO_UDP, "pass"),
		// But for the first, fragments do not tell their port.
		got(asm.R3, 6, asm.Half),
		asm.And.Imm(asm.R3, be16(0x1fff)),
		asm.JNE.Imm(asm.R3, 0, "pass"),
		asm.LSh.Imm(asm.R2, 2),
		asm.Add.Reg(asm.R7, asm.R2),
		got(asm.R2, ipv4Source, asm.Word),
		asm.StoreMem(asm.RFP, stackKey+12, asm.R2, asm.Word),
		asm.StoreMem(asm.RFP, filterSource+4, asm.R2, asm.Word),
		asm.Mov.Imm(asm.R2, 0),
		asm.StoreMem(asm.RFP, stackKey, asm.R2, asm.DWord),
		asm.Mov.Imm(asm.R2, be32(0xffff)),
		asm.StoreMem(asm.RFP, stackKey+8, asm.R2, asm.Word),
		// No source is of the multicast prefix ffff:ffff::/32.
		asm.Mov.Imm(asm.R2, -1),
		asm.StoreMem(asm.RFP, filterSource, asm.R2, asm.Word),
		asm.Ja.Label("udp"),
	)
}

// ipv6 does so behind extension headers (RFC 8200 §4).
func (f *filter) ipv6() {
	f.label("ipv6")
	f.load(24, "pass")
	f.emit(
		got(asm.R2, 0, asm.Byte),
		asm.RSh.Imm(asm.R2, 4),
		asm.JNE.Imm(asm.R2, 6, "pass"),
		got(asm.R2, ipv6Source, asm.DWord),
		asm.StoreMem(asm.RFP, stackKey, asm.R2, asm.DWord),
		asm.StoreMem(asm.RFP, filterSource, asm.R2, asm.DWord),
		got(asm.R2, ipv6Source+8, asm.DWord),
		asm.StoreMem(asm.RFP, stackKey+8, asm.R2, asm.DWord),
		got(asm.R8, 6, asm.Byte),
		asm.Add.Imm(asm.R7, 40),
	)
	for i := range maxExtensions {
		fragment, options, next := fmt.Sprint("fragment", i), fmt.Sprint("options", i), fmt.Sprint("header", i)
		f.emit(
			asm.JEq.Imm(asm.R8, unix.IPPROTO_UDP, "udp"),
			asm.JEq.Imm(asm.R8, unix.IPPROTO_FRAGMENT, fragment),
			asm.JEq.Imm(asm.R8, unix.IPPROTO_HOPOPTS, options),
			asm.JEq.Imm(asm.R8, unix.IPPROTO_ROUTING, options),
			asm.JEq.Imm(asm.R8, unix.IPPROTO_DSTOPTS, options),
			asm.Ja.Label("pass"),
		)
		f.label(fragment)
		f.load(8, "pass")
		f.emit(
			got(asm.R2, 2, asm.Half),
			asm.And.Imm(asm.R2, be16(0xfff8)),
			asm.JNE.Imm(asm.R2, 0, "pass"),
			got(asm.R8, 0, asm.Byte),
			asm.Add.Imm(asm.R7, 8),
			asm.Ja.Label(next),
		)
		f.label(options)
		f.load(2, "pass")
		f.emit(
			got(asm.R8, 0, asm.Byte),
			got(asm.R2, 1, asm.Byte),
			asm.Add.Imm(asm.R2, 1),
			asm.LSh.Imm(asm.R2, 3),
			asm.Add.Reg(asm.R7, asm.R2),
		)
		f.label(next)
	}
	f.emit(asm.JNE.Imm(asm.R8, unix.IPPROTO_UDP, "pass"))
}

// udp looks whether the port is guarded. R9 is the length of the payload.
func (f *filter) udp() {
	f.label("udp")
	f.load(udpHeader, "pass")
	f.emit(
		got(asm.R2, 0, asm.Half),
		asm.StoreMem(asm.RFP, stackKey+16, asm.R2, asm.Half),
		asm.Mov.Imm(asm.R2, 0),
		asm.StoreMem(asm.RFP, stackKey+18, asm.R2, asm.Half),
		got(asm.R2, 2, asm.Half),
	)
	for _, port := range f.ports {
		f.emit(asm.JEq.Imm(asm.R2, be16(port), "guarded"))
	}
	f.emit(
		asm.Ja.Label("pass"),
		got(asm.R9, 4, asm.Half).WithSymbol("guarded"),
		asm.HostTo(asm.BE, asm.R9, asm.Half),
		asm.JLT.Imm(asm.R9, udpHeader, "pass"),
		asm.Sub.Imm(asm.R9, udpHeader),
		asm.JEq.Imm(asm.R9, 0, "foreign"),
		asm.Add.Imm(asm.R7, udpHeader),
	)
}

// kinds tells packets apart by their first byte (RFC 7983 §7), and of STUN and
// DTLS by what follows.
func (f *filter) kinds() {
	f.load(1, "pass")
	f.emit(
		got(asm.R2, 0, asm.Byte),
		asm.JLT.Imm(asm.R2, 4, "is stun"),
		asm.JLT.Imm(asm.R2, 16, "foreign"),
		asm.JLT.Imm(asm.R2, 20, "through"),
		asm.JLT.Imm(asm.R2, 64, "is dtls"),
		asm.JLT.Imm(asm.R2, 80, "through"),
		asm.JLT.Imm(asm.R2, 128, "foreign"),
		asm.JLT.Imm(asm.R2, 192, "through"),
		asm.Ja.Label("foreign"),
	)
	f.label("is stun") // RFC 8489 §5
	f.emit(asm.JLT.Imm(asm.R9, stunHeader, "foreign"))
	f.load(8, "pass")
	f.emit(
		got(asm.R2, 4, asm.Word),
		asm.LoadImm(asm.R3, int64(uint32(be32(0x2112A442))), asm.DWord),
		asm.JNE.Reg(asm.R2, asm.R3, "foreign"),
		asm.Ja.Label("stun"),
	)
	// RFC 6347 §4.1, §4.2.2: a handshake record of epoch 0 that begins with a
	// ClientHello; RFC 9147 §4 keeps its form.
	const handshake, clientHello, upToType = 22, 1, 14
	f.label("is dtls")
	f.emit(
		asm.JNE.Imm(asm.R2, handshake, "through"),
		asm.JLT.Imm(asm.R9, upToType, "through"),
	)
	f.load(upToType, "pass")
	f.emit(
		got(asm.R2, 3, asm.Byte),
		asm.JNE.Imm(asm.R2, 0, "through"),
		got(asm.R2, 4, asm.Byte),
		asm.JNE.Imm(asm.R2, 0, "through"),
		got(asm.R2, 13, asm.Byte),
		asm.JNE.Imm(asm.R2, clientHello, "through"),
		asm.Ja.Label("hello"),
	)
}

// limit lets through what comes from a known address, and of what does not as
// much as the source may send. Two processors that look at one source at once
// may let one packet more pass.
func (f *filter) limit(kind string, b bucket, at int16, dropped int32) {
	f.label(kind)
	f.emit(
		asm.LoadMapPtr(asm.R1, f.flows),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, stackKey),
		asm.FnMapLookupElem.Call(),
		asm.JNE.Imm(asm.R0, 0, "known"),
		asm.Mov.Imm(asm.R8, dropped),
	)
	if b.every == 0 {
		f.emit(asm.Ja.Label("count"))
		return
	}
	f.emit(
		asm.FnKtimeGetNs.Call(),
		asm.Mov.Reg(asm.R9, asm.R0),
		asm.LoadMapPtr(asm.R1, f.sources),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, filterSource),
		asm.FnMapLookupElem.Call(),
		asm.LoadImm(asm.R5, int64(b.every), asm.DWord),
	)
	if f.tc { // the kernel may have merged packets before
		f.emit(
			asm.LoadMem(asm.R3, asm.R6, skbSegments, asm.Word),
			asm.JEq.Imm(asm.R3, 0, kind+" one"),
			asm.Mul.Reg(asm.R5, asm.R3),
		)
		f.label(kind + " one")
	}
	f.emit(
		asm.JEq.Imm(asm.R0, 0, kind+" first"),
		asm.LoadMem(asm.R2, asm.R0, at, asm.DWord),
		asm.JGE.Reg(asm.R2, asm.R9, kind+" ahead"),
		asm.Mov.Reg(asm.R2, asm.R9),
		asm.Mov.Reg(asm.R3, asm.R2).WithSymbol(kind+" ahead"),
		asm.Sub.Reg(asm.R3, asm.R9),
		asm.LoadImm(asm.R4, int64(b.slack), asm.DWord),
		asm.JGT.Reg(asm.R3, asm.R4, "count"),
		asm.Add.Reg(asm.R2, asm.R5),
		asm.StoreMem(asm.R0, at, asm.R2, asm.DWord),
		asm.Ja.Label("admitted"),
		asm.Mov.Imm(asm.R2, 0).WithSymbol(kind+" first"),
		asm.StoreMem(asm.RFP, filterState+(8-at), asm.R2, asm.DWord),
		asm.Add.Reg(asm.R9, asm.R5),
		asm.StoreMem(asm.RFP, filterState+at, asm.R9, asm.DWord),
		asm.LoadMapPtr(asm.R1, f.sources),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, filterSource),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, filterState),
		asm.Mov.Imm(asm.R4, 0), // BPF_ANY
		asm.FnMapUpdateElem.Call(),
		asm.Ja.Label("admitted"),
	)
}

// verdict counts and decides by what was counted.
func (f *filter) verdict() {
	pass, drop := int32(2), int32(1) // XDP_PASS, XDP_DROP
	if f.tc {
		pass, drop = -1, 2 // TCX_NEXT, TCX_DROP
	}
	for _, l := range []struct {
		name    string
		counter int32
	}{{"through", countPassed}, {"known", countKnown}, {"admitted", countAdmitted}, {"foreign", countForeign}} {
		f.emit(asm.Mov.Imm(asm.R8, l.counter).WithSymbol(l.name), asm.Ja.Label("count"))
	}
	f.emit(
		asm.StoreMem(asm.RFP, filterCounter, asm.R8, asm.Word).WithSymbol("count"),
		asm.LoadMapPtr(asm.R1, f.counts),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, filterCounter),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "decide"),
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R0, 0, asm.R1, asm.DWord),
		asm.JGE.Imm(asm.R8, countForeign, "drop").WithSymbol("decide"),
		asm.Mov.Imm(asm.R0, pass).WithSymbol("pass"),
		asm.Return(),
		asm.Mov.Imm(asm.R0, drop).WithSymbol("drop"),
		asm.Return(),
	)
}
