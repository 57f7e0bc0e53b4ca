package main

import (
	"encoding/hex"
	"fmt"

	pionrtcp "github.com/pion/rtcp"

	"github.com/sluicertc/sluice/rtcp"
)

const microNTP = 0xe8f0a1b2c3d4e5f6

var microDLRR = []rtcp.DLRREntry{{SSRC: 2, LastRR: 0x11223344, Delay: 65536}, {SSRC: 3, LastRR: 0x55667788, Delay: 32768}}

// microXR writes extended reports (RFC 3611) with a reference time, with
// answers to two of them, and with both, which it reads again.
func microXR() []microCase {
	list := []microCase{
		{path: "rtcp/xr-rrtr-serialize", sluice: sluiceXR(true, false, false), pion: pionXR(true, false, false)},
		{path: "rtcp/xr-dlrr-serialize", sluice: sluiceXR(false, true, false), pion: pionXR(false, true, false)},
		{path: "rtcp/xr-round-trip", sluice: sluiceXR(true, true, true), pion: pionXR(true, true, true)},
	}
	for i := range list {
		list[i].why = map[string]string{weriftPeer.name: "werift has no extended reports"}
	}
	return list
}

func sluiceXR(rrtr, dlrr, read bool) func() microWork {
	return func() microWork {
		var b []byte
		var ntp uint64
		var sum uint32
		op := func() {
			b = rtcp.AppendXR(b[:0], 1)
			if rrtr {
				b = rtcp.AppendRRTR(b, 0, microNTP)
			}
			if dlrr {
				b = rtcp.AppendDLRR(b, 0, microDLRR)
			}
			if read {
				ntp, sum = readXR(b)
			}
		}
		return repeat(op, func() string { op(); return fmt.Sprint(hex.EncodeToString(b), ntp, sum) })
	}
}

func readXR(b []byte) (ntp uint64, sum uint32) {
	p, _, err := rtcp.Next(b)
	must(err)
	x, _ := rtcp.ParseXR(p)
	for block, ok := x.Next(); ok; block, ok = x.Next() {
		switch block.Type {
		case rtcp.XRRRTR:
			ntp, _ = rtcp.ParseRRTR(block)
		case rtcp.XRDLRR:
			d, _ := rtcp.ParseDLRR(block)
			for i := range d.Len() {
				e := d.At(i)
				sum += e.SSRC + e.LastRR + e.Delay
			}
		}
	}
	return ntp, sum
}

func pionXR(rrtr, dlrr, read bool) func() microWork {
	return func() microWork {
		var b []byte
		var ntp uint64
		var sum uint32
		x := pionrtcp.ExtendedReport{SenderSSRC: 1}
		if rrtr {
			x.Reports = append(x.Reports, &pionrtcp.ReceiverReferenceTimeReportBlock{NTPTimestamp: microNTP})
		}
		if dlrr {
			answers := &pionrtcp.DLRRReportBlock{}
			for _, e := range microDLRR {
				answers.Reports = append(answers.Reports, pionrtcp.DLRRReport{SSRC: e.SSRC, LastRR: e.LastRR, DLRR: e.Delay})
			}
			x.Reports = append(x.Reports, answers)
		}
		op := func() {
			var err error
			b, err = x.Marshal()
			must(err)
			if read {
				ntp, sum = pionReadXR(b)
			}
		}
		return repeat(op, func() string { op(); return fmt.Sprint(hex.EncodeToString(b), ntp, sum) })
	}
}

func pionReadXR(b []byte) (ntp uint64, sum uint32) {
	var x pionrtcp.ExtendedReport
	must(x.Unmarshal(b))
	for _, r := range x.Reports {
		switch r := r.(type) {
		case *pionrtcp.ReceiverReferenceTimeReportBlock:
			ntp = r.NTPTimestamp
		case *pionrtcp.DLRRReportBlock:
			for _, e := range r.Reports {
				sum += e.SSRC + e.LastRR + e.DLRR
			}
		}
	}
	return ntp, sum
}
