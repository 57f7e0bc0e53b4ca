//go:build !purego

package crypto

// Limits of the kernels. What is beyond them goes to the standard library.
const (
	// gcmMaxPayload is as far as the table of counter blocks reaches.
	gcmMaxPayload = 4096
	// gcmMaxAAD is four blocks, for which there are powers of H: an RTP header
	// with 52 bytes of sources and extensions.
	gcmMaxAAD = 64
)

// gcmPowers is how many powers of H are kept: the blocks of a group or of the
// last 255 bytes, the block of lengths and those of the AAD.
const gcmPowers = 21

// gcmTable is an expanded key as the kernels read it.
type gcmTable struct {
	roundKeys [15][16]byte
	rounds    uint64
	_         uint64
	h         [gcmPowers + 4][16]byte // H^21 to H^1, then zeros
	x         [gcmPowers + 4][16]byte // of each, its halves added
}

//go:noescape
func gcmExpand(t *gcmTable, key *byte, rounds int)

//go:noescape
func gcmSealAESNI(jobs *GCMJob, n int)

//go:noescape
func gcmOpenAESNI(jobs *GCMJob, n int)

//go:noescape
func gcmSealVAES(jobs *GCMJob, n int)

//go:noescape
func gcmOpenVAES(jobs *GCMJob, n int)

//go:noescape
func gcmSealAVX512(jobs *GCMJob, n int)

//go:noescape
func gcmOpenAVX512(jobs *GCMJob, n int)

// expand fills the table for a key of 16 or 32 bytes.
func (t *gcmTable) expand(key []byte) {
	if active != levelGeneric {
		gcmExpand(t, &key[0], len(key)/4+6)
	}
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
	switch active {
	case levelAVX512:
		gcmSealAVX512(&jobs[0], len(jobs))
	case levelVAES:
		gcmSealVAES(&jobs[0], len(jobs))
	default:
		gcmSealAESNI(&jobs[0], len(jobs))
	}
}

func openGCMKernel(jobs []GCMJob) {
	switch active {
	case levelAVX512:
		gcmOpenAVX512(&jobs[0], len(jobs))
	case levelVAES:
		gcmOpenVAES(&jobs[0], len(jobs))
	default:
		gcmOpenAESNI(&jobs[0], len(jobs))
	}
	for i := range jobs {
		if !jobs[i].OK {
			clear(jobs[i].Dst)
		}
	}
}
