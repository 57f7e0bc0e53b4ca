package dtls

import aead "github.com/sluicertc/sluice/crypto"

// RecordJob is one record of a batch: the arguments and results of
// Records.SealAs or Records.Open.
type RecordJob struct {
	Records *Records
	Dst     []byte
	Src     []byte // SealBatch: the plaintext; OpenBatch: one record

	ContentType uint8 // SealBatch: in, 0 means application data; OpenBatch: out
	N           int   // out: length of the result in Dst, 0 when Err is set
	Err         error // out
}

// Batch is scratch for batches over any number of associations. It belongs to
// one shard (data lane); it grows to the largest batch seen and allocates no
// more. The zero value is ready.
type Batch struct {
	gcm []aead.GCMJob
	job []int // index into the caller's jobs
	aad [][aadLen]byte
}

// SealBatch seals jobs in order; see Records.SealAs. The outcome of each is in
// N and Err.
func (b *Batch) SealBatch(jobs []RecordJob) {
	b.reserve(len(jobs))
	for i := range jobs {
		j := &jobs[i]
		if j.ContentType == 0 {
			j.ContentType = ContentApplicationData
		}
		gcm, aad := b.slot(i)
		j.N, j.Err = j.Records.sealJob(gcm, aad, j.Dst, j.ContentType, j.Src)
		if j.Err != nil {
			b.drop()
		}
	}
	aead.SealBatch(b.gcm)
	for _, i := range b.job {
		jobs[i].Records.stats.Sealed++
	}
	b.reset()
}

// OpenBatch opens jobs in order; see Records.Open. The outcome of each is in N,
// ContentType and Err.
func (b *Batch) OpenBatch(jobs []RecordJob) {
	b.reserve(len(jobs))
	for i := range jobs {
		j := &jobs[i]
		gcm, aad := b.slot(i)
		j.ContentType = 0
		j.N, j.Err = j.Records.openJob(gcm, aad, j.Dst, j.Src)
		if j.Err != nil {
			j.Records.count(j.Err)
			b.drop()
		}
	}
	aead.OpenBatch(b.gcm)
	for k, i := range b.job {
		j := &jobs[i]
		if j.Err = j.Records.opened(b.gcm[k].OK, sequence(j.Src)); j.Err != nil {
			j.Records.count(j.Err)
			j.N = 0
			continue
		}
		j.ContentType = j.Src[0]
		move(j.Dst, &b.gcm[k], j.N)
	}
	b.reset()
}

// reserve makes room for n jobs, so that pointers into aad stay valid.
func (b *Batch) reserve(n int) {
	if cap(b.gcm) < n {
		b.gcm = make([]aead.GCMJob, 0, n)
		b.job = make([]int, 0, n)
		b.aad = make([][aadLen]byte, n)
	}
}

func (b *Batch) slot(i int) (*aead.GCMJob, *[aadLen]byte) {
	k := len(b.gcm)
	b.gcm = b.gcm[:k+1]
	b.job = append(b.job, i)
	return &b.gcm[k], &b.aad[k]
}

func (b *Batch) drop() {
	b.gcm = b.gcm[:len(b.gcm)-1]
	b.job = b.job[:len(b.job)-1]
}

// reset forgets the buffers of the callers.
func (b *Batch) reset() {
	clear(b.gcm)
	b.gcm, b.job = b.gcm[:0], b.job[:0]
}
