package crypto

import (
	"bytes"
	"encoding/json"
	"os"
	"testing"

	"github.com/sluicertc/sluice/internal/vectors"
)

// A wycheproof is a file of Project Wycheproof: see testdata/wycheproof/README.md.
type wycheproof struct {
	TestGroups []struct {
		IVSize, KeySize, TagSize int // bits
		Tests                    []wycheproofCase
	}
}

type wycheproofCase struct {
	TcID                       int
	Key, IV, AAD, Msg, CT, Tag string
	Comment, Result            string
}

func readWycheproof(t *testing.T, name string) (file wycheproof) {
	t.Helper()
	raw, err := os.ReadFile("testdata/wycheproof/" + name)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestGCMWycheproof(t *testing.T) {
	cases := 0
	for _, g := range readWycheproof(t, "aes_gcm.json").TestGroups {
		if g.IVSize != 96 || g.TagSize != 128 || g.KeySize != 128 && g.KeySize != 256 {
			t.Fatalf("a group of keys of %d, IVs of %d and tags of %d bits", g.KeySize, g.IVSize, g.TagSize)
		}
		for _, c := range g.Tests {
			cases++
			plain, sealed := vectors.Hex(t, c.Msg), vectors.Hex(t, c.CT+c.Tag)
			job := GCMJob{Key: gcmKey(t, vectors.Hex(t, c.Key)), AAD: vectors.Hex(t, c.AAD), Src: plain, Dst: make([]byte, len(sealed))}
			copy(job.Nonce[:], vectors.Hex(t, c.IV))
			jobs := []GCMJob{job}
			valid := c.Result == "valid"
			if SealBatch(jobs); bytes.Equal(jobs[0].Dst, sealed) != valid {
				t.Errorf("%d %s: sealed %x", c.TcID, c.Comment, jobs[0].Dst)
			}
			jobs[0].Src, jobs[0].Dst = sealed, make([]byte, len(plain))
			if OpenBatch(jobs); jobs[0].OK != valid || valid && !bytes.Equal(jobs[0].Dst, plain) || !valid && leaks(jobs[0].Dst, plain) {
				t.Errorf("%d %s: opened %v %x", c.TcID, c.Comment, jobs[0].OK, jobs[0].Dst)
			}
		}
	}
	if cases != 133 {
		t.Errorf("%d cases", cases)
	}
}

// Messages are packets without payload: all but the last four bytes are the
// header, those are the trailer. A batch of many takes the lanes that one
// packet does not.
func TestHMACWycheproof(t *testing.T) {
	for _, count := range []int{1, 3, 64} {
		cases := 0
		for _, g := range readWycheproof(t, "hmac_sha1.json").TestGroups {
			for _, c := range g.Tests {
				cases++
				msg, tag := vectors.Hex(t, c.Msg), vectors.Hex(t, c.Tag)
				n := len(msg) - 4
				jobs := make([]CMJob, count)
				for i := range jobs {
					jobs[i] = CMJob{Key: cmKey(t, make([]byte, 16), vectors.Hex(t, c.Key)), Header: n, TagLen: g.TagSize / 8}
					jobs[i].Dst = append(bytes.Clone(msg[:n]), make([]byte, len(tag))...)
					copy(jobs[i].Trailer[:], msg[n:])
				}
				valid := c.Result == "valid"
				if SealCMBatch(jobs); bytes.Equal(jobs[count-1].Dst[n:], tag) != valid {
					t.Errorf("%d %s: tag %x", c.TcID, c.Comment, jobs[count-1].Dst[n:])
				}
				for i := range jobs {
					jobs[i].Src, jobs[i].Dst = append(bytes.Clone(msg[:n]), tag...), nil
				}
				if OpenCMBatch(jobs); jobs[0].OK != valid || jobs[count-1].OK != valid {
					t.Errorf("%d %s: authentic %v", c.TcID, c.Comment, jobs[0].OK)
				}
			}
		}
		if cases != 102 {
			t.Errorf("%d cases", cases)
		}
	}
}

// keystream is what counter mode adds to n bytes, taken from a sealed packet.
func keystream(t *testing.T, key, iv []byte, n int) []byte {
	t.Helper()
	job := CMJob{Key: cmKey(t, key, []byte{1}), TagLen: 10, Src: make([]byte, n), Dst: make([]byte, n+10)}
	copy(job.IV[:], iv)
	jobs := []CMJob{job}
	SealCMBatch(jobs)
	return jobs[0].Dst[:n]
}

func TestCMVectors(t *testing.T) {
	// RFC 3711 §B.2 and, as key derivation is the same key stream, §B.3.
	for _, v := range []struct{ key, iv, want string }{
		{"2B7E151628AED2A6ABF7158809CF4F3C", "F0F1F2F3F4F5F6F7F8F9FAFBFCFD0000",
			"E03EAD0935C95E80E166B16DD92B4EB4D23513162B02D0F72A43A2FE4A5F97AB41E95B3BB0A2E8DD477901E4FCA894C0"},
		{"E1F97A0D3E018BE0D64FA32C06DE4139", "0EC675AD498AFEEBB6960B3AABE60000", "C61E7A93744F39EE10734AFE3FF7A087"},
		{"E1F97A0D3E018BE0D64FA32C06DE4139", "0EC675AD498AFEE9B6960B3AABE60000", "30CBBC08863D8C85D49DB34A9AE1"},
		{"E1F97A0D3E018BE0D64FA32C06DE4139", "0EC675AD498AFEEAB6960B3AABE60000", "CEBE321F6FF7716B6FD4AB49AF256A156D38BAA4"},
	} {
		want := vectors.Hex(t, v.want)
		if got := keystream(t, vectors.Hex(t, v.key), vectors.Hex(t, v.iv), len(want)); !bytes.Equal(got, want) {
			t.Errorf("IV %s: %x, want %x", v.iv, got, want)
		}
	}
	// RFC 3686 §6: AES-CTR whose counter, of four bytes, begins with 1, so that
	// a block is sent before.
	for i, v := range []struct{ key, nonce, plain, want string }{
		{"AE6852F8121067CC4BF7A5765577F39E", "000000300000000000000000", "53696E676C6520626C6F636B206D7367", "E4095D4FB7A7B3792D6175A3261311B8"},
		{"7E24067817FAE0D743D6CE1F32539163", "006CB6DBC0543B59DA48D90B", "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
			"5104A106168A72D9790D41EE8EDAD388EB2E1EFC46DA57C8FCE630DF9141BE28"},
		{"7691BE035E5020A8AC6E618529F9A0DC", "00E0017B27777F3F4A1786F0", "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F20212223",
			"C1CF48A89F2FFDD9CF4652E9EFDB72D74540A42BDE6D7836D59A5CEAAEF3105325B2072F"},
		{"776BEFF2851DB06F4C8A0542C8696F6C6A81AF1EEC96B4D37FC1D689E6C1C104", "00000060DB5672C97AA8F0B2", "53696E676C6520626C6F636B206D7367",
			"145AD01DBF824EC7560863DC71E3E0C0"},
		{"F6D66D6BD52D59BB0796365879EFF886C66DD51A5B6A99744B50590C87A23884", "00FAAC24C1585EF15A43D875", "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F",
			"F05E231B3894612C49EE000B804EB2A9B8306B508F839D6A5530831D9344AF1C"},
		{"FF7A617CE69148E4F1726E2F43581DE2AA62D9F805532EDFF1EED687FB54153D", "001CC5B751A51D70A1C11148", "000102030405060708090A0B0C0D0E0F101112131415161718191A1B1C1D1E1F20212223",
			"EB6C52821D0BBBF7CE7594462ACA4FAAB407DF866569FD07F48CC0B583D6071F1EC0E6B8"},
	} {
		got, plain := keystream(t, vectors.Hex(t, v.key), vectors.Hex(t, v.nonce), 16+len(v.plain)/2)[16:], vectors.Hex(t, v.plain)
		for i := range plain {
			got[i] ^= plain[i]
		}
		if !bytes.Equal(got, vectors.Hex(t, v.want)) {
			t.Errorf("RFC 3686, %d: %x, want %s", i, got, v.want)
		}
	}
}

// NIST SP 800-38A §F.5.1 and §F.5.5. Their counter fills the last bytes of the
// IV, as no packet's does: the kernels are not asked.
func TestCTROfSP800_38A(t *testing.T) {
	plain := "6bc1bee22e409f96e93d7e117393172aae2d8a571e03ac9c9eb76fac45af8e5130c81c46a35ce411e5fbc1191a0a52eff69f2445df4f9b17ad2b417be66c3710"
	for key, want := range map[string]string{
		"2b7e151628aed2a6abf7158809cf4f3c": "874d6191b620e3261bef6864990db6ce9806f66b7970fdff8617187bb9fffdff" +
			"5ae4df3edbd5d35e5b4f09020db03eab1e031dda2fbe03d1792170a0f3009cee",
		"603deb1015ca71be2b73aef0857d77811f352c073b6108d72d9810a30914dff4": "601ec313775789a5b7a7f504bbf3d228f443e3ca4d62b59aca84e990cacaf5c5" +
			"2b0930daa23de94ce87017ba2d84988ddfc9c58db67aada613c2dd08457941a6",
	} {
		k := cmKey(t, vectors.Hex(t, key), []byte{1})
		iv := [16]byte(vectors.Hex(t, "f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff"))
		out := make([]byte, 64)
		k.xorKeyStream(out, vectors.Hex(t, plain), &iv)
		if !bytes.Equal(out, vectors.Hex(t, want)) {
			t.Errorf("key %s: %x", key, out)
		}
	}
}

// RFC 2202 §3, the keys of up to 64 bytes, as packets without payload whose
// last four bytes are the trailer, alone and as many at once.
func TestHMACOfRFC2202(t *testing.T) {
	list := []struct {
		key, data []byte
		want      string
	}{
		{bytes.Repeat([]byte{0x0b}, 20), []byte("Hi There"), "b617318655057264e28bc0b6fb378c8ef146be00"},
		{[]byte("Jefe"), []byte("what do ya want for nothing?"), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"},
		{bytes.Repeat([]byte{0xaa}, 20), bytes.Repeat([]byte{0xdd}, 50), "125d7342b9ac11cd91a39af48aa17b4f63f175d3"},
		{vectors.Hex(t, "0102030405060708090a0b0c0d0e0f10111213141516171819"), bytes.Repeat([]byte{0xcd}, 50),
			"4c9007f4026250c6bc8414f9bf50c86c2d7235da"},
		{bytes.Repeat([]byte{0x0c}, 20), []byte("Test With Truncation"), "4c1a03424b55e07fe7f27be1d58bb9324a9a5a04"},
	}
	for _, count := range []int{1, 2, 3, 4, 8, 16, 64} {
		jobs := make([]CMJob, count)
		for i := range jobs {
			v := list[i%len(list)]
			n := len(v.data) - 4
			jobs[i] = CMJob{Key: cmKey(t, make([]byte, 16), v.key), Header: n, Dst: make([]byte, n+20), TagLen: 20}
			copy(jobs[i].Dst, v.data[:n])
			copy(jobs[i].Trailer[:], v.data[n:])
		}
		SealCMBatch(jobs)
		for i := range jobs {
			v := list[i%len(list)]
			if got := jobs[i].Dst[len(v.data)-4:]; !bytes.Equal(got, vectors.Hex(t, v.want)) {
				t.Errorf("%d jobs, %d: %x, want %s", count, i, got, v.want)
			}
		}
	}
}
