package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hmac"
	"crypto/sha1"
	"crypto/subtle"
	"errors"
	"hash"

	pionrtp "github.com/pion/rtp"
	pionsrtp "github.com/pion/srtp/v3"

	"github.com/sluicertc/sluice/srtp"
)

// srtpPion makes pion/srtp's contender, with buffers and header reused.
func srtpPion(c srtpCase) (k contender, out func() []byte, err error) {
	contexts := make([]*pionsrtp.Context, c.keys)
	for i := range contexts {
		key, salt := srtpKeys(c.profile, i)
		// The window webrtc gives it; ours cannot be turned off.
		contexts[i], err = pionsrtp.CreateContext(key, salt, pionsrtp.ProtectionProfile(c.profile), pionsrtp.SRTPReplayProtection(64))
		if err != nil {
			return k, nil, err
		}
	}
	var header pionrtp.Header
	if c.open {
		src, err := newSRTPSource(c)
		if err != nil {
			return k, nil, err
		}
		k.prepare = src.fill
		k.run = func() int {
			for i, b := range src.bufs {
				_, err := contexts[i%len(contexts)].DecryptRTP(b, b[:src.n], &header)
				must(err)
			}
			return srtpRun
		}
		return k, func() []byte { return src.bufs[srtpRun-1][:c.header()+c.size] }, nil
	}
	plain, bufs := srtpPlain(c), srtpBuffers()
	for _, b := range bufs {
		copy(b, plain)
	}
	size := len(plain)
	var seq uint16
	k.run = func() int {
		for i, b := range bufs {
			if c.keys == 1 {
				seq++
				putSeq(b, seq)
				_, err := contexts[0].EncryptRTP(b, b[:size], &header)
				must(err)
				continue
			}
			if i%c.keys == 0 {
				seq++
				putSeq(plain, seq)
			}
			_, err := contexts[i%c.keys].EncryptRTP(b, plain, &header)
			must(err)
		}
		return srtpRun
	}
	return k, func() []byte { return bufs[srtpRun-1][:size+c.profile.Overhead()] }, nil
}

var errTag = errors.New("wrong tag")

// srtpStdlib makes the bare primitive of the standard library: no header is
// read, no source looked up, no replay checked.
func srtpStdlib(c srtpCase) (contender, error) {
	if c.profile == srtp.AES128_CM_HMAC_SHA1_80 {
		return stdlibCM(c)
	}
	return stdlibGCM(c)
}

func stdlibGCM(c srtpCase) (k contender, err error) {
	aeads := make([]cipher.AEAD, c.keys)
	for i := range aeads {
		key, _ := srtpKeys(c.profile, i)
		block, err := aes.NewCipher(key)
		if err != nil {
			return k, err
		}
		if aeads[i], err = cipher.NewGCM(block); err != nil {
			return k, err
		}
	}
	plain, bufs, header := srtpPlain(c), srtpBuffers(), c.header()
	end := header + c.size
	var nonce [12]byte
	seal := func(src []byte) {
		for i, b := range bufs {
			nonce[11] = byte(i)
			payload := b[header:end]
			if src != nil {
				copy(b[:header], src)
				payload = src[header:]
			}
			aeads[i%len(aeads)].Seal(b[header:header], nonce[:], payload, b[:header])
		}
	}
	if !c.open {
		var shared []byte
		if c.keys > 1 {
			shared = plain
		}
		k.run = func() int { seal(shared); return srtpRun }
		return k, nil
	}
	k.prepare = func() { seal(plain) }
	k.run = func() int {
		for i, b := range bufs {
			nonce[11] = byte(i)
			_, err := aeads[i%len(aeads)].Open(b[header:header], nonce[:], b[header:end+16], b[:header])
			must(err)
		}
		return srtpRun
	}
	return k, nil
}

func stdlibCM(c srtpCase) (k contender, err error) {
	blocks, macs := make([]cipher.Block, c.keys), make([]hash.Hash, c.keys)
	for i := range blocks {
		key, _ := srtpKeys(c.profile, i)
		if blocks[i], err = aes.NewCipher(key); err != nil {
			return k, err
		}
		macs[i] = hmac.New(sha1.New, append(key, 1, 2, 3, 4))
	}
	plain, bufs, header := srtpPlain(c), srtpBuffers(), c.header()
	end := header + c.size
	var iv [16]byte
	var roc [4]byte
	tag := make([]byte, 0, sha1.Size)
	mac := func(i int, b []byte) []byte {
		h := macs[i%len(macs)]
		h.Reset()
		h.Write(b[:end])
		h.Write(roc[:])
		return h.Sum(tag)[:10]
	}
	seal := func(src []byte) {
		for i, b := range bufs {
			iv[13] = byte(i)
			payload := b[header:end]
			if src != nil {
				copy(b[:header], src)
				payload = src[header:]
			}
			cipher.NewCTR(blocks[i%len(blocks)], iv[:]).XORKeyStream(b[header:end], payload)
			copy(b[end:], mac(i, b))
		}
	}
	if !c.open {
		var shared []byte
		if c.keys > 1 {
			shared = plain
		}
		k.run = func() int { seal(shared); return srtpRun }
		return k, nil
	}
	k.prepare = func() { seal(plain) }
	k.run = func() int {
		for i, b := range bufs {
			if subtle.ConstantTimeCompare(mac(i, b), b[end:end+10]) != 1 {
				must(errTag)
			}
			iv[13] = byte(i)
			cipher.NewCTR(blocks[i%len(blocks)], iv[:]).XORKeyStream(b[header:end], b[header:end])
		}
		return srtpRun
	}
	return k, nil
}
