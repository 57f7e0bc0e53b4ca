//go:build !purego

package crypto

// ctrMaxPayload is where the one byte that the kernels count in ends. What is
// longer goes to the standard library.
const ctrMaxPayload = 256 * blockSize

// cmTable is an expanded key as the kernels read it.
type cmTable struct {
	//lint:ignore U1000 the kernels write and read it
	roundKeys    [15][16]byte
	rounds       uint64
	inner, outer sha1State // after ipad and opad; zero where the standard library hashes
}

//go:noescape
func ctrExpand(t *cmTable, key *byte, rounds int)

//go:noescape
func ctrAESNI(jobs *CMJob, n int, open bool)

//go:noescape
func ctrVAES(jobs *CMJob, n int, open bool)

//go:noescape
func ctrAVX512(jobs *CMJob, n int, open bool)

// expand fills the table for keys of the sizes that NewCMKey takes.
func (t *cmTable) expand(enc, auth []byte) {
	if active == levelGeneric {
		return
	}
	ctrExpand(t, &enc[0], len(enc)/4+6)
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

func ctrKernel(jobs []CMJob, open bool) {
	switch active {
	case levelAVX512:
		ctrAVX512(&jobs[0], len(jobs), open)
	case levelVAES:
		ctrVAES(&jobs[0], len(jobs), open)
	default:
		ctrAESNI(&jobs[0], len(jobs), open)
	}
}

func sealCMKernel(jobs []CMJob) {
	ctrKernel(jobs, false)
	macBatch(jobs, false)
}

func openCMKernel(jobs []CMJob) {
	macBatch(jobs, true)
	ctrKernel(jobs, true)
}
