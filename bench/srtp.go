package main

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"github.com/sluicertc/sluice/srtp"
)

const (
	srtpRun   = 64 // packets a run
	srtpFixed = 12 // bytes of a header without extensions
	// srtpRoom is a buffer's length: the longest payload, header, tag, and
	// what vector code may overshoot.
	srtpRoom = 1200 + srtpFixed + len(srtpExtensions) + 16 + 160
)

// srtpExtensions are those that browsers send (RFC 8285 §4.2), as those of
// video: audio level, absolute send time, transport-wide sequence number, MID,
// orientation, RID and playout delay.
const srtpExtensions = "\xbe\xde\x00\x05\x10\x8a\x22\x12\x34\x56\x31\x00\x07\x400\x50\x01\x61hi\x72\x00\x01\x02"

// An srtpCase is a path of the scenario, taken apart.
type srtpCase struct {
	open    bool
	profile srtp.Profile
	size    int  // payload behind the header
	ext     bool // the header has extensions
	keys    int  // packets a call, each under a key of its own
}

var srtpProfiles = map[string]srtp.Profile{
	"gcm128": srtp.AEAD_AES_128_GCM, "gcm256": srtp.AEAD_AES_256_GCM, "cm80": srtp.AES128_CM_HMAC_SHA1_80,
}

var srtpPionPeer = peer{name: "pion/srtp", version: module("github.com/pion/srtp/v3")}

// noExtension is Sluice itself with the same packets but for the extensions, in
// whose cases alone it takes part: its ratio is what they cost.
var noExtension = peer{name: "no-extension", version: func() string { return "" }}

func srtpScenario() *scenario {
	s := &scenario{
		name: "srtp", about: "protect and unprotect RTP packets: one by one, for 16 and for 64 receivers; with header extensions",
		peers: []peer{goStdlib, srtpPionPeer, libsrtp.peer(), weriftPeer, noExtension},
	}
	for _, op := range []string{"protect", "unprotect"} {
		for _, profile := range []string{"gcm128", "gcm256", "cm80"} {
			for _, size := range []string{"100B", "500B", "1000B", "1200B"} {
				for _, batch := range []string{"one", "batch16", "fan64"} {
					s.cases = append(s.cases, strings.Join([]string{op, profile, size, batch}, "/"))
				}
			}
			for _, size := range []string{"100B-ext", "1000B-ext"} {
				for _, batch := range []string{"one", "fan64"} {
					s.cases = append(s.cases, strings.Join([]string{op, profile, size, batch}, "/"))
				}
			}
		}
	}
	s.measure = measureSRTP
	return s
}

func parseSRTP(path string) (c srtpCase, err error) {
	parts := strings.Split(path, "/")
	if len(parts) != 4 {
		return c, fmt.Errorf("%q is no case of srtp", path)
	}
	c.open = parts[0] == "unprotect"
	c.profile = srtpProfiles[parts[1]]
	size, ext := strings.CutSuffix(parts[2], "-ext")
	if _, err := fmt.Sscanf(size, "%dB", &c.size); err != nil {
		return c, fmt.Errorf("%q: %w", path, err)
	}
	c.ext, c.keys = ext, map[string]int{"one": 1, "batch16": 16, "fan64": 64}[parts[3]]
	if c.profile == 0 || c.keys == 0 {
		return c, fmt.Errorf("%q is no case of srtp", path)
	}
	return c, nil
}

func measureSRTP(r *run, cases []string, peers []peer) error {
	rounds := 401
	if r.quick {
		rounds = 31
	}
	if r.profile != "" {
		rounds = 2001 // a profile wants seconds
	}
	rivals, stop, err := srtpRivals(peers)
	if err != nil {
		return err
	}
	defer stop()
	for i, path := range cases {
		r.table.status("srtp %d/%d %s", i+1, len(cases), path)
		if err := srtpOne(r, path, peers, rivals, rounds); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
	}
	return nil
}

// srtpRivals starts the peers which need a process of their own.
func srtpRivals(peers []peer) (rivals map[string]rival, stop func(), err error) {
	rivals = map[string]rival{}
	stop = func() {
		for _, r := range rivals {
			r.stop()
		}
	}
	for _, p := range peers {
		switch p.name {
		case libsrtp.name:
			rivals[p.name], err = libsrtp.start()
		case weriftPeer.name:
			rivals[p.name], err = startNode(weriftDir, "srtp.mjs")
		}
		if err != nil {
			delete(rivals, p.name)
			stop()
			return nil, nil, err
		}
	}
	return rivals, stop, nil
}

