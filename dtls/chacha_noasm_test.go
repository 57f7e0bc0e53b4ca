//go:build !amd64 || purego

package dtls

// chachaAllocates: ChaCha20-Poly1305 of golang.org/x/crypto makes its cipher
// anew for each record where it has no assembly.
const chachaAllocates = true
