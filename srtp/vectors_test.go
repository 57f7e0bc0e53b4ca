package srtp

import (
	"bytes"
	"crypto/aes"
	"encoding/binary"
	"testing"

	"github.com/sluicertc/sluice/crypto"
	"github.com/sluicertc/sluice/internal/vectors"
)

// RFC 3711 §B.3.
func TestKeyDerivationOfRFC3711(t *testing.T) {
	master, _ := aes.NewCipher(vectors.Hex(t, "E1F97A0D3E018BE0D64FA32C06DE4139"))
	salt := vectors.Hex(t, "0EC675AD498AFEEBB6960B3AABE6")
	for _, v := range []struct {
		label byte
		want  string
	}{
		{labelEncryption, "C61E7A93744F39EE10734AFE3FF7A087"},
		{labelSalt, "30CBBC08863D8C85D49DB34A9AE1"},
		{labelAuth, "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA48F0A0ACF3C34E2359E6CDBCE" +
			"E049646C43D9327AD175578EF722709863 71C10C9A369AC2F94A8C5FBCDDDC256D6E919A48B610EF17C2041E47403 5766B68642C59BBFC2F34DB60DBDFB2DC68"},
	} {
		want := vectors.Hex(t, v.want)
		got := make([]byte, len(want))
		derive(master, salt, v.label, got)
		if !bytes.Equal(got, want) {
			t.Errorf("label %d: %x, want %x", v.label, got, want)
		}
	}
}

// RFC 6188 §7.2, of which AEAD_AES_256_GCM takes the derivation (RFC 7714 §11).
func TestKeyDerivationOfRFC6188(t *testing.T) {
	master, _ := aes.NewCipher(vectors.Hex(t, "f0f04914b513f2763a1b1fa130f10e2998f6f6e43e4309d1e622a0e332b9f1b6"))
	salt := vectors.Hex(t, "3b04803de51ee7c96423ab5b78d2")
	for label, want := range map[byte]string{
		labelEncryption: "5ba1064e30ec51613cad926c5a28ef731ec7fb397f70a960653caf06554cd8c4",
		labelSalt:       "fa31791685ca444a9e07c6c64e93",
		labelAuth:       "fd9c32d39ed5fbb5a9dc96b30818454d1313dc05",
	} {
		got := make([]byte, len(vectors.Hex(t, want)))
		derive(master, salt, label, got)
		if !bytes.Equal(got, vectors.Hex(t, want)) {
			t.Errorf("label %d: %x", label, got)
		}
	}
}

// sessionOf makes a context of session keys, as RFC 7714 gives them.
func sessionOf(t *testing.T, p Profile) *Context {
	c := newContext(t, p, 1)
	key := make([]byte, p.KeyLen())
	for i := range key {
		key[i] = byte(i)
	}
	salt := append(vectors.Hex(t, "517569642070726f2071756f"), 0, 0, 0, 0)
	gcm, err := crypto.NewGCMKey(key)
	if err != nil {
		t.Fatal(err)
	}
	s := session{gcm: gcm, saltHi: binary.BigEndian.Uint64(salt), saltLo: binary.BigEndian.Uint64(salt[8:]), tag: gcmTag}
	c.rtp, c.rtcp = s, s
	return c
}

// RFC 7714 §16.1.1 and §16.2.1.
func TestPacketsOfRFC7714(t *testing.T) {
	plain := append(vectors.Hex(t, "8040f17b8041f8d35501a0b2"), "Gallia est omnis divisa in partes tres"...)
	for p, want := range map[Profile]string{
		AEAD_AES_128_GCM: "8040f17b8041f8d35501a0b2 f24de3a3fb34de6cacba861c9d7e4bcabe633bd50d294e6f42a5f47a51c7d19b" +
			"36de3adf8833 899d7f27beb16a9152cf765ee4390cce",
		AEAD_AES_256_GCM: "8040f17b8041f8d35501a0b2 32b1de78a822fe12ef9f78fa332e33aab18012389a58e2f3b50b2a0276ffae0f" +
			"1ba63799b87b7aa3db36dfffd6b0f9bb7878d7a76c13",
	} {
		got := protect(t, sessionOf(t, p), plain)
		if !bytes.Equal(got, vectors.Hex(t, want)) {
			t.Errorf("%v: %x", p, got)
		}
		if back, err := unprotect(sessionOf(t, p), got); err != nil || !bytes.Equal(back, plain) {
			t.Errorf("%v: opened %x, %v", p, back, err)
		}
	}
}

