package dtls

import (
	"bytes"
	"encoding/binary"
	"slices"

	aead "github.com/sluicertc/sluice/crypto"
)

// connectionIDs are those of an association.
type connectionIDs struct {
	ours [][]byte // what the peer may send us, all of one length; nil: nothing
	peer []byte   // what we send
}

// len is how long ours are.
func (c *connectionIDs) len() int {
	if len(c.ours) == 0 {
		return 0
	}
	return len(c.ours[0])
}

func (c *connectionIDs) known(id []byte) bool {
	for _, own := range c.ours {
		if bytes.Equal(own, id) {
			return true
		}
	}
	return false
}

// accept adds one of ours. The oldest is forgotten beyond maxConnectionIDs.
func (c *connectionIDs) accept(id []byte) {
	if len(id) == 0 || c.known(id) {
		return
	}
	if len(c.ours) == maxConnectionIDs {
		c.ours = slices.Delete(c.ours, 0, 1)
	}
	c.ours = append(c.ours, slices.Clone(id))
}

// AcceptConnectionID lets the peer's records bear id, too; see
// Conn.OfferConnectionIDs, which its owner calls afterwards. It does nothing
// unless id is as long as the one that was negotiated. 8 are remembered.
func (r *Records) AcceptConnectionID(id []byte) {
	if len(id) == r.ids.len() {
		r.ids.accept(id)
	}
}

// UseConnectionID puts another connection ID of the peer's into our records, as
// PeerConnectionID says. Headroom and Overhead change with its length.
func (r *Records) UseConnectionID(id []byte) {
	r.ids.peer = slices.Clone(id)
	r.measure()
}

// aadCIDLen is the length of the additional data of a record with a connection ID
// in DTLS 1.2, without that ID: placeholder 8, type 1, length of the ID 1, type 1,
// version 2, epoch and sequence number 8, length of what is sealed 2 (RFC 9146 §5.3).
const aadCIDLen = 23

// aadCID builds the additional data of a record that seals n bytes.
func aadCID(aad, rec, id []byte, n int) []byte {
	binary.BigEndian.PutUint64(aad, 1<<64-1)
	aad[8], aad[9], aad[10] = ContentCID, byte(len(id)), ContentCID
	copy(aad[11:], rec[1:11])
	copy(aad[21:], id)
	binary.BigEndian.PutUint16(aad[21+len(id):], uint16(n))
	return aad
}

// room is where additional data of n bytes is put together. Only connection IDs of
// more than 41 bytes make it allocate.
func (s *slot) room(n int) []byte {
	if n > maxAAD {
		return make([]byte, n)
	}
	return s.aad[:n]
}

// sealJobCID fills in the job of a record of DTLS 1.2 with a connection ID; dst
// has content, type and padding in it.
func (r *Records) sealJobCID(job *aead.GCMJob, s *slot, dst []byte) {
	id := r.ids.peer
	h := headerLen + len(id)
	putHeader(dst, ContentCID, 1<<48|s.seq, 0)
	copy(dst[11:], id)
	binary.BigEndian.PutUint16(dst[h-2:], uint16(len(dst)-h))
	job.Nonce = s.nonce12(dst[h:])
	job.Src = dst[r.headroom : len(dst)-tagLen]
	job.AAD = aadCID(s.room(aadCIDLen+len(id)), dst, id, len(job.Src))
	job.Dst = dst[r.headroom:]
}
