package dtlsnet

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io"

	"github.com/sluicertc/sluice/dtls"
	"github.com/sluicertc/sluice/internal/mono"
)

// Config says how to shake hands, and what a listener may keep. The zero value of
// all but DTLS works.
type Config struct {
	// DTLS is the handshake's. Role, CookieSecret, CookieContext, ConnectionID and
	// ReturnRoutability are set here, HelloVerify by NoCookies. SRTP is not offered
	// unless SRTPProfiles asks for it: there are servers that refuse who does.
	DTLS dtls.Config

	// NoCookies makes a listener believe addresses at once. Whoever can send from
	// addresses of others then makes it do the work of a handshake and send 5
	// times what it was sent (RFC 6347 §4.2.1); and a client that starts again from
	// the same port is not heard until its old connection has ended.
	NoCookies bool
	// ConnectionIDLen asks peers to mark their records with so many random bytes,
	// 4 to 32, by which they are known when their address changes. 0: they are not
	// asked. A client that sets it uses the server's IDs as well.
	ConnectionIDLen int

	// KeyLog, if set, is written the secrets of each connection in the NSS key log
	// format, one line at a time, from several goroutines: give it the file that
	// SSLKEYLOGFILE names, and Wireshark reads the traffic. It takes the place of
	// DTLS.KeyLog.
	KeyLog io.Writer

	// MaxHalfOpen bounds what a listener keeps for handshakes under way, in bytes.
	// 0 means 16 MiB.
	MaxHalfOpen int
	// MaxConns bounds the connections of a listener. 0 means 65536.
	MaxConns int
	// Backlog is how many established connections wait for Accept. 0 means 128.
	Backlog int
}

// ErrConfig is dtls.ErrConfig.
var ErrConfig = dtls.ErrConfig

func (c Config) withDefaults() (Config, error) {
	if c.MaxHalfOpen == 0 {
		c.MaxHalfOpen = defaultHalfOpen
	}
	if c.MaxConns == 0 {
		c.MaxConns = defaultMaxConns
	}
	if c.Backlog == 0 {
		c.Backlog = defaultBacklog
	}
	if c.MaxHalfOpen < 0 || c.MaxConns < 0 || c.Backlog < 0 {
		return c, errors.Join(ErrConfig, errors.New("a limit is negative"))
	}
	if n := c.ConnectionIDLen; n != 0 && (n < 4 || n > 32) {
		return c, errors.Join(ErrConfig, errors.New("ConnectionIDLen is not 0, nor within 4 to 32"))
	}
	return c, nil
}

// core makes the handshake machine of one connection.
func (c *Config) core(role dtls.Role) (*dtls.Conn, error) {
	cfg := c.DTLS
	cfg.Role = role
	cfg.DisableSRTP = cfg.DisableSRTP || cfg.SRTPProfiles == nil
	cfg.ConnectionID, cfg.ReturnRoutability = nil, false
	if w := c.KeyLog; w != nil {
		cfg.KeyLog = func(label string, random, secret []byte) {
			_, _ = fmt.Fprintf(w, "%s %x %x\n", label, random, secret) // a log never ends a handshake
		}
	}
	if c.ConnectionIDLen > 0 {
		cfg.ConnectionID = make([]byte, c.ConnectionIDLen)
		if _, err := rand.Read(cfg.ConnectionID); err != nil {
			return nil, err
		}
		cfg.ReturnRoutability = true
	}
	return dtls.New(cfg)
}

// now is the clock.
var now = mono.Now
