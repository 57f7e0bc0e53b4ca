package srtp

import (
	"bytes"
	"encoding/binary"
	"math/rand/v2"
	"testing"

	"github.com/sluicertc/sluice/internal/vectors"
)

var cryptexVectors = []struct {
	p         Profile
	key, salt string
	// plain packet without its payload, protected packet
	packets [][2]string
}{
	{AES128_CM_HMAC_SHA1_80, "e1f97a0d3e018be0d64fa32c06de4139", "0ec675ad498afeebb6960b3aabe6", [][2]string{
		{"900f1235decafbadcafebabe bede0001 51000200", "900f1235decafbadcafebabe c0de0001 eb923652 51c3e036f8de27e9c27ee3e0b4651d9f bc4218a70244522f34a5"},
		{"900f1236decafbadcafebabe 10000001 05020002", "900f1236decafbadcafebabe c2de0001 4ed9cc4e 6a712b3096c5ca77339d4204ce0d7739 6cab69585fbce38194a5"},
		{"920f1238decafbadcafebabe 0001e2400000b26e bede0001 51000200", "920f1238decafbadcafebabe 8bb6e12b5cff16dd c0de0001 92838c8c 09e58393e1de3a9a74734d6745671338 c3acf11da2df8423bee0"},
		{"920f1239decafbadcafebabe 0001e2400000b26e 10000001 05020002", "920f1239decafbadcafebabe f70e513eb90b9b25 c2de0001 bbed4848 faa644665f3d7f34125914e9f4d0ae92 3c6f479b95a0f7b53133"},
		{"920f123adecafbadcafebabe 0001e2400000b26e bede0000", "920f123adecafbadcafebabe 7130b6abfe2ab0e3 c0de0000 e3d9f64b25c9e74cb4cf8e43fb92e378 1c2c0ceab6b3a499a14c"},
		{"920f123bdecafbadcafebabe 0001e2400000b26e 10000000", "920f123bdecafbadcafebabe cbf24c124330e1c8 c2de0000 599dd45bc9d687b603e8b59d771fd38e 88b170e0cd31e125eabe"},
	}},
	{AEAD_AES_128_GCM, "000102030405060708090a0b0c0d0e0f", "a0a1a2a3a4a5a6a7a8a9aaab", [][2]string{
		{"900f1235decafbadcafebabe bede0001 51000200", "900f1235decafbadcafebabe c0de0001 39972dc9 572c4d99e8fc355de743fb2e94f9d8ff 54e72f4193bbc5c74ffab0fa9fa0fbeb"},
		{"900f1236decafbadcafebabe 10000001 05020002", "900f1236decafbadcafebabe c2de0001 bb75a4c5 45cd1f413bdb7daa2b1e3263de313667 c963249081b35a65f5cb6c88b394235f"},
		{"920f1238decafbadcafebabe 0001e2400000b26e bede0001 51000200", "920f1238decafbadcafebabe 63bbccc4a7f695c4 c0de0001 8ad7c71f ac70a80c92866b4c6ba98546ef913586 e95ffaaffe956885bb0647a8bc094ac8"},
		{"920f1239decafbadcafebabe 0001e2400000b26e 10000001 05020002", "920f1239decafbadcafebabe 3680524f8d312b00 c2de0001 c78d1200 38422bc111a7187a18246f980c059cc6 bc9df8b626394eca344e4b05d80fea83"},
		{"920f123adecafbadcafebabe 0001e2400000b26e bede0000", "920f123adecafbadcafebabe 15b6bb4337906fff c0de0000 b7b964537a2b03ab7ba5389ce9331712 6b5d974df30c6884dcb651c5e120c1da"},
		{"920f123bdecafbadcafebabe 0001e2400000b26e 10000000", "920f123bdecafbadcafebabe dcb38c9e48bf95f4 c2de0000 61ee432cf920317076613258d3ce4236 c06ac429681ad08413512dc98b5207d8"},
	}},
}

// RFC 9335 appendix A.
func TestPacketsOfRFC9335(t *testing.T) {
	for _, v := range cryptexVectors {
		for _, pair := range v.packets {
			plain, want := append(vectors.Hex(t, pair[0]), bytes.Repeat([]byte{0xab}, 16)...), vectors.Hex(t, pair[1])
			tx, rx := must(NewContext(v.p, vectors.Hex(t, v.key), vectors.Hex(t, v.salt)))(t), must(NewContext(v.p, vectors.Hex(t, v.key), vectors.Hex(t, v.salt)))(t)
			tx.SetCryptex(CryptexOn)
			rx.SetCryptex(CryptexRequired)
			if got := protectGrown(t, tx, plain); !bytes.Equal(got, want) {
				t.Errorf("%v: %x\nwant %x", v.p, got, want)
			}
			if got, err := unprotect(rx, want); err != nil || !bytes.Equal(got, plain) {
				t.Errorf("%v: opened %x, %v", v.p, got, err)
			}
		}
	}
}

