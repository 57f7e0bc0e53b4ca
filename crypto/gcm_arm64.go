//go:build !purego

package crypto

import (
	"crypto/aes"
	"encoding/binary"
)

// Limits of the kernels. What is beyond them goes to the standard library.
const (
	// gcmMaxPayload is what a media packet, or a record of the largest UDP
	// datagram that is not fragmented, needs; it bounds how long a batch keeps
	// the goroutine from being preempted.
	gcmMaxPayload = 16384
	// gcmMaxAAD is an RTP header with 52 bytes of sources and extensions.
	gcmMaxAAD = 64
)

// gcmPowers is how many powers of H are kept: of eight blocks, or of a tail and
// the block of lengths.
const gcmPowers = 9

// gcmTable is an expanded key as the kernels read it.
type gcmTable struct {
	roundKeys [15][16]byte
	rounds    uint64
	_         uint64
	h         [gcmPowers][2]uint64 // H^9 to H^1, times x; the low half first
	x         [gcmPowers][2]uint64 // of each, its halves added, twice
}

//go:noescape
func aesSubWord(w uint32) uint32

//go:noescape
func ghashARM64(t *gcmTable, y *[16]byte, p *byte, n int)

//go:noescape
func gcmSealARM64(jobs *GCMJob, n int)

//go:noescape
func gcmOpenARM64(jobs *GCMJob, n int)

//go:noescape
func gcmSealEOR3(jobs *GCMJob, n int)

//go:noescape
func gcmOpenEOR3(jobs *GCMJob, n int)

// expand fills the table for a key of 16 or 32 bytes.
func (t *gcmTable) expand(key []byte) {
	if active == levelGeneric {
		return
	}
	t.rounds = expandAES(&t.roundKeys, key)
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the length was checked
	}
	defer Wipe(block)
	var power, none [16]byte
	block.Encrypt(power[:], none[:])
	for n := 1; ; n++ {
		t.setPower(n, &power)
		if n == gcmPowers {
			break
		}
		var next [16]byte
		ghashARM64(t, &next, &power[0], 1)
		power = next
	}
	clear(power[:])
}

// setPower notes H^n, multiplied by x: the product of two reflected polynomials
// comes out one bit too low.
func (t *gcmTable) setPower(n int, power *[16]byte) {
	hi, lo := binary.BigEndian.Uint64(power[:]), binary.BigEndian.Uint64(power[8:])
	carry := -(hi >> 63) // all ones if x^127 overflows; no branch on the key
	hi, lo = hi<<1|lo>>63, lo<<1
	hi, lo = hi^carry&0xc200000000000000, lo^carry&1
	t.h[gcmPowers-n] = [2]uint64{lo, hi}
	t.x[gcmPowers-n] = [2]uint64{lo ^ hi, lo ^ hi}
}

// expandAES fills in the round keys (FIPS 197 §5.2) and returns the number of
// rounds. The substitution is the instruction's: a table would tell the caches
// of the key.
func expandAES(roundKeys *[15][16]byte, key []byte) (rounds uint64) {
	nk := len(key) / 4
	var w [60]uint32
	for i := range nk {
		w[i] = binary.BigEndian.Uint32(key[4*i:])
	}
	n, rcon := 4*(nk+7), uint32(1)
	for i := nk; i < n; i++ {
		t := w[i-1]
		switch {
		case i%nk == 0:
			t = aesSubWord(t<<8|t>>24) ^ rcon<<24
			if rcon <<= 1; rcon > 0xff {
				rcon ^= 0x11b
			}
		case nk == 8 && i%nk == 4:
			t = aesSubWord(t)
		}
		w[i] = w[i-nk] ^ t
	}
	for i := range n {
		binary.BigEndian.PutUint32(roundKeys[i/4][i%4*4:], w[i])
	}
	clear(w[:])
	return uint64(nk + 6)
}

// ready reports whether the table holds a key.
func (t *gcmTable) ready() bool { return t.rounds != 0 }

// key is what the table was made of, n bytes: the first round keys are the key
// itself (FIPS 197 §5.2).
func (t *gcmTable) key() (key [32]byte, n int) {
	copy(key[:16], t.roundKeys[0][:])
	copy(key[16:], t.roundKeys[1][:])
	return key, 4 * int(t.rounds-6)
}

// kernelTakes reports whether the kernels take a payload and an AAD of these
// lengths.
func kernelTakes(payload, aad int) bool {
	return active != levelGeneric && payload <= gcmMaxPayload && aad <= gcmMaxAAD
}

func sealGCMKernel(jobs []GCMJob) {
	if active == levelEOR3 {
		gcmSealEOR3(&jobs[0], len(jobs))
	} else {
		gcmSealARM64(&jobs[0], len(jobs))
	}
}

func openGCMKernel(jobs []GCMJob) {
	if active == levelEOR3 {
		gcmOpenEOR3(&jobs[0], len(jobs))
	} else {
		gcmOpenARM64(&jobs[0], len(jobs))
	}
	for i := range jobs {
		if !jobs[i].OK {
			clear(jobs[i].Dst)
		}
	}
}
