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
func nonce12(iv [4]byte, explicit []byte) (nonce [12]byte) {
	copy(nonce[:4], iv[:])
	copy(nonce[4:], explicit[:nonceLen])
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
func newRecords12(local, remote []byte, localIV, remoteIV [4]byte) (*Records, error) {
	seal, err := aead.NewGCMKey(local)
	if err != nil {
		return nil, err
	}
	open, err := aead.NewGCMKey(remote)
	if err != nil {
		return nil, err
	}
	return &Records{sealKey: seal, openKey: open, sealIV: localIV, openIV: remoteIV}, nil
}