// RFC 7714 §17.1 and §17.3.
func TestReportsOfRFC7714(t *testing.T) {
	plain := vectors.Hex(t, "81c8000d4d6172734e5450314e545032525450200000042a0000e9304c756e61deadbeefdeadbeefdeadbeefdeadbeefdeadbeef")
	for p, want := range map[Profile]string{
		AEAD_AES_128_GCM: "81c8000d4d617273 63e94885dcdab67ca727d7662f6b7e997ff5c0f76c06f32dc676a5f1730d6fda" +
			"4ce09b4686303ded0bb9275bc84aa45896cf4d2fc5abf87245d9eade 800005d4",
		AEAD_AES_256_GCM: "81c8000d4d617273 d50ae4d1f5ce5d304ba297e47d470c282c3ece5dbffe0a50a2eaa5c1110555be" +
			"8415f658c61de0476f1b6fad1d1eb30c4446839f57ff6f6cb26ac3be 800005d4",
	} {
		c := sessionOf(t, p)
		c.sentRTCP = 0x5d4
		got := protectRTCP(t, c, plain)
		if !bytes.Equal(got, vectors.Hex(t, want)) {
			t.Errorf("%v: %x", p, got)
		}
		if back, err := unprotectRTCP(sessionOf(t, p), got); err != nil || !bytes.Equal(back, plain) {
			t.Errorf("%v: opened %x, %v", p, back, err)
		}
	}
}

// Packets that libsrtp's test driver made from master keys: they join key
// derivation, cipher and tag.
func TestPacketsOfLibsrtp(t *testing.T) {
	rtp := append(vectors.Hex(t, "800f1234decafbadcafebabe"), bytes.Repeat([]byte{0xab}, 16)...)
	rtcp := append(vectors.Hex(t, "81c8000bcafebabe"), bytes.Repeat([]byte{0xab}, 16)...)
	for _, v := range []struct {
		p                    Profile
		key, salt, srtp, out string
	}{
		{AES128_CM_HMAC_SHA1_80, "e1f97a0d3e018be0d64fa32c06de4139", "0ec675ad498afeebb6960b3aabe6",
			"4e55dc4ce79978d88ca4d215949d2402b78d6acc99ea179b8dbb",
			"7128035be487b9bdbef89041f977a5a880000001993e08cd54d6c1230798"},
		{AEAD_AES_128_GCM, "000102030405060708090a0b0c0d0e0f", "a0a1a2a3a4a5a6a7a8a9aaab",
			"c5002ede04cfdd2eb91159e0880aa06ed2976826f796b201df3131a127e8a392",
			"c98b8b5df0392a55852b6c21ac8e7025c52c6fbea2b3b446ea31123ba88ce61e80000001"},
	} {
		c, err := NewContext(v.p, vectors.Hex(t, v.key), vectors.Hex(t, v.salt))
		if err != nil {
			t.Fatal(err)
		}
		c.sentRTCP = 1 // the driver's first index
		if got := protect(t, c, rtp); !bytes.Equal(got[12:], vectors.Hex(t, v.srtp)) {
			t.Errorf("%v: RTP %x", v.p, got[12:])
		}
		if got := protectRTCP(t, c, rtcp); !bytes.Equal(got[8:], vectors.Hex(t, v.out)) {
			t.Errorf("%v: RTCP %x", v.p, got[8:])
		}
	}
}
