package sfu

import (
	"fmt"
	"time"

	"github.com/sluicertc/sluice/dtls"
)

// certificateAge is for how long new sessions get the same certificate: half as
// long as it is valid.
const certificateAge = 15 * 24 * time.Hour

// certificate is that of a session begun now. One for all spares each the making:
// a certificate of its own would keep a person from being recognised (RFC 8827
// §6.5), and a server is known by its address.
func (s *Server) certificate(now time.Time) (*dtls.Certificate, error) {
	if c := s.cfg.WebRTC.Certificate; c != nil {
		return c, nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.cert == nil || !now.Before(s.certUntil) {
		c, err := dtls.GenerateCertificate(now)
		if err != nil {
			return nil, fmt.Errorf("sfu: certificate: %w", err)
		}
		s.cert, s.certUntil = c, now.Add(certificateAge)
	}
	return s.cert, nil
}
