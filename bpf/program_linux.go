package bpf

import (
	"encoding/binary"
	"fmt"

	"github.com/cilium/ebpf/asm"
	"golang.org/x/sys/unix"
)

// Places in struct sk_reuseport_md. Its data begins with the UDP header.
const (
	mdData     = 0
	mdDataEnd  = 8
	mdProtocol = 20
)

// Places on the stack.
const (
	stackKey     = -24 // flowKey, 20 bytes
	stackSocket  = -28 // of the map's index, 4
	stackCounter = -32 // 4
	stackBytes   = -40 // of the packet, 8

	flowKeySize = 20
)

// Places in and sizes of headers.
const (
	ipv4Source, ipv6Source = 12, 8
	udpHeader              = 8
	stunHeader             = 20
	headerNetwork          = 1 // BPF_HDR_START_NET
)

// be16 is how a number of two bytes in network order reads on this machine.
func be16(v uint16) int32 {
	var b [2]byte
	binary.BigEndian.PutUint16(b[:], v)
	return int32(binary.NativeEndian.Uint16(b[:]))
}

func be32(v uint32) int32 {
	var b [4]byte
	binary.BigEndian.PutUint32(b[:], v)
	return int32(binary.NativeEndian.Uint32(b[:]))
}

// program is the instructions that choose a socket. R6 is the context
// throughout, R7 where the next STUN attribute is, R8 the counter to raise.
func program(sockets, flows, counts int) asm.Instructions {
	p := asm.Instructions{asm.Mov.Reg(asm.R6, asm.R1)}
	p = append(p, key()...)
	p = append(p, byFlow(sockets, flows)...)
	p = append(p, byUfrag(sockets)...)
	return append(p, count(counts)...)
}

// key lays out the sender's address and port on the stack.
func key() asm.Instructions {
	load := func(from int32, to, size int32) asm.Instructions {
		return asm.Instructions{
			asm.Mov.Reg(asm.R1, asm.R6),
			asm.Mov.Imm(asm.R2, from),
			asm.Mov.Reg(asm.R3, asm.RFP),
			asm.Add.Imm(asm.R3, to),
			asm.Mov.Imm(asm.R4, size),
			asm.Mov.Imm(asm.R5, headerNetwork),
			asm.FnSkbLoadBytesRelative.Call(),
			asm.JNE.Imm(asm.R0, 0, "error"),
		}
	}
	p := asm.Instructions{
		asm.Mov.Imm(asm.R2, 0),
		asm.StoreMem(asm.RFP, stackKey, asm.R2, asm.DWord),
		asm.StoreMem(asm.RFP, stackKey+8, asm.R2, asm.DWord),
		asm.StoreMem(asm.RFP, stackKey+16, asm.R2, asm.Word),
		asm.LoadMem(asm.R2, asm.R6, mdProtocol, asm.Word),
		asm.JEq.Imm(asm.R2, be16(unix.ETH_P_IP), "ipv4"),
		asm.JNE.Imm(asm.R2, be16(unix.ETH_P_IPV6), "error"),
	}
	p = append(p, load(ipv6Source, stackKey, 16)...)
	p = append(p,
		asm.Ja.Label("port"),
		asm.Mov.Imm(asm.R2, 0xffff).WithSymbol("ipv4"),
		asm.StoreMem(asm.RFP, stackKey+10, asm.R2, asm.Half))
	p = append(p, load(ipv4Source, stackKey+12, 4)...)
	return append(p,
		asm.LoadMem(asm.R2, asm.R6, mdData, asm.DWord).WithSymbol("port"),
		asm.LoadMem(asm.R3, asm.R6, mdDataEnd, asm.DWord),
		asm.Mov.Reg(asm.R4, asm.R2),
		asm.Add.Imm(asm.R4, udpHeader),
		asm.JGT.Reg(asm.R4, asm.R3, "error"),
		asm.LoadMem(asm.R5, asm.R2, 0, asm.Half),
		asm.StoreMem(asm.RFP, stackKey+16, asm.R5, asm.Half),
	)
}

// choose selects the socket whose number is on the stack.
func choose(sockets int) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.LoadMapPtr(asm.R2, sockets),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, stackSocket),
		asm.Mov.Imm(asm.R4, 0),
		asm.FnSkSelectReuseport.Call(),
		asm.JNE.Imm(asm.R0, 0, "error"),
		asm.Ja.Label("count"),
	}
}

