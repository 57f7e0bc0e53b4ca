package dtls

import aead "github.com/sluicertc/sluice/crypto"

const (
	// RecordOverhead is the most by which a sealed record is longer than its
	// plaintext, in any version and cipher suite: header 13, explicit nonce 8,
	// tag 16. Records.Overhead says it exactly.
	RecordOverhead = RecordHeadroom + tagLen
	// RecordHeadroom is the most of it that lies in front of the payload; see
	// Records.Headroom.
	RecordHeadroom = headerLen + nonceLen
)

// Records protects and opens the records of application data: one association,
// both directions. It belongs to Conn until Conn.Records hands it over, then to
// the data lane; it has one owner at a time and no lock.
type Records struct {
	v13      bool
	headroom int
	overhead int

	seal *protection
	open *protection
	// Only in DTLS 1.3: the epoch before open, for records which were overtaken
	// by a key update, and the one behind it, for the update to come.
	prev, ahead *protection
	// updating: the KeyUpdate with this message_seq went out in records from
	// updateFrom (of seal's epoch) on; the keys change when one of them is
	// acknowledged, and not again when that message is repeated.
	updating   bool
	updateSeq  int // -1: there was none
	updateFrom uint64

	stats RecordStats

	// job and slot are the scratch of Open and Seal: what lies here does not
	// escape.
	job  [1]aead.GCMJob
	slot slot
}

// slot is what a batch must remember of a record besides its AEAD job.
type slot struct {
	key *protection
	seq uint64
	dst []byte // opening: where the plaintext is wanted, nil for in place
	aad [aadLen]byte
}

// RecordStats counts what became of records, in packets.
type RecordStats struct {
	Sealed    uint64
	Opened    uint64
	Malformed uint64 // ErrRecord
	Epoch     uint64 // ErrEpoch
	Forged    uint64 // ErrAuth
	Replayed  uint64 // ErrReplay
}

// Stats returns the counters so far.
func (r *Records) Stats() RecordStats { return r.stats }

// Headroom is the part of Overhead that lies in front of the payload, at most
// RecordHeadroom. A plaintext that lies so far into dst is sealed in place.
func (r *Records) Headroom() int { return r.headroom }

// Overhead is how much longer a sealed record is than its plaintext, at most
// RecordOverhead: 37 with AES-GCM and 29 with ChaCha20 in DTLS 1.2, 22 in 1.3.
func (r *Records) Overhead() int { return r.overhead }

// Owns tells whether a record cut by SplitRecord is for Open. The others,
// plaintext and the handshake epoch of DTLS 1.3, go to Conn.HandlePacket.
func (r *Records) Owns(rec []byte) bool {
	if !r.v13 || !unified(rec) {
		return Epoch(rec) != 0
	}
	return !handshakeBits(rec) || r.keyFor(rec) != nil
}

// Open authenticates and decrypts one record, as SplitRecord cuts it, into
// dst[:n]. dst needs len(rec)-RecordOverhead bytes, in DTLS 1.3 len(rec); it
// starts where rec starts, or its payload, or RecordHeadroom into it, or is
// disjoint from rec. When it is in place, a record that fails is destroyed.
//
// contentType is ContentApplicationData, or ContentHandshake, ContentAlert or
// ContentACK; these go to Conn.HandleRecord as they are. A record that is seen a
// second time, or is older than 193 to 256 records, gives ErrReplay; one of
// another epoch, ErrEpoch: see Owns. The replay window moves for authentic
// records only (RFC 6347 §4.1.2.6, RFC 9147 §4.5.1). Every error is a reason to
// drop the record and nothing more (RFC 6347 §4.1.2.7, RFC 9147 §4.5.2).
func (r *Records) Open(dst, rec []byte) (n int, contentType uint8, err error) {
	job, s := &r.job[0], &r.slot
	if dst == nil {
		dst = []byte{} // nil would be in place
	}
	if err = r.openJob(job, s, dst, rec); err != nil {
		return 0, 0, r.count(err)
	}
	if s.key.gcm == nil {
		s.key.openSlow(job)
	} else {
		aead.OpenBatch(r.job[:])
	}
	plain, contentType, err := r.opened(job, s, rec)
	*job, s.dst = aead.GCMJob{}, nil
	if err != nil {
		return 0, 0, r.count(err)
	}
	return len(plain), contentType, nil
}

// Seal makes msg a record of application data in dst[:n], n being len(msg) +
// Overhead. msg is at most 2^14 bytes; it starts where dst starts, or at
// dst[Headroom:], or is disjoint from dst.
// Errors: ErrTooLong, ErrShortBuffer, ErrKeyExhausted.
func (r *Records) Seal(dst, msg []byte) (n int, err error) {
	return r.SealAs(dst, ContentApplicationData, msg)
}