func srtpOne(r *run, path string, peers []peer, rivals map[string]rival, rounds int) error {
	c, err := parseSRTP(path)
	if err != nil {
		return err
	}
	cs, able, err := srtpContenders(c, path, peers, rivals)
	if err != nil {
		return err
	}
	ghz := coreGHz()
	times, err := turns(cs, rounds)
	if err != nil {
		return err
	}
	count := allocs(cs[0])
	for _, p := range peers {
		row := Row{Scenario: "srtp", Case: path, Peer: p.name, terse: true}
		k := slices.IndexFunc(able, func(q peer) bool { return q.name == p.name })
		if k < 0 {
			if p.name == noExtension.name {
				continue // the case is this one
			}
			row.Skipped = p.name + " does not have this profile"
			r.emit(row)
			continue
		}
		row.Unit, row.Better, row.PeerVersion, row.Allocs = "ns/packet", lower, p.version(), &count
		row.compare(times[0], times[k+1])
		row.Also, row.PeerAlso = perPacket(row.Value, c.size, ghz), perPacket(row.PeerValue, c.size, ghz)
		if k := cs[k+1]; k.turn == nil && row.PeerAlso != nil {
			row.PeerAlso["allocs"] = float64(allocs(k))
		}
		r.emit(row)
	}
	return nil
}

// srtpContenders makes Sluice's and then those of the peers that have the
// profile, and proves that they do the same before their speed is of interest:
// the last packet of everybody's first run.
func srtpContenders(c srtpCase, path string, peers []peer, rivals map[string]rival) (cs []contender, able []peer, err error) {
	ours, out, err := srtpSluice(c)
	if err != nil {
		return nil, nil, err
	}
	once(ours)
	want := bytes.Clone(out())
	cs = append(cs, ours)
	for _, p := range peers {
		var k contender
		var got []byte
		switch far := rivals[p.name]; {
		case far != nil:
			a, err := far.load(path, nil)
			if err == nil && !a.Missing {
				got, err = hex.DecodeString(a.Result)
			}
			if err != nil {
				return nil, nil, err
			}
			if a.Missing {
				continue
			}
			k = remote(far)
		case p.name == goStdlib.name:
			// Nonces, and so packets, of its own.
			k, err = srtpStdlib(c)
			got = want
		case p.name == noExtension.name:
			if !c.ext {
				continue
			}
			bare := c
			bare.ext = false
			k, _, err = srtpSluice(bare)
			got = want
		case p.name == srtpPionPeer.name:
			if k, out, err = srtpPion(c); err == nil {
				once(k)
				got = out()
			}
		default:
			err = fmt.Errorf("%s has not been started", p.name)
		}
		if err != nil {
			return nil, nil, err
		}
		if !bytes.Equal(want, got) {
			return nil, nil, fmt.Errorf("sluice and %s disagree about the same packet (%d and %d bytes)", p.name, len(want), len(got))
		}
		k.name = p.name
		cs, able = append(cs, k), append(able, p)
	}
	return cs, able, nil
}

// srtpKeys are the master key and salt of receiver i.
func srtpKeys(p srtp.Profile, i int) (key, salt []byte) {
	key, salt = make([]byte, p.KeyLen()), make([]byte, p.SaltLen())
	for k := range key {
		key[k] = byte(k*7 + i)
	}
	for k := range salt {
		salt[k] = byte(k*11 + i + 1)
	}
	return key, salt
}

// header is the length of the packets' header.
func (c srtpCase) header() int {
	if c.ext {
		return srtpFixed + len(srtpExtensions)
	}
	return srtpFixed
}

func (c srtpCase) contexts() ([]*srtp.Context, error) {
	cs := make([]*srtp.Context, c.keys)
	for i := range cs {
		key, salt := srtpKeys(c.profile, i)
		ctx, err := srtp.NewContext(c.profile, key, salt)
		if err != nil {
			return nil, err
		}
		cs[i] = ctx
	}
	return cs, nil
}

// srtpPlain is a packet before its first sequence number.
func srtpPlain(c srtpCase) []byte {
	header := c.header()
	b := make([]byte, header+c.size, srtpRoom)
	copy(b, []byte{0x80, 96, 0, 0, 0, 0, 0, 1, 0, 0, 0, 7})
	if c.ext {
		b[0] |= 0x10
		copy(b[srtpFixed:], srtpExtensions)
	}
	for i := range b[header:] {
		b[header+i] = byte(srtpFixed + i)
	}
	return b
}

func srtpBuffers() [][]byte {
	bufs := make([][]byte, srtpRun)
	slab := make([]byte, srtpRun*srtpRoom)
	for i := range bufs {
		bufs[i] = slab[i*srtpRoom : (i+1)*srtpRoom : (i+1)*srtpRoom]
	}
	return bufs
}

func putSeq(b []byte, seq uint16) { b[2], b[3] = byte(seq>>8), byte(seq) }

// must ends a benchmark whose packets do not authenticate: what it would
// measure is something else.
func must(err error) {
	if err != nil {
		panic(err)
	}
}
