package main

import (
	"bytes"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"

	"github.com/sluicertc/sluice/srtp"
)

const (
	srtpRun    = 64 // packets a run
	srtpHeader = 12 // bytes, authenticated only
	// srtpRoom is a buffer's length: the longest payload, header, tag, and
	// what vector code may overshoot.
	srtpRoom = 1200 + srtpHeader + 16 + 160
)

// An srtpCase is a path of the scenario, taken apart.
type srtpCase struct {
	open    bool
	profile srtp.Profile
	size    int // payload behind the header
	batch   int // packets a call: 1, 16 or, with a key each, 64
	fan     bool
}

var srtpProfiles = map[string]srtp.Profile{
	"gcm128": srtp.AEAD_AES_128_GCM, "gcm256": srtp.AEAD_AES_256_GCM, "cm80": srtp.AES128_CM_HMAC_SHA1_80,
}

func srtpScenario() *scenario {
	s := &scenario{
		name: "srtp", about: "protect and unprotect RTP packets: one by one, in batches, and for 64 receivers",
		peers: []peer{goStdlib, {name: "pion/srtp", version: module("github.com/pion/srtp/v3")}},
	}
	for _, op := range []string{"protect", "unprotect"} {
		for _, profile := range []string{"gcm128", "gcm256", "cm80"} {
			for _, size := range []string{"100B", "1000B", "1200B"} {
				for _, batch := range []string{"one", "batch16", "fan64"} {
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
	if _, err := fmt.Sscanf(parts[2], "%dB", &c.size); err != nil {
		return c, fmt.Errorf("%q: %w", path, err)
	}
	switch parts[3] {
	case "one":
		c.batch = 1
	case "batch16":
		c.batch = 16
	case "fan64":
		c.batch, c.fan = srtpRun, true
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
	for i, path := range cases {
		r.table.status("srtp %d/%d %s", i+1, len(cases), path)
		c, err := parseSRTP(path)
		if err != nil {
			return err
		}
		cs, err := srtpContenders(c, peers)
		if err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		stop, err := r.startProfile("srtp", path)
		if err != nil {
			return err
		}
		times := interleave(cs, rounds)
		if err := stop(); err != nil {
			return err
		}
		count := allocs(cs[0])
		for k, p := range peers {
			row := Row{Scenario: "srtp", Case: path, Unit: "ns/packet", Better: lower, Peer: p.name, PeerVersion: p.version(), Allocs: &count}
			row.compare(times[0], times[k+1])
			r.emit(row)
		}
	}
	return nil
}

// startProfile profiles this process if -cpuprofile was given. The samples
// carry the label "contender".
func (r *run) startProfile(scenario, kase string) (stop func() error, err error) {
	if r.profile == "" {
		return func() error { return nil }, nil
	}
	f, err := os.Create(r.profilePath(scenario, kase, "all"))
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, err
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}

// srtpContenders makes Sluice's and then the peers', and proves that they do
// the same before their speed is of interest.
func srtpContenders(c srtpCase, peers []peer) ([]contender, error) {
	ours, out, err := srtpSluice(c)
	if err != nil {
		return nil, err
	}
	cs := []contender{ours}
	for _, p := range peers {
		var peer contender
		var peerOut func() []byte
		switch p.name {
		case goStdlib.name:
			peer, err = srtpStdlib(c)
		default:
			peer, peerOut, err = srtpPion(c)
		}
		if err != nil {
			return nil, err
		}
		peer.name = p.name
		if peerOut != nil {
			// A run each from the same state.
			for _, k := range []contender{ours, peer} {
				if k.prepare != nil {
					k.prepare()
				}
				k.run()
			}
			if a, b := out(), peerOut(); !bytes.Equal(a, b) {
				return nil, fmt.Errorf("sluice and %s disagree about the same packet (%d and %d bytes)", p.name, len(a), len(b))
			}
		}
		cs = append(cs, peer)
	}
	return cs, nil
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

func (c srtpCase) keys() int {
	if c.fan {
		return srtpRun
	}
	return 1
}

func (c srtpCase) contexts() ([]*srtp.Context, error) {
	cs := make([]*srtp.Context, c.keys())
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
	b := make([]byte, srtpHeader+c.size, srtpRoom)
	copy(b, []byte{0x80, 96, 0, 0, 0, 0, 0, 1, 0, 0, 0, 7})
	for i := srtpHeader; i < len(b); i++ {
		b[i] = byte(i)
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
