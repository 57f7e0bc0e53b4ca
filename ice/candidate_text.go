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
// extensions beyond MaxExtensions are left out. The strings of the result are
// parts of s.
func ParseCandidate(s string) (c Candidate, err error) {
	if len(s) > MaxCandidateLen {
		return c, ErrCandidateTooLong
	}
	s = strings.TrimPrefix(strings.TrimRight(s, "\r\n "), "a=")
	if len(s) >= 10 && strings.EqualFold(s[:10], "candidate:") {
		s = s[10:]
	}
	f := fields{s: s}
	c.Foundation = f.next()
	if c.Foundation == "" || len(c.Foundation) > maxFoundation {
		return Candidate{}, ErrCandidate
	}
	component, ok1 := number(f.next(), 256)
	transport := f.next()
	prio, ok2 := number(f.next(), 1<<32-1)
	host := f.next()
	port, ok3 := number(f.next(), 1<<16-1)
	if !ok1 || !ok2 || !ok3 || component < 1 {
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
	if ip, ok := parseAddr(host); ok {
		c.Addr = netip.AddrPortFrom(ip, uint16(port))
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
	// No control byte may travel on into a line we print.
	if !c.parseExtensions(&f) || f.control {
		return Candidate{}, ErrCandidate
	}
	return c, nil
}

// parseAddr reads an address, without its zone. A name that cannot be one is
// spared netip's error, which allocates.
func parseAddr(s string) (netip.Addr, bool) {
	if s == "" || s[len(s)-1]-'0' > 9 && strings.IndexByte(s, ':') < 0 {
		return netip.Addr{}, false
	}
	ip, err := netip.ParseAddr(s)
	return ip.Unmap().WithZone(""), err == nil
}

// number reads decimal digits, and nothing else, up to limit.
func number(s string, limit uint64) (n uint64, ok bool) {
	for i := range len(s) {
		d := uint64(s[i] - '0')
		if n = n*10 + d; d > 9 || n > limit {
			return 0, false
		}
	}
	return n, s != ""
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
func (c *Candidate) parseExtensions(f *fields) bool {
	var raddr netip.Addr
	for f.s != "" {
		name, value := f.next(), f.next()
		if name == "" || value == "" {
			return false
		}
		switch name {
		case "raddr":
			// A name here (RFC 8828 hides addresses so) is of no use to anyone.
			raddr, _ = parseAddr(value)
		case "rport":
			port, ok := number(value, 1<<16-1)
			if !ok {
				return false
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
	return true
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

// fields cuts a line at single spaces.
type fields struct {
	s       string
	control bool // a control byte was among them
}

func (f *fields) next() (word string) {
	s := f.s
	for i := range len(s) {
		switch c := s[i]; {
		case c == ' ':
			f.s = s[i+1:]
			return s[:i]
		case c < ' ' || c == 0x7f:
			f.control = true
		}
	}
	f.s = ""
	return s
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