func must[T any](v T, err error) func(testing.TB) T {
	return func(t testing.TB) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

// protectGrown protects into a buffer of the largest length there may be.
func protectGrown(t testing.TB, c *Context, pkt []byte) []byte {
	t.Helper()
	dst := make([]byte, len(pkt)+c.Overhead())
	return dst[:must(c.Protect(dst, pkt))(t)]
}

// Any header, in place and apart, alone and in a batch, comes back; where an
// extension block had to be added, it stays.
func TestCryptexRoundTrip(t *testing.T) {
	for _, p := range profiles {
		tx, rx := newContext(t, p, 1), newContext(t, p, 1)
		tx.SetCryptex(CryptexOn)
		rx.SetCryptex(CryptexRequired)
		var batch Batch
		r := rand.New(rand.NewPCG(93, 35))
		for seq := range uint16(2000) {
			plain := packet(7, seq)
			csrc, words, tag := r.IntN(16), r.IntN(4), []uint16{0, oneByte, twoByte}[r.IntN(3)]
			for i := range 4 * csrc {
				plain = append(plain, byte(i))
			}
			plain[0] |= byte(csrc)
			if tag != 0 {
				plain[0] |= 0x10
				plain = binary.BigEndian.AppendUint16(plain, tag)
				plain = append(plain, 0, byte(words))
				plain = append(plain, bytes.Repeat([]byte{0x51}, 4*words)...)
			}
			head := len(plain)
			plain = append(plain, bytes.Repeat([]byte{byte(seq)}, r.IntN(300))...)
			want := plain
			if tag == 0 && csrc > 0 {
				want = append(bytes.Clone(plain[:head]), 0xbe, 0xde, 0, 0)
				want = append(want, plain[head:]...)
				want[0] |= 0x10
			}
			sealed := make([]byte, len(plain)+tx.Overhead())
			n := 0
			switch seq % 4 {
			case 0:
				n = must(tx.Protect(sealed, plain))(t)
			case 1:
				copy(sealed, plain)
				n = must(tx.Protect(sealed, sealed[:len(plain)]))(t)
			case 2:
				batch.Add(tx, sealed, plain)
				batch.Protect()
				n = must(batch.Result(0))(t)
			case 3:
				copy(sealed, plain[:head])
				batch.AddSplit(tx, sealed, head, plain[head:])
				batch.Protect()
				n = must(batch.Result(0))(t)
			}
			batch.Reset()
			sealed = sealed[:n]
			if csrc > 0 && bytes.Contains(sealed, plain[12:12+4*csrc]) {
				t.Fatalf("%v: contributing sources in the clear", p)
			}
			got, dst := []byte(nil), make([]byte, len(sealed))
			switch seq % 3 {
			case 0:
				got = dst[:must(rx.Unprotect(dst, sealed))(t)]
			case 1:
				got = sealed[:must(rx.Unprotect(sealed, sealed))(t)]
			case 2:
				batch.Add(rx, dst, sealed)
				batch.Unprotect()
				got = dst[:must(batch.Result(0))(t)]
				batch.Reset()
			}
			if !bytes.Equal(got, want) {
				t.Fatalf("%v, %d sources, extension %x of %d words:\n%x\nwant %x", p, csrc, tag, words, got, want)
			}
		}
	}
}

func TestCryptexRefusesWhatItCannotHide(t *testing.T) {
	withExt := func(tag uint16) []byte {
		b := packet(7, 1)
		b[0] |= 0x10
		b = binary.BigEndian.AppendUint16(b, tag)
		return append(b, 0, 1, 1, 2, 3, 4, 9, 9)
	}
	for _, p := range profiles {
		on, plain := newContext(t, p, 1), newContext(t, p, 1)
		on.SetCryptex(CryptexOn)
		for _, tag := range []uint16{0x1001, 0x100f, 0xbedf, oneByteEncrypted, twoByteEncrypted, 0} {
			pkt := withExt(tag)
			_, err := on.Protect(make([]byte, 200), pkt)
			wantErr(t, "an extension of another kind", err, ErrExtension)
		}
		if on.Sources() != 0 {
			t.Error("a refused packet made state")
		}
		clearExt := protect(t, plain, withExt(oneByte))
		bare := protect(t, plain, packet(7, 2, 1, 2, 3))
		rx := newContext(t, p, 1)
		rx.SetCryptex(CryptexRequired)
		_, err := unprotect(rx, clearExt)
		wantErr(t, "an extension in the clear", err, ErrExtension)
		if _, err := unprotect(rx, bare); err != nil {
			t.Errorf("a packet without extension: %v", err)
		}
		rx.SetCryptex(CryptexOn)
		if _, err := unprotect(rx, clearExt); err != nil {
			t.Errorf("an extension in the clear, not required: %v", err)
		}
		// Every byte is authenticated, in the clear or not.
		sealed := protectGrown(t, on, append(withExt(oneByte), 5, 6))
		for i := range sealed {
			for _, bit := range []byte{1, 0x80} {
				forged := bytes.Clone(sealed)
				forged[i] ^= bit
				rx := newContext(t, p, 1)
				rx.SetCryptex(CryptexOn)
				dst := make([]byte, len(forged))
				if _, err := rx.Unprotect(dst, forged); err == nil {
					t.Fatalf("%v: byte %d can be forged", p, i)
				}
				if bytes.Contains(dst, []byte{1, 2, 3, 4, 9, 9}) {
					t.Fatalf("%v: plaintext of a forged packet", p)
				}
			}
		}
	}
}

func TestCryptexAllocatesNothingOnceWarm(t *testing.T) {
	for _, p := range profiles {
		tx, rx := newContext(t, p, 1), newContext(t, p, 1)
		tx.SetCryptex(CryptexOn)
		rx.SetCryptex(CryptexOn)
		pkt := append(vectors.Hex(t, "920f1238decafbadcafebabe 0001e2400000b26e bede0001 51000200"), make([]byte, 1000)...)
		b := make([]byte, len(pkt)+tx.Overhead())
		seq := uint16(0)
		if n := testing.AllocsPerRun(100, func() {
			seq++
			binary.BigEndian.PutUint16(pkt[2:], seq)
			n, err := tx.Protect(b, pkt)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := rx.Unprotect(b, b[:n]); err != nil {
				t.Fatal(err)
			}
		}); n != 0 {
			t.Errorf("%v: %v allocations", p, n)
		}
	}
}
