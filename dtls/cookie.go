package dtls

import (
	"crypto/hmac"
	"encoding/binary"
)

// cookieLen is the length of our cookies, in bytes.
const cookieLen = 32

// cookie is, in DTLS 1.2, a MAC of everything in the hello which must not change between the
// two rounds (RFC 6347 §4.2.1), and of Config.CookieContext.
func (c *Conn) cookie(ch *clientHello) ([]byte, error) {
	b := binary.BigEndian.AppendUint16(nil, ch.version)
	b = append(b, ch.random[:]...)
	b = appendVec8(b, ch.sessionID)
	b = appendList16(b, ch.suites)
	return c.cookieMAC(appendVec8(b, ch.compressions))
}

// cookieMAC binds b to Config.CookieContext. What is put into cookies of either
// version begins with two bytes that tell them apart: a version, a cipher suite.
func (c *Conn) cookieMAC(b []byte) ([]byte, error) {
	if len(c.cfg.CookieSecret) == 0 {
		secret := make([]byte, cookieLen)
		if err := c.random(secret); err != nil {
			return nil, err
		}
		c.cfg.CookieSecret = secret
	}
	mac := hmac.New(newSHA256, c.cfg.CookieSecret)
	mac.Write(appendVec16(nil, c.cfg.CookieContext))
	mac.Write(b)
	return mac.Sum(nil), nil
}

func (c *Conn) cookieValid(ch *clientHello) bool {
	if len(ch.cookie) != cookieLen {
		return false
	}
	want, err := c.cookie(ch)
	return err == nil && hmac.Equal(want, ch.cookie)
}

// sendHelloVerify answers a hello without a valid cookie. The answer is shorter
// than any hello, and remembers nothing: it takes its numbers from the hello (RFC
// 6347 §4.2.1, §4.2.2).
func (c *Conn) sendHelloVerify(seq uint16, recordSeq uint64, ch *clientHello) error {
	cookie, err := c.cookie(ch)
	if err != nil {
		return ErrInternal
	}
	v := helloVerify{version: VersionDTLS10, cookie: cookie}
	raw := newMessage(typeHelloVerifyRequest, seq, v.append(nil)).raw
	b := make([]byte, headerLen, headerLen+len(raw))
	putHeader(b, ContentHandshake, recordSeq, len(raw))
	binary.BigEndian.PutUint16(b[1:], VersionDTLS10)
	c.verify = append(b, raw...)
	return nil
}
