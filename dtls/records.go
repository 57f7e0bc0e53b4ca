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
	headroom int // sealing
	overhead int // sealing, without padding
	ids      connectionIDs
	pad      int // plaintexts are padded to multiples of this; 0: they are not
	mtu      int // and records not beyond this
	maxSeal  int // longest plaintext, with its type and padding where they are sealed
	maxOpen  int // the same of the peer's
	newest   bool

	seal *protection
	open *protection
	keys [2]protection // the first of both
	// Only in DTLS 1.3: the epoch before open, for records which were overtaken
	// by a key update, and the one behind it, once it may have begun.
	prev, ahead *protection
	// The last handshake message, its message_seq plus one, went out in records
	// from postFrom (of epoch postEpoch) on, and is acknowledged by an ACK for one
	// of them. updating: it is a KeyUpdate, upon which the keys change.
	post      int // 0: there was none
	postEpoch uint16
	postFrom  uint64
	updating  bool

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
	aad [maxAAD]byte
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
// RecordOverhead: 37 with AES-GCM and 29 with ChaCha20 in DTLS 1.2, 22 in 1.3. A
// connection ID of the peer's adds its length, and 1 in DTLS 1.2.
func (r *Records) Overhead() int { return r.overhead }

// MaxPlaintext is the longest message that Seal takes, in bytes: 2^14, or what the
// peer has limited it to (RFC 8449), at least 63.
func (r *Records) MaxPlaintext() int {
	if r.inner() {
		return min(maxFragment, r.maxSeal-1)
	}
	return r.maxSeal
}

// Newest tells whether the record that was opened last is newer than every one
// before it: only then may the address it came from count as the peer's (RFC 9146
// §6). See Conn.CheckPath.
func (r *Records) Newest() bool { return r.newest }

// inner tells whether the content type is sealed behind the content.
func (r *Records) inner() bool { return r.v13 || len(r.ids.peer) > 0 }

// Owns tells whether a record cut by SplitRecord is for Open. The others,
// plaintext and the handshake epoch of DTLS 1.3, go to Conn.HandlePacket.
func (r *Records) Owns(rec []byte) bool {
	if !r.v13 || !unified(rec) {
		return Epoch(rec) != 0
	}
	return !handshakeBits(rec) || r.keyFor(rec) != nil
}

// Open authenticates and decrypts one record, as SplitRecord cuts it, into
// dst[:n]. dst needs len(rec)-RecordOverhead bytes, in DTLS 1.3, or with a
// connection ID of ours, len(rec); it
// starts where rec starts, or its payload, or RecordHeadroom into it, or is
// disjoint from rec. When it is in place, a record that fails is destroyed.
//
// contentType is ContentApplicationData, or ContentHandshake, ContentAlert,
// ContentACK, ContentRoutability, or what nobody should have sealed; these go to
// Conn.HandleRecord as they are. It is never 0. A record that is seen a
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
// Overhead and, where Config.PadTo asks for it and dst has room, padding. msg is
// at most MaxPlaintext bytes; it starts where dst starts, or at
// dst[Headroom:], or is disjoint from dst.
// Errors: ErrTooLong, ErrShortBuffer, ErrKeyExhausted.
func (r *Records) Seal(dst, msg []byte) (n int, err error) {
	return r.SealAs(dst, ContentApplicationData, msg)
}

// SealAs is Seal with another content type: ContentHandshake, ContentAlert,
// ContentACK or ContentRoutability, for what Conn.TransmitRecord and TransmitPath
// returned.
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
	switch {
	case r.v13 || contentType == ContentCID:
		if plain, contentType, err = r.opened13(s, plain); err != nil {
			return nil, 0, err
		}
	case contentType == 0:
		contentType = contentNone
	}
	r.newest = s.key == r.open && s.seq+1 == s.key.window.top
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
		contentType != ContentRoutability && (contentType != ContentACK || !r.v13) {
		return 0, ErrContentType
	}
	if len(msg) > r.MaxPlaintext() {
		return 0, ErrTooLong
	}
	if n = len(msg) + r.overhead; len(dst) < n {
		return 0, ErrShortBuffer
	}
	n += r.padding(len(dst), len(msg))
	s.key = r.seal
	if s.seq, err = s.key.spend(n - r.overhead); err != nil {
		return 0, err
	}
	inner := r.inner()
	if len(msg) > 0 && (inner || &dst[0] == &msg[0]) && &dst[r.headroom] != &msg[0] {
		msg = dst[r.headroom : r.headroom+copy(dst[r.headroom:], msg)]
	}
	if inner {
		end := r.headroom + len(msg)
		dst[end] = contentType
		clear(dst[end+1 : n-tagLen])
	}
	switch {
	case r.v13:
		r.sealJob13(job, s, dst[:n], contentType, msg)
	case inner:
		r.sealJobCID(job, s, dst[:n])
	default:
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
		s.key.mask.apply(dst[r.headroom-4:r.headroom-2], dst[r.headroom:])
	}
	r.stats.Sealed++
}

// padding is how many zeros go behind a plaintext of n bytes (RFC 8446 §5.4): up
// to a multiple of pad, as far as room, the MTU and the peer's limit allow.
func (r *Records) padding(room, n int) int {
	if r.pad == 0 || !r.inner() {
		return 0
	}
	room = min(room, r.mtu)
	return max(0, min((r.pad-n%r.pad)%r.pad, room-r.overhead-n, r.maxSeal-1-n))
}
