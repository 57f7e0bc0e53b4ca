package dtls

import (
	"bytes"
	"crypto/ecdh"
	"crypto/mlkem"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	aead "github.com/sluicertc/sluice/crypto"
)

type hexBytes []byte

func (h *hexBytes) UnmarshalText(b []byte) (err error) {
	*h, err = hex.DecodeString(string(b))
	return err
}

// wycheproofCase is a case of any kind.
type wycheproofCase struct {
	TcID                    int
	Msg, Sig                hexBytes // signatures, MACs
	Public, Private, Shared hexBytes // key agreement
	Seed, EK, C, K          hexBytes // ML-KEM
	Key, IV, AAD, CT, Tag   hexBytes // AEAD, MACs
	Comment, Result         string
	ivSize, tagSize         int
	publicKey               hexBytes
}

func wycheproof(t *testing.T, dir, name string, f func(c *wycheproofCase)) (n int) {
	t.Helper()
	raw, err := os.ReadFile(filepath.Join(dir, name+"_test.json"))
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		TestGroups []struct {
			IVSize, TagSize int
			PublicKeyDER    hexBytes
			Tests           []wycheproofCase
		}
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	for _, g := range file.TestGroups {
		for i := range g.Tests {
			c := &g.Tests[i]
			c.ivSize, c.tagSize, c.publicKey = g.IVSize, g.TagSize, g.PublicKeyDER
			f(c)
			n++
		}
	}
	return n
}

// The vectors of Project Wycheproof go through the functions that handshakes use.
// Package interop fetches them, and runs this.
func TestWycheproof(t *testing.T) {
	dir := os.Getenv("SLUICE_TEST_WYCHEPROOF")
	if dir == "" {
		t.Skip("without SLUICE_TEST_WYCHEPROOF; TestWycheproofOfDTLS of interop sets it")
	}
	n := 0
	for name, scheme := range map[string]SignatureScheme{
		"ecdsa_secp256r1_sha256": ECDSAWithP256AndSHA256, "ecdsa_secp384r1_sha256": ECDSAWithP256AndSHA256,
		"ecdsa_secp384r1_sha384": ECDSAWithP384AndSHA384, "ed25519": Ed25519,
		"rsa_pss_2048_sha256_mgf1_32": PSSWithSHA256, "rsa_signature_2048_sha256": PKCS1WithSHA256,
	} {
		n += wycheproof(t, dir, name, func(c *wycheproofCase) {
			pub, err := parseKey(c.publicKey)
			if err != nil {
				t.Fatal(name, c.TcID, err)
			}
			s := signed{scheme: scheme, signature: c.Sig}
			err = s.verify(pub, new([64]byte), c.Msg)
			if ok := err == nil; ok != (c.Result == "valid") && c.Result != "acceptable" {
				t.Errorf("%s %d, %s, %s: %v", name, c.TcID, c.Comment, c.Result, err)
			}
		})
	}
	for name, g := range map[string]Group{"x25519": GroupX25519, "ecdh_secp256r1_ecpoint": GroupP256, "ecdh_secp384r1_ecpoint": GroupP384} {
		n += wycheproof(t, dir, name, func(c *wycheproofCase) { wycheproofAgree(t, name, g, c) })
	}
	n += wycheproof(t, dir, "mlkem_768", func(c *wycheproofCase) { wycheproofDecapsulate(t, c) })
	n += wycheproof(t, dir, "mlkem_768_encaps", func(c *wycheproofCase) {
		x := mustEphemeral(t, GroupX25519).ecdh.PublicKey().Bytes()
		_, _, err := answerShare(keyShare{GroupX25519MLKEM768, append(bytes.Clone(c.EK), x...)}, keySource{})
		if (err == nil) != (c.Result == "valid") {
			t.Errorf("mlkem_768_encaps %d, %s: %v", c.TcID, c.Result, err)
		}
	})
	n += wycheproof(t, dir, "chacha20_poly1305", func(c *wycheproofCase) { wycheproofOpen(t, c) })
	for name, size := range map[string]int{"hmac_sha256": 32, "hmac_sha384": 48} {
		n += wycheproof(t, dir, name, func(c *wycheproofCase) {
			if len(c.Key) > 64 || len(c.Msg) > 300 { // longer ones are never asked for
				return
			}
			got := hmacOf(size, nil, c.Key, c.Msg, nil, nil)[:c.tagSize/8]
			if bytes.Equal(got, c.Tag) != (c.Result == "valid") {
				t.Errorf("%s %d, %s", name, c.TcID, c.Comment)
			}
		})
	}
	t.Logf("%d cases of Wycheproof", n)
}

func wycheproofAgree(t *testing.T, name string, g Group, c *wycheproofCase) {
	size := map[Group]int{GroupX25519: 32, GroupP256: 32, GroupP384: 48}[g]
	private := bytes.TrimLeft(c.Private, "\x00")
	if g == GroupX25519 {
		private = c.Private
	} else {
		private = append(make([]byte, size-len(private)), private...)
	}
	own, err := g.curve().NewPrivateKey(private)
	if err != nil {
		t.Fatal(name, c.TcID, err)
	}
	got, err := agree(g, own, c.Public)
	switch {
	case err == nil && !bytes.Equal(got, c.Shared), err == nil && c.Result == "invalid":
		t.Errorf("%s %d, %s: %x", name, c.TcID, c.Comment, got)
	case err != nil && c.Result == "valid" && (len(c.Public) == 0 || c.Public[0]&^1 != 2): // points are not compressed (RFC 8422 §5.1.2)
		t.Errorf("%s %d, %s: %v", name, c.TcID, c.Comment, err)
	case g == GroupX25519 && err == nil && bytes.Equal(got, make([]byte, size)): // RFC 8446 §7.4.2
		t.Errorf("%s %d: a secret of zeros", name, c.TcID)
	}
}

func wycheproofDecapsulate(t *testing.T, c *wycheproofCase) {
	dk, err := mlkem.NewDecapsulationKey768(c.Seed)
	if err != nil {
		if c.Result == "valid" {
			t.Errorf("mlkem_768 %d: %v", c.TcID, err)
		}
		return
	}
	x := mustEphemeral(t, GroupX25519).ecdh
	o := &offer{ecdh: map[Group]*ecdh.PrivateKey{GroupX25519: x}, mlkem: dk}
	got, err := o.agree(keyShare{GroupX25519MLKEM768, append(bytes.Clone(c.C), x.PublicKey().Bytes()...)})
	if ok := err == nil && bytes.Equal(got[:len(got)-x25519Len], c.K); ok != (c.Result == "valid") {
		t.Errorf("mlkem_768 %d, %s: %v", c.TcID, c.Result, err)
	}
}

func wycheproofOpen(t *testing.T, c *wycheproofCase) {
	if c.ivSize != 8*ivLen {
		return
	}
	var p protection
	if err := p.init(true, 1, c.Key, c.IV); err != nil {
		t.Fatal(c.TcID, err)
	}
	job := aead.GCMJob{Nonce: p.nonce(0), AAD: c.AAD, Src: append(bytes.Clone(c.CT), c.Tag...), Dst: make([]byte, len(c.CT))}
	p.openSlow(&job)
	if job.OK != (c.Result == "valid") || job.OK && !bytes.Equal(job.Dst, c.Msg) {
		t.Errorf("chacha20_poly1305 %d, %s: %v", c.TcID, c.Comment, job.OK)
	}
}
