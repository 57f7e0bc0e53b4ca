package dtls

import (
	"encoding/binary"

	aead "github.com/sluicertc/sluice/crypto"
)

const (
	// RecordOverhead is how much longer a sealed record is than its plaintext:
	// header 13, explicit nonce 8, tag 16.
	RecordOverhead = RecordHeadroom + tagLen
	// RecordHeadroom is the part of RecordOverhead in front of the payload. A
	// plaintext that lies RecordHeadroom into dst is sealed in place.
	RecordHeadroom = headerLen + nonceLen

	nonceLen = 8
	tagLen   = 16
)

// Records protects and opens the records of epoch 1: one association, both
// directions. It belongs to Conn until Conn.Records hands it over, then to the
// data lane; it has one owner at a time and no lock.
type Records struct {
	sealKey *aead.GCMKey
	openKey *aead.GCMKey
	sealIV  [4]byte
	openIV  [4]byte

	next   uint64 // sequence number of the next record sealed
	blocks uint64 // AES blocks sealed, for maxSealBlocks
	window replayWindow
	stats  RecordStats

	// one is the scratch of Open and Seal: what lies here does not escape.
	one [1]aead.GCMJob
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

// Open authenticates and decrypts one record, as SplitRecord cuts it, into
// dst[:n]. dst needs len(rec)-RecordOverhead bytes; it starts where rec, its
// payload (rec[13:]) or its ciphertext (rec[RecordHeadroom:]) starts, or is
// disjoint from rec. When it is in place, a record that fails is destroyed.
//
// contentType is ContentApplicationData, ContentHandshake or ContentAlert; the
// latter two go to Conn.HandleRecord. A record that is seen a second time, or is
// older than 193 to 256 records, gives ErrReplay; one of epoch 0, ErrEpoch: give
// its datagram to Conn.HandlePacket. The replay window moves for authentic
// records only (RFC 6347 §4.1.2.6). Every error is a reason to drop the record
// and nothing more (§4.1.2.7).
func (r *Records) Open(dst, rec []byte) (n int, contentType uint8, err error) {
	n, err = r.openJob(&r.one[0], &r.aad, dst, rec)
	if err != nil {
		return 0, 0, r.count(err)
	}
	aead.OpenBatch(r.one[:])
	job := r.one[0]
	r.one[0] = aead.GCMJob{}
	contentType = rec[0]
	if err := r.opened(job.OK, sequence(rec)); err != nil {
		return 0, 0, r.count(err)
	}
	move(dst, &job, n)
	return n, contentType, nil
}

// Seal makes msg a record of application data in dst[:n], n being len(msg) +
// RecordOverhead. msg is at most 2^14 bytes; it starts where dst starts, or at
// dst[RecordHeadroom:], or is disjoint from dst.
// Errors: ErrTooLong, ErrShortBuffer, ErrKeyExhausted.
func (r *Records) Seal(dst, msg []byte) (n int, err error) {
	return r.SealAs(dst, ContentApplicationData, msg)
}

// SealAs is Seal with another content type: ContentHandshake or ContentAlert,
// for what Conn.TransmitRecord returned.
func (r *Records) SealAs(dst []byte, contentType uint8, msg []byte) (n int, err error) {
	n, err = r.sealJob(&r.one[0], &r.aad, dst, contentType, msg)
	if err != nil {
		return 0, err
	}
	aead.SealBatch(r.one[:])
	ok := r.one[0].OK
	r.one[0] = aead.GCMJob{}
	if !ok {
		return 0, ErrTooLong // unreachable: sealJob has checked the lengths
	}
	r.stats.Sealed++
	return n, nil
}

// Exhausted tells whether Seal, or Open, has reached its key's limit.
func (r *Records) Exhausted() bool {
	return r.next > maxSequence || r.blocks > maxSealBlocks || r.stats.Forged >= maxForgeries
}

// openJob checks what can be checked without the key and fills in job.
func (r *Records) openJob(job *aead.GCMJob, aad *[aadLen]byte, dst, rec []byte) (int, error) {
	if len(rec) < RecordOverhead || len(rec)-RecordOverhead > maxFragment ||
		int(binary.BigEndian.Uint16(rec[11:])) != len(rec)-headerLen ||
		binary.BigEndian.Uint16(rec[1:]) != VersionDTLS12 {
		// A plaintext record may be shorter than a sealed one.
		if len(rec) >= headerLen && Epoch(rec) != 1 {
			return 0, ErrEpoch
		}
		return 0, ErrRecord
	}
	if Epoch(rec) != 1 {
		return 0, ErrEpoch
	}
	if t := rec[0]; t != ContentApplicationData && t != ContentHandshake && t != ContentAlert {
		return 0, ErrRecord
	}
	n := len(rec) - RecordOverhead
	if len(dst) < n {
		return 0, ErrShortBuffer
	}
	if !r.window.fresh(sequence(rec)) {
		return 0, ErrReplay
	}
	if r.stats.Forged >= maxForgeries {
		return 0, ErrKeyExhausted
	}
	job.Key = r.openKey
	job.Nonce = nonce12(r.openIV, rec[headerLen:RecordHeadroom])
	aad12(aad, rec, n)
	job.AAD = aad[:]
	job.Src = rec[RecordHeadroom:]
	job.Dst = dst[:n]
	if n > 0 && (&dst[0] == &rec[0] || &dst[0] == &rec[headerLen]) {
		job.Dst = rec[RecordHeadroom : RecordHeadroom+n] // the overlap must be exact
	}
	job.OK = false
	return n, nil
}

// move brings a plaintext opened in place to dst.
func move(dst []byte, job *aead.GCMJob, n int) {
	if n > 0 && &dst[0] != &job.Dst[0] {
		copy(dst[:n], job.Dst)
	}
}

// opened settles a record after the AEAD has judged it.
func (r *Records) opened(authentic bool, seq uint64) error {
	if !authentic {
		return ErrAuth
	}
	if !r.window.fresh(seq) { // a batch may hold a record twice
		return ErrReplay
	}
	r.window.accept(seq)
	r.stats.Opened++
	return nil
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
func (r *Records) sealJob(job *aead.GCMJob, aad *[aadLen]byte, dst []byte, contentType uint8, msg []byte) (int, error) {
	if contentType != ContentApplicationData && contentType != ContentHandshake && contentType != ContentAlert {
		return 0, ErrContentType
	}
	if len(msg) > maxFragment {
		return 0, ErrTooLong
	}
	n := len(msg) + RecordOverhead
	if len(dst) < n {
		return 0, ErrShortBuffer
	}
	blocks := uint64(len(msg)+15)/16 + 1
	if r.next > maxSequence || r.blocks+blocks > maxSealBlocks {
		return 0, ErrKeyExhausted
	}
	if len(msg) > 0 && &dst[0] == &msg[0] {
		copy(dst[RecordHeadroom:], msg)
		msg = dst[RecordHeadroom : RecordHeadroom+len(msg)]
	}
	r.blocks += blocks
	epochSeq := 1<<48 | r.next
	r.next++
	putHeader(dst, contentType, epochSeq, n-headerLen)
	// RFC 5288 §3 leaves the explicit nonce to the sender, who must not repeat
	// it: epoch and sequence number, which never do.
	binary.BigEndian.PutUint64(dst[headerLen:], epochSeq)
	job.Key = r.sealKey
	job.Nonce = nonce12(r.sealIV, dst[headerLen:RecordHeadroom])
	aad12(aad, dst, len(msg))
	job.AAD = aad[:]
	job.Src = msg
	job.Dst = dst[RecordHeadroom:n]
	job.OK = false
	return n, nil
}