// SealAs is Seal with another content type: ContentHandshake, ContentAlert or
// ContentACK, for what Conn.TransmitRecord returned.
func (r *Records) SealAs(dst []byte, contentType uint8, msg []byte) (n int, err error) {
	job, s := &r.job[0], &r.slot
	if n, err = r.sealJob(job, s, dst, contentType, msg); err != nil {
		return 0, err
	}
	if s.key.gcm == nil {
		s.key.sealSlow(job)
	} else {
		aead.SealBatch(r.job[:])
	}
	r.sealed(job, s, dst)
	*job = aead.GCMJob{}
	return n, nil
}

// Exhausted tells whether Seal, or Open, has reached its key's limit.
func (r *Records) Exhausted() bool {
	return r.seal.exhausted() || r.stats.Forged >= maxForgeries
}

// WantsUpdate tells whether Conn.UpdateKeys should be called: three quarters of
// what the sealing key may do are done. In DTLS 1.2 keys cannot be renewed.
func (r *Records) WantsUpdate() bool {
	s := r.seal
	return r.v13 && !r.updating && (s.next > maxSequence/4*3 || s.gcm != nil && s.blocks > maxSealBlocks/4*3)
}

// openJob checks what can be checked without the key and fills in job.
func (r *Records) openJob(job *aead.GCMJob, s *slot, dst, rec []byte) (err error) {
	if r.v13 {
		err = r.openJob13(job, s, dst, rec)
	} else {
		err = r.openJob12(job, s, dst, rec)
	}
	if err == nil && r.stats.Forged >= maxForgeries {
		return ErrKeyExhausted
	}
	return err
}

// opened settles a record after the AEAD has judged it.
func (r *Records) opened(job *aead.GCMJob, s *slot, rec []byte) (plain []byte, contentType uint8, err error) {
	if !job.OK {
		return nil, 0, ErrAuth
	}
	if !s.key.window.fresh(s.seq) { // a batch may hold a record twice
		return nil, 0, ErrReplay
	}
	s.key.window.accept(s.seq)
	plain, contentType = job.Dst, rec[0]
	if r.v13 {
		if plain, contentType, err = r.opened13(s, plain); err != nil {
			return nil, 0, err
		}
	}
	r.stats.Opened++
	if s.dst != nil && len(plain) > 0 && &s.dst[0] != &plain[0] {
		plain = s.dst[:copy(s.dst[:len(plain)], plain)]
	}
	return plain, contentType, nil
}

// count books a refusal and returns it.
func (r *Records) count(err error) error {
	switch err {
	case ErrRecord:
		r.stats.Malformed++
	case ErrEpoch:
		r.stats.Epoch++
	case ErrAuth:
		r.stats.Forged++
	case ErrReplay:
		r.stats.Replayed++
	}
	return err
}

// sealJob takes a sequence number, writes the header and fills in job.
func (r *Records) sealJob(job *aead.GCMJob, s *slot, dst []byte, contentType uint8, msg []byte) (n int, err error) {
	if contentType != ContentApplicationData && contentType != ContentHandshake && contentType != ContentAlert &&
		(contentType != ContentACK || !r.v13) {
		return 0, ErrContentType
	}
	if len(msg) > maxFragment {
		return 0, ErrTooLong
	}
	if n = len(msg) + r.overhead; len(dst) < n {
		return 0, ErrShortBuffer
	}
	s.key = r.seal
	if s.seq, err = s.key.spend(len(msg)); err != nil {
		return 0, err
	}
	if len(msg) > 0 && (r.v13 || &dst[0] == &msg[0]) && &dst[r.headroom] != &msg[0] {
		msg = dst[r.headroom : r.headroom+copy(dst[r.headroom:], msg)]
	}
	if r.v13 {
		r.sealJob13(job, s, dst[:n], contentType, msg)
	} else {
		r.sealJob12(job, s, dst[:n], contentType, msg)
	}
	job.Key, job.OK = s.key.gcm, false
	return n, nil
}

// sealed finishes a record after the AEAD.
func (r *Records) sealed(job *aead.GCMJob, s *slot, dst []byte) {
	if !job.OK {
		panic("dtls: a record was not sealed") // sealJob has checked the lengths
	}
	if r.v13 {
		s.key.mask.apply(dst[1:3], dst[headerLen13:])
	}
	r.stats.Sealed++
}
