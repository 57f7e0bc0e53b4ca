package srtp

import (
	"bytes"
	"encoding/binary"
	"testing"
)

var profiles = []Profile{AES128_CM_HMAC_SHA1_80, AES128_CM_HMAC_SHA1_32, AEAD_AES_128_GCM, AEAD_AES_256_GCM}

// newContext makes a context whose keys depend on n.
func newContext(t testing.TB, p Profile, n byte) *Context {
	t.Helper()
	c, err := NewContext(p, bytes.Repeat([]byte{n}, p.KeyLen()), bytes.Repeat([]byte{^n}, p.SaltLen()))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// eachProfile runs f with a pair of contexts of every profile.
func eachProfile(t *testing.T, f func(t *testing.T, tx, rx *Context)) {
	for _, p := range profiles {
		t.Run(p.String(), func(t *testing.T) { f(t, newContext(t, p, 1), newContext(t, p, 1)) })
	}
}

// packet is a plain RTP packet.
func packet(ssrc uint32, seq uint16, payload ...byte) []byte {
	b := []byte{0x80, 96}
	b = binary.BigEndian.AppendUint16(b, seq)
	b = binary.BigEndian.AppendUint32(b, uint32(seq)*3000)
	b = binary.BigEndian.AppendUint32(b, ssrc)
	return append(b, payload...)
}

// protect returns pkt protected, in a buffer of its own.
func protect(t testing.TB, c *Context, pkt []byte) []byte {
	t.Helper()
	dst := make([]byte, len(pkt)+c.profile.Overhead())
	n, err := c.Protect(dst, pkt)
	if err != nil || n != len(dst) {
		t.Fatalf("Protect: %d, %v", n, err)
	}
	return dst
}

func protectRTCP(t testing.TB, c *Context, pkt []byte) []byte {
	t.Helper()
	dst := make([]byte, len(pkt)+c.profile.OverheadRTCP())
	n, err := c.ProtectRTCP(dst, pkt)
	if err != nil || n != len(dst) {
		t.Fatalf("ProtectRTCP: %d, %v", n, err)
	}
	return dst
}

// unprotect opens a copy of pkt in place.
func unprotect(c *Context, pkt []byte) ([]byte, error) {
	b := bytes.Clone(pkt)
	n, err := c.Unprotect(b, b)
	return b[:n], err
}

func unprotectRTCP(c *Context, pkt []byte) ([]byte, error) {
	b := bytes.Clone(pkt)
	n, err := c.UnprotectRTCP(b, b)
	return b[:n], err
}

// report is a plain RTCP packet: an empty receiver report and extra words.
func report(ssrc uint32, words int) []byte {
	b := []byte{0x80, 201, 0, byte(1 + words)}
	b = binary.BigEndian.AppendUint32(b, ssrc)
	for i := range 4 * words {
		b = append(b, byte(i))
	}
	return b
}

func wantErr(t *testing.T, what string, got, want error) {
	t.Helper()
	if got != want {
		t.Errorf("%s: %v, want %v", what, got, want)
	}
}
