package dtls

import (
	"encoding/binary"

	aead "github.com/sluicertc/sluice/crypto"
)

// aadLen is the length of the additional data of DTLS 1.2: epoch and sequence
// number 8, type 1, version 2, length of the plaintext 2 (RFC 5246 §6.2.3.3,
// RFC 6347 §4.1.2.1).
const aadLen = 13

// nonce12 joins the implicit and the explicit half (RFC 5288 §3).
func nonce12(iv, explicit []byte) (nonce [ivLen]byte) {
	copy(nonce[:ivLen12], iv)
	copy(nonce[ivLen12:], explicit[:nonceLen])
	return nonce
}

// aad12 builds the additional data of a record whose plaintext has n bytes.
func aad12(aad *[aadLen]byte, rec []byte, n int) {
	copy(aad[:8], rec[3:11])
	aad[8] = rec[0]
	aad[9], aad[10] = rec[1], rec[2]
	binary.BigEndian.PutUint16(aad[11:], uint16(n))
}

// newRecords12 makes the record layer of one side.
func newRecords12(chacha bool, local, remote, localIV, remoteIV []byte) (*Records, error) {
	seal, err := newProtection(chacha, 1, local, localIV)
	if err != nil {
		return nil, err
	}
	open, err := newProtection(chacha, 1, remote, remoteIV)
	if err != nil {
		return nil, err
	}
	r := &Records{seal: seal, open: open, headroom: headerLen + nonceLen}
	if chacha { // RFC 7905 §2: no explicit nonce
		r.headroom = headerLen
	}
	r.overhead = r.headroom + tagLen
	return r, nil
}

func (r *Records) openJob12(job *aead.GCMJob, s *slot, dst, rec []byte) error {
	n := len(rec) - r.overhead
	if n < 0 || n > maxFragment || unified(rec) ||
		int(binary.BigEndian.Uint16(rec[11:])) != len(rec)-headerLen ||
		binary.BigEndian.Uint16(rec[1:]) != VersionDTLS12 {
		// A plaintext record may be shorter than a sealed one.
		if len(rec) >= headerLen && Epoch(rec) != 1 {
			return ErrEpoch
		}
		return ErrRecord
	}
	if Epoch(rec) != 1 {
		return ErrEpoch
	}
	if t := rec[0]; t != ContentApplicationData && t != ContentHandshake && t != ContentAlert {
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
		job.Nonce = nonce12(s.key.iv[:], rec[headerLen:])
	} else {
		job.Nonce = s.key.nonce(1<<48 | s.seq)
	}
	aad12(&s.aad, rec, n)
	job.AAD = s.aad[:]
	job.Src = rec[r.headroom:]
	job.Dst, s.dst = destination(dst, rec, r.headroom, n)
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
	epochSeq := 1<<48 | s.seq
	putHeader(dst, contentType, epochSeq, len(dst)-headerLen)
	if s.key.gcm != nil {
		// RFC 5288 §3 leaves the explicit nonce to the sender, who must not
		// repeat it: epoch and sequence number, which never do.
		binary.BigEndian.PutUint64(dst[headerLen:], epochSeq)
		job.Nonce = nonce12(s.key.iv[:], dst[headerLen:])
	} else {
		job.Nonce = s.key.nonce(epochSeq)
	}
	aad12(&s.aad, dst, len(msg))
	job.AAD = s.aad[:]
	job.Src = msg
	job.Dst = dst[r.headroom:]
}
