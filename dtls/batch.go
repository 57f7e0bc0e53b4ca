package dtls

import aead "github.com/sluicertc/sluice/crypto"

// RecordJob is one record of a batch: the arguments and results of
// Records.SealAs or Records.Open.
type RecordJob struct {
	Records *Records
	// Dst: see Records.SealAs and Records.Open. OpenBatch opens in place where
	// Dst is nil, and then points it at the plaintext, which is Dst[:N].
	Dst []byte
	Src []byte // SealBatch: the plaintext; OpenBatch: one record

	ContentType uint8 // SealBatch: in, 0 means application data; OpenBatch: out
	N           int   // out: length of the result in Dst, 0 when Err is set
	Err         error // out
}

// Batch is scratch for batches over any number of associations. It belongs to
// one shard (data lane); it grows to the largest batch seen and allocates no
// more. The zero value is ready.
type Batch struct {
	gcm  []aead.GCMJob
	job  []int // index into the caller's jobs
	slot []slot
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
		gcm, s := b.add(i)
		j.N, j.Err = j.Records.sealJob(gcm, s, j.Dst, j.ContentType, j.Src)
		switch {
		case j.Err != nil:
			b.drop()
		case s.key.gcm == nil:
			s.key.sealSlow(gcm)
			j.Records.sealed(gcm, s, j.Dst)
			b.drop()
		}
	}
	aead.SealBatch(b.gcm)
	for k, i := range b.job {
		jobs[i].Records.sealed(&b.gcm[k], &b.slot[k], jobs[i].Dst)
	}
	b.reset()
}

// OpenBatch opens jobs in order; see Records.Open. The outcome of each is in N,
// ContentType and Err.
func (b *Batch) OpenBatch(jobs []RecordJob) {
	b.reserve(len(jobs))
	for i := range jobs {
		j := &jobs[i]
		gcm, s := b.add(i)
		j.N, j.ContentType = 0, 0
		j.Err = j.Records.openJob(gcm, s, j.Dst, j.Src)
		switch {
		case j.Err != nil:
			j.Records.count(j.Err)
			b.drop()
		case s.key.gcm == nil:
			s.key.openSlow(gcm)
			j.settle(gcm, s)
			b.drop()
		}
	}
	aead.OpenBatch(b.gcm)
	for k, i := range b.job {
		jobs[i].settle(&b.gcm[k], &b.slot[k])
	}
	b.reset()
}

// settle writes the outcome of an opened record into its job.
func (j *RecordJob) settle(gcm *aead.GCMJob, s *slot) {
	plain, contentType, err := j.Records.opened(gcm, s, j.Src)
	if j.Err = err; err != nil {
		j.Records.count(err)
		return
	}
	j.N, j.ContentType = len(plain), contentType
	if j.Dst == nil {
		j.Dst = plain
	}
}

// reserve makes room for n jobs, so that pointers into slot stay valid.
func (b *Batch) reserve(n int) {
	if cap(b.gcm) < n {
		b.gcm = make([]aead.GCMJob, 0, n)
		b.job = make([]int, 0, n)
		b.slot = make([]slot, n)
	}
}

func (b *Batch) add(i int) (*aead.GCMJob, *slot) {
	k := len(b.gcm)
	b.gcm = b.gcm[:k+1]
	b.job = append(b.job, i)
	return &b.gcm[k], &b.slot[k]
}

func (b *Batch) drop() {
	k := len(b.gcm) - 1
	b.gcm[k] = aead.GCMJob{}
	b.gcm, b.job = b.gcm[:k], b.job[:k]
}

// reset forgets the buffers of the callers.
func (b *Batch) reset() {
	for k := range b.gcm {
		b.slot[k].dst = nil
	}
	clear(b.gcm)
	b.gcm, b.job = b.gcm[:0], b.job[:0]
}
