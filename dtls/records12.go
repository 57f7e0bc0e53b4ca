package dtls

import (
	"encoding/binary"

	aead "github.com/sluicertc/sluice/crypto"
)

// aadLen is the length of the additional data of DTLS 1.2: epoch and sequence
// number 8, type 1, version 2, length of the plaintext 2 (RFC 5246 §6.2.3.3,
// RFC 6347 §4.1.2.1).
const aadLen = 13

// maxAAD is how much additional data a slot has room for: with connection IDs of
// up to 41 bytes all that there is. See room.
const maxAAD = 64

// nonce12 joins the implicit and the explicit half (RFC 5288 §3).
func nonce12(iv, explicit []byte) (nonce [ivLen]byte) {
	copy(nonce[:ivLen12], iv)
	copy(nonce[ivLen12:], explicit[:nonceLen])
	return nonce
}

// aad12 builds the additional data of a record whose plaintext has n bytes.
func aad12(aad []byte, rec []byte, n int) []byte {
	copy(aad[:8], rec[3:11])
	aad[8] = rec[0]
	aad[9], aad[10] = rec[1], rec[2]
	binary.BigEndian.PutUint16(aad[11:], uint16(n))
	return aad[:aadLen]
}

// newRecords12 makes the record layer of one side.
func newRecords12(chacha bool, local, remote, localIV, remoteIV []byte) (*Records, error) {
	r := &Records{maxSeal: maxFragment, maxOpen: maxFragment}
	r.seal, r.open = &r.keys[0], &r.keys[1]
	if err := r.seal.init(chacha, 1, local, localIV); err != nil {
		return nil, err
	}
	if err := r.open.init(chacha, 1, remote, remoteIV); err != nil {
		return nil, err
	}
	r.measure()
	return r, nil
}

// explicit is the length of the explicit nonce; ChaCha20 has none (RFC 7905 §2).
func (p *protection) explicit() int {
	if p.gcm != nil {
		return nonceLen
	}
	return 0
}

// measure works out what a record of ours has around its plaintext.
func (r *Records) measure() {
	id := len(r.ids.peer)
	if r.v13 {
		r.headroom = headerLen13 + id
	} else {
		r.headroom = headerLen + id + r.seal.explicit()
	}
	r.overhead = r.headroom + tagLen
	if r.inner() {
		r.overhead++
	}
}

func (r *Records) openJob12(job *aead.GCMJob, s *slot, dst, rec []byte) error {
	h := headerLen
	if len(rec) > 0 && rec[0] == ContentCID {
		h += r.ids.len()
	}
	headroom := h + r.open.explicit()
	n := len(rec) - headroom - tagLen
	if n < 0 || n > r.maxOpen || unified(rec) ||
		int(binary.BigEndian.Uint16(rec[h-2:])) != len(rec)-h ||
		binary.BigEndian.Uint16(rec[1:]) != VersionDTLS12 {
		// A plaintext record may be shorter than a sealed one.
		if len(rec) >= headerLen && !unified(rec) && Epoch(rec) != 1 {
			return ErrEpoch
		}
		return ErrRecord
	}
	if Epoch(rec) != 1 {
		return ErrEpoch
	}
	// RFC 9146 §3: whoever was given a connection ID sends no record without.
	if cid := rec[0] == ContentCID; cid != (r.ids.len() > 0) || cid && !r.ids.known(rec[11:h-2]) {
		return ErrRecord
	}
	if dst != nil && len(dst) < n {
		return ErrShortBuffer
	}
	s.key, s.seq = r.open, sequence(rec)
	if !s.key.window.fresh(s.seq) {
		return ErrReplay
	}
	job.Key = s.key.gcm
	if job.Key != nil {
		job.Nonce = nonce12(s.key.iv[:], rec[h:])
	} else {
		job.Nonce = s.key.nonce(1<<48 | s.seq)
	}
	if rec[0] == ContentCID {
		job.AAD = aadCID(s.room(aadCIDLen+h-headerLen), rec, rec[11:h-2], n)
	} else {
		job.AAD = aad12(s.aad[:], rec, n)
	}
	job.Src = rec[headroom:]
	job.Dst, s.dst = destination(dst, rec, headroom, n)
	job.OK = false
	return nil
}

// destination decides where n bytes are opened to, and where they are moved from
// there. The AEAD wants exact overlap or none.
func destination(dst, rec []byte, headroom, n int) (job, final []byte) {
	inPlace := rec[headroom : headroom+n : len(rec)]
	if len(dst) == 0 {
		return inPlace, nil
	}
	if at := &dst[0]; at == &rec[0] || at == &rec[headroom] || at == &rec[headerLen] ||
		len(rec) > RecordHeadroom && at == &rec[RecordHeadroom] {
		return inPlace, dst
	}
	return dst[:n], dst
}

func (r *Records) sealJob12(job *aead.GCMJob, s *slot, dst []byte, contentType uint8, msg []byte) {
	putHeader(dst, contentType, 1<<48|s.seq, len(dst)-headerLen)
	job.Nonce = s.nonce12(dst[headerLen:])
	job.AAD = aad12(s.aad[:], dst, len(msg))
	job.Src = msg
	job.Dst = dst[r.headroom:]
}

// nonce12 makes the nonce of a record to be sealed. RFC 5288 §3 leaves the explicit
// one to the sender, who must not repeat it: epoch and sequence number, which never do.
func (s *slot) nonce12(explicit []byte) [ivLen]byte {
	epochSeq := 1<<48 | s.seq
	if s.key.gcm == nil {
		return s.key.nonce(epochSeq)
	}
	binary.BigEndian.PutUint64(explicit, epochSeq)
	return nonce12(s.key.iv[:], explicit)
}
