package ice

import (
	"errors"
	"net/netip"
	"strconv"
	"strings"
)

// Errors of ParseCandidate. RFC 8839 §5.1 has a receiver ignore candidates of
// a transport or type it does not know; these errors tell them apart.
var (
	ErrCandidate        = errors.New("ice: malformed candidate")
	ErrUnknownTransport = errors.New("ice: candidate of unknown transport")
	ErrUnknownType      = errors.New("ice: candidate of unknown type")
	ErrCandidateTooLong = errors.New("ice: candidate line too long")
)

// ParseCandidate reads a candidate attribute (RFC 8839 §5.1), with or without
// "a=" and "candidate:" in front. Names in place of addresses are accepted;
// extensions beyond MaxExtensions are left out. The result does not keep s.
func ParseCandidate(s string) (c Candidate, err error) {
	if len(s) > MaxCandidateLen {
		return c, ErrCandidateTooLong
	}
	s = strings.TrimRight(strings.Clone(s), "\r\n ")
	s = strings.TrimPrefix(s, "a=")
	if len(s) >= 10 && strings.EqualFold(s[:10], "candidate:") {
		s = s[10:]
	}
	f := fields{s}
	c.Foundation = f.next()
	// No control byte may travel on into a line we print.
	if c.Foundation == "" || len(c.Foundation) > maxFoundation || strings.ContainsFunc(s, isControl) {
		return Candidate{}, ErrCandidate
	}
	component, err1 := strconv.ParseUint(f.next(), 10, 16)
	transport := f.next()
	prio, err2 := strconv.ParseUint(f.next(), 10, 32)
	host := f.next()
	port, err3 := strconv.ParseUint(f.next(), 10, 16)
	if err1 != nil || err2 != nil || err3 != nil || component < 1 || component > 256 {
		return Candidate{}, ErrCandidate
	}
	c.Component, c.Priority = int(component), uint32(prio)
	switch {
	case strings.EqualFold(transport, "udp"):
	case strings.EqualFold(transport, "tcp"):
		c.Transport = TCP
	default:
		return Candidate{}, ErrUnknownTransport
	}
	if ip, err := netip.ParseAddr(host); err == nil {
		c.Addr = plain(netip.AddrPortFrom(ip, uint16(port)))
	} else if hostName(host) {
		c.Host, c.Addr = host, netip.AddrPortFrom(netip.Addr{}, uint16(port))
	} else {
		return Candidate{}, ErrCandidate
	}
	if f.next() != "typ" {
		return Candidate{}, ErrCandidate
	}
	if c.Type, err = parseType(f.next()); err != nil {
		return Candidate{}, err
	}
	if err = c.parseExtensions(f); err != nil {
		return Candidate{}, err
	}
	return c, nil
}

func parseType(s string) (CandidateType, error) {
	for i, name := range typeNames {
		if s == name {
			return CandidateType(i), nil
		}
	}
	if s == "" {
		return 0, ErrCandidate
	}
	return 0, ErrUnknownType
}

// parseExtensions reads the name-value pairs behind the type. A last name
// without a value is an error, and so is a related address without its port.
func (c *Candidate) parseExtensions(f fields) error {
	var raddr netip.Addr
	for f.s != "" {
		name, value := f.next(), f.next()
		if name == "" || value == "" {
			return ErrCandidate
		}
		switch name {
		case "raddr":
			// A name here (RFC 8828 hides addresses so) is of no use to anyone.
			raddr, _ = netip.ParseAddr(value)
			raddr = raddr.Unmap().WithZone("")
		case "rport":
			port, err := strconv.ParseUint(value, 10, 16)
			if err != nil {
				return ErrCandidate
			}
			if raddr.IsValid() {
				c.Related = netip.AddrPortFrom(raddr, uint16(port))
			}
		case "tcptype":
			if c.Transport == TCP {
				c.TCPType = value
			}
		case "ufrag":
			c.UsernameFragment = value
		default:
			if len(c.Extensions) < MaxExtensions {
				c.Extensions = append(c.Extensions, Attribute{name, value})
			}
		}
	}
	return nil
}

// Append appends the candidate as "candidate:…", without "a=".
func (c *Candidate) Append(b []byte) []byte {
	b = append(b, "candidate:"...)
	b = append(b, c.Foundation...)
	b = strconv.AppendInt(append(b, ' '), int64(c.Component), 10)
	b = append(append(append(b, ' '), c.Transport.String()...), ' ')
	b = append(strconv.AppendUint(b, uint64(c.Priority), 10), ' ')
	if c.Addr.Addr().IsValid() {
		b = c.Addr.Addr().AppendTo(b)
	} else {
		b = append(b, c.Host...)
	}
	b = strconv.AppendUint(append(b, ' '), uint64(c.Addr.Port()), 10)
	b = append(append(b, " typ "...), c.Type.String()...)
	if c.Related.IsValid() {
		b = c.Related.Addr().AppendTo(append(b, " raddr "...))
		b = strconv.AppendUint(append(b, " rport "...), uint64(c.Related.Port()), 10)
	}
	if c.TCPType != "" {
		b = append(append(b, " tcptype "...), c.TCPType...)
	}
	for _, e := range c.Extensions {
		b = append(append(append(append(b, ' '), e.Name...), ' '), e.Value...)
	}
	if c.UsernameFragment != "" {
		b = append(append(b, " ufrag "...), c.UsernameFragment...)
	}
	return b
}

// String gives what Append appends.
func (c Candidate) String() string { return string(c.Append(nil)) }

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

// fields cuts a line at single spaces.
type fields struct{ s string }

func (f *fields) next() (word string) {
	word, f.s, _ = strings.Cut(f.s, " ")
	return word
}

// hostName reports whether s can be a domain name (RFC 8839 §5.1: FQDN).
func hostName(s string) bool {
	if s == "" || len(s) > maxHostName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '.' || c == '-' || c == '_') {
			return false
		}
	}
	return true
}
