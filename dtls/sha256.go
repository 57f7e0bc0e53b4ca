package dtls

import (
	"crypto/sha256"
	"hash"
)

// SHA-256 enters the package here and nowhere else.

func newSHA256() hash.Hash { return sha256.New() }

func sumSHA256(b []byte) [sha256.Size]byte { return sha256.Sum256(b) }
