package main

import (
	"encoding/hex"
	"fmt"

	pionrtp "github.com/pion/rtp"
	pionsrtp "github.com/pion/srtp/v3"

	"github.com/sluicertc/sluice/srtp"
)

const pionSRTP = "github.com/pion/srtp/v3"

// microSRTP is the scenario srtp's calls, for the peers which that one lacks.
func microSRTP() []microCase {
	var list []microCase
	for _, k := range []struct {
		path string
		open bool
		size int
	}{{"encrypt-1KB", false, 1000}, {"encrypt-100B", false, 100}, {"decrypt-1KB", true, 1000}} {
		c := srtpCase{open: k.open, profile: srtp.AEAD_AES_128_GCM, size: k.size, keys: 1}
		list = append(list, microCase{
			path: "srtp/" + k.path, module: pionSRTP, input: srtpInput(c),
			sluice: func() microWork { return srtpWork(srtpSluice(c)) },
			pion:   func() microWork { return srtpWork(srtpPion(c)) },
		})
	}
	return list
}

func srtpWork(k contender, out func() []byte, err error) microWork {
	must(err)
	return microWork{contender: k, out: func() string {
		if k.prepare != nil {
			k.prepare()
		}
		k.run()
		return hex.EncodeToString(out())
	}}
}

// srtpInput is what werift starts from: the last packet of our first run, so
// that the results can be compared.
func srtpInput(c srtpCase) map[string]string {
	key, salt := srtpKeys(c.profile, 0)
	b := srtpPlain(c)
	putSeq(b, srtpRun)
	if c.open {
		ctx, err := srtp.NewContext(c.profile, key, salt)
		must(err)
		sealed := make([]byte, srtpRoom)
		n, err := ctx.Protect(sealed, b)
		must(err)
		b = sealed[:n]
	}
	return map[string]string{"key": hex.EncodeToString(key), "salt": hex.EncodeToString(salt), "packet": hex.EncodeToString(b)}
}

// replayOrder gives the sequence numbers of run n.
type replayOrder func(n, i int) uint16

// microReplay measures the replay window where it works: in the call that
// unprotects. Neither side's window can be called alone from outside.
func microReplay() []microCase {
	orders := []struct {
		path  string
		again bool
		order replayOrder
	}{
		{"sequential", false, func(n, i int) uint16 { return uint16(n*microRun + i) }},
		{"out-of-order", false, func(n, i int) uint16 { return uint16(n*microRun + i ^ 1) }},
		// Each packet is 60 ahead of the one before: within Pion's window of 64.
		{"window-shift", false, func(n, i int) uint16 { return uint16((n*microRun + i) * 60) }},
		{"lookup", true, func(_, i int) uint16 { return uint16(i) }},
	}
	var list []microCase
	for _, o := range orders {
		list = append(list, microCase{
			path: "antireplay/" + o.path, module: pionSRTP,
			why:    map[string]string{"werift": "werift's SRTP keeps no replay window"},
			sluice: func() microWork { return replayWork(sluiceUnprotect(), o.order, o.again) },
			pion:   func() microWork { return replayWork(pionUnprotect(), o.order, o.again) },
		})
	}
	return list
}

func replayContext() *srtp.Context {
	key, salt := srtpKeys(srtp.AEAD_AES_128_GCM, 0)
	ctx, err := srtp.NewContext(srtp.AEAD_AES_128_GCM, key, salt)
	must(err)
	return ctx
}

func sluiceUnprotect() func(dst, pkt []byte) error {
	ctx := replayContext()
	return func(dst, pkt []byte) error {
		_, err := ctx.Unprotect(dst, pkt)
		return err
	}
}

func pionUnprotect() func(dst, pkt []byte) error {
	key, salt := srtpKeys(srtp.AEAD_AES_128_GCM, 0)
	ctx, err := pionsrtp.CreateContext(key, salt, pionsrtp.ProtectionProfileAeadAes128Gcm, pionsrtp.SRTPReplayProtection(64))
	must(err)
	var h pionrtp.Header
	return func(dst, pkt []byte) error {
		_, err := ctx.DecryptRTP(dst, pkt, &h)
		return err
	}
}

// replayWork unprotects packets of 12 + 20 bytes in an order; again means that
// all of them have been accepted before and must be refused.
func replayWork(unprotect func(dst, pkt []byte) error, order replayOrder, again bool) microWork {
	seal := replayContext()
	plain := srtpPlain(srtpCase{size: 20})
	bufs := srtpBuffers()
	scratch := make([]byte, srtpRoom)
	turn, size := 0, 0
	fill := func() {
		for i := range microRun {
			putSeq(plain, order(turn, i))
			n, err := seal.Protect(bufs[i], plain)
			must(err)
			size = n
		}
		turn++
	}
	refused := 0
	run := func() int {
		for i := range microRun {
			if err := unprotect(scratch, bufs[i][:size]); err != nil {
				if !again {
					must(err)
				}
				refused++
			}
		}
		return microRun
	}
	w := microWork{contender: contender{prepare: fill, run: run}}
	if again {
		fill()
		run()
		w.prepare = nil
	}
	w.out = func() string {
		refused = 0
		if w.prepare != nil {
			w.prepare()
		}
		run()
		return fmt.Sprint(refused)
	}
	return w
}
