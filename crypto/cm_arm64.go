//go:build !purego

package crypto

// ctrMaxPayload is MaxPayload; the kernels count in 32 bits.
const ctrMaxPayload = MaxPayload

// cmTable is an expanded key as the kernels read it.
type cmTable struct {
	roundKeys    [15][16]byte
	rounds       uint64
	inner, outer sha1State // after ipad and opad; zero where the standard library hashes
}

//go:noescape
func ctrARM64(jobs *CMJob, n int, open bool)

// expand fills the table for keys of the sizes that NewCMKey takes.
func (t *cmTable) expand(enc, auth []byte) {
	if active == levelGeneric {
		return
	}
	t.rounds = expandAES(&t.roundKeys, enc)
	if activeHash != hashStdlib {
		t.inner.pad(auth, 0x36)
		t.outer.pad(auth, 0x5c)
	}
}

// ready reports whether the table holds a key.
func (t *cmTable) ready() bool { return t.rounds != 0 }

// cmKernelTakes reports whether the kernels take a payload of this length.
func cmKernelTakes(payload int) bool {
	return active != levelGeneric && payload <= ctrMaxPayload
}

func sealCMKernel(jobs []CMJob) {
	ctrARM64(&jobs[0], len(jobs), false)
	macBatch(jobs, false)
}

func openCMKernel(jobs []CMJob) {
	macBatch(jobs, true)
	ctrARM64(&jobs[0], len(jobs), true)
}