func byFlow(sockets, flows int) asm.Instructions {
	p := asm.Instructions{
		asm.LoadMapPtr(asm.R1, flows),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, stackKey),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "stranger"),
		asm.LoadMem(asm.R5, asm.R0, 0, asm.Word),
		asm.StoreMem(asm.RFP, stackSocket, asm.R5, asm.Word),
		asm.Mov.Imm(asm.R8, countFlow),
	}
	return append(p, choose(sockets)...)
}

// packetBytes loads size bytes of the packet at the offset in R7.
func packetBytes(size int32) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Reg(asm.R1, asm.R6),
		asm.Mov.Reg(asm.R2, asm.R7),
		asm.Mov.Reg(asm.R3, asm.RFP),
		asm.Add.Imm(asm.R3, stackBytes),
		asm.Mov.Imm(asm.R4, size),
		asm.FnSkbLoadBytes.Call(),
		asm.JNE.Imm(asm.R0, 0, "hash"), // the packet ends before
	}
}

// byUfrag looks for the USERNAME of a STUN binding request (RFC 8489 §5, §14).
// It is unrolled: loops need a newer kernel.
func byUfrag(sockets int) asm.Instructions {
	const binding, cookie, username = 1, 0x2112A442, 6
	p := asm.Instructions{asm.Mov.Imm(asm.R7, udpHeader).WithSymbol("stranger")}
	p = append(p, packetBytes(8)...)
	p = append(p,
		asm.LoadMem(asm.R2, asm.RFP, stackBytes, asm.Half),
		asm.JNE.Imm(asm.R2, be16(binding), "hash"),
		asm.LoadMem(asm.R2, asm.RFP, stackBytes+4, asm.Word),
		asm.JNE.Imm(asm.R2, be32(cookie), "hash"),
		asm.Mov.Imm(asm.R7, udpHeader+stunHeader),
	)
	for i := range maxAttributes {
		next := fmt.Sprintf("attribute%d", i+1)
		p = append(p, packetBytes(6)...)
		p = append(p,
			asm.LoadMem(asm.R2, asm.RFP, stackBytes, asm.Half),
			asm.LoadMem(asm.R3, asm.RFP, stackBytes+2, asm.Half),
			asm.HostTo(asm.BE, asm.R3, asm.Half),
			asm.JNE.Imm(asm.R2, be16(username), next),
			asm.JLT.Imm(asm.R3, 2, "hash"),
			asm.Ja.Label("username"),
			// RFC 8489 §14: padded to a multiple of four.
			asm.Add.Imm(asm.R3, 3+4).WithSymbol(next),
			asm.And.Imm(asm.R3, ^3),
			asm.Add.Reg(asm.R7, asm.R3),
		)
	}
	p = append(p,
		asm.Ja.Label("hash"),
		asm.LoadMem(asm.R2, asm.RFP, stackBytes+4, asm.Byte).WithSymbol("username"),
		asm.LoadMem(asm.R3, asm.RFP, stackBytes+5, asm.Byte),
		asm.Sub.Imm(asm.R2, 'A'),
		asm.JGT.Imm(asm.R2, 15, "hash"),
		asm.Sub.Imm(asm.R3, 'A'),
		asm.JGT.Imm(asm.R3, 15, "hash"),
		asm.LSh.Imm(asm.R2, 4),
		asm.Or.Reg(asm.R2, asm.R3),
		asm.StoreMem(asm.RFP, stackSocket, asm.R2, asm.Word),
		asm.Mov.Imm(asm.R8, countUfrag),
	)
	return append(p, choose(sockets)...)
}

// count raises a counter and lets the packet pass: to the socket that was
// chosen or, where none was, to the one of the kernel's hash.
func count(counts int) asm.Instructions {
	return asm.Instructions{
		asm.Mov.Imm(asm.R8, countHash).WithSymbol("hash"),
		asm.Ja.Label("count"),
		asm.Mov.Imm(asm.R8, countErrors).WithSymbol("error"),
		asm.StoreMem(asm.RFP, stackCounter, asm.R8, asm.Word).WithSymbol("count"),
		asm.LoadMapPtr(asm.R1, counts),
		asm.Mov.Reg(asm.R2, asm.RFP),
		asm.Add.Imm(asm.R2, stackCounter),
		asm.FnMapLookupElem.Call(),
		asm.JEq.Imm(asm.R0, 0, "pass"),
		asm.LoadMem(asm.R1, asm.R0, 0, asm.DWord),
		asm.Add.Imm(asm.R1, 1),
		asm.StoreMem(asm.R0, 0, asm.R1, asm.DWord),
		asm.Mov.Imm(asm.R0, 1).WithSymbol("pass"), // SK_PASS
		asm.Return(),
	}
}
