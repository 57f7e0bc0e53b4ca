package dtls

import (
	"crypto/hmac"
	"encoding/binary"
)

// cookieLen is the length of our cookies, in bytes.
const cookieLen = 32

// cookie is a MAC of everything in the hello which must not change between the
// two rounds (RFC 6347 §4.2.1), and of Config.CookieContext.
func (c *Conn) cookie(ch *clientHello) ([]byte, error) {
	if len(c.cfg.CookieSecret) == 0 {
		secret := make([]byte, cookieLen)
		if err := c.random(secret); err != nil {
			return nil, err
		}
		c.cfg.CookieSecret = secret
	}
	mac := hmac.New(newSHA256, c.cfg.CookieSecret)
	b := appendVec16(nil, c.cfg.CookieContext)
	b = binary.BigEndian.AppendUint16(b, ch.version)
	b = append(b, ch.random[:]...)
	b = appendVec8(b, ch.sessionID)
	b = appendList16(b, ch.suites)
	mac.Write(appendVec8(b, ch.compressions))
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
