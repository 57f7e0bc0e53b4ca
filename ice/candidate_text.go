package ice

import (
	"encoding/binary"
	"errors"
	"math/bits"
	"net/netip"
	"slices"
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

// candidateHint is what a candidate needs with two IPv4 addresses and no
// extension; Append makes room for it once.
const candidateHint = 160

// Append appends the candidate as "candidate:…", without "a=".
func (c *Candidate) Append(b []byte) []byte {
	if cap(b)-len(b) < candidateHint {
		b = slices.Grow(b, candidateHint)
	}
	b = append(append(b, "candidate:"...), c.Foundation...)
	// Lines are made of constants as long as they can be: nearly all candidates
	// are of component 1.
	switch {
	case c.Component == componentID && c.Transport == UDP:
		b = append(b, " 1 udp "...)
	case c.Component == componentID:
		b = append(b, " 1 tcp "...)
	default:
		b = strconv.AppendInt(append(b, ' '), int64(c.Component), 10)
		b = append(append(append(b, ' '), c.Transport.String()...), ' ')
	}
	b = append(appendNumber(b, c.Priority), ' ')
	if c.Addr.Addr().IsValid() {
		b = appendAddr(b, c.Addr.Addr())
	} else {
		b = append(append(b, c.Host...), ' ')
	}
	b = appendNumber(b, uint32(c.Addr.Port()))
	switch c.Type {
	case TypeHost:
		b = append(b, " typ host"...)
	case TypeServerReflexive:
		b = append(b, " typ srflx"...)
	case TypeRelay:
		b = append(b, " typ relay"...)
	default:
		b = append(append(b, " typ "...), c.Type.String()...)
	}
	if c.Related.IsValid() {
		b = appendAddr(append(b, " raddr "...), c.Related.Addr())
		b = appendNumber(append(b, "rport "...), uint32(c.Related.Port()))
	}
	if c.TCPType != "" {
		b = append(append(b, " tcptype "...), c.TCPType...)
	}
	for i := range c.Extensions {
		e := &c.Extensions[i]
		b = append(append(append(append(b, ' '), e.Name...), ' '), e.Value...)
	}
	if c.UsernameFragment != "" {
		b = append(append(b, " ufrag "...), c.UsernameFragment...)
	}
	return b
}

// appendAddr appends an address and a space.
func appendAddr(b []byte, ip netip.Addr) []byte {
	if !ip.Is4() {
		return append(ip.AppendTo(b), ' ')
	}
	const most = len("255.255.255.255 ")
	n := len(b)
	b = slices.Grow(b, most)[:n+most]
	a := ip.As4()
	text := (*[most]byte)(b[n:])
	// An octet and its dot are a word each, whose rest the next one covers.
	at := 0
	for _, octet := range a {
		o := octets[octet]
		binary.LittleEndian.PutUint32(text[at:], o.text)
		at += o.n
	}
	text[at-1] = ' '
	return b[:n+at]
}

// octets are the decimal digits of a byte and a dot, the first one lowest.
var octets = func() (t [256]octetText) {
	for i := range t {
		s := strconv.Itoa(i) + "."
		t[i].n = len(s)
		for k := range len(s) {
			t[i].text |= uint32(s[k]) << (8 * k)
		}
	}
	return t
}()

type octetText struct {
	text uint32
	n    int
}

// appendNumber is strconv.AppendUint to base 10, in pieces of four digits that
// are made at once.
func appendNumber(b []byte, n uint32) []byte {
	if n < 10000 {
		digits := fourDigits(n)
		zeros := bits.TrailingZeros32(digits|1<<24) &^ 7 // in bits, all but the last digit
		end := len(b) + 4 - zeros/8
		return binary.LittleEndian.AppendUint32(b, (digits+0x30303030)>>zeros)[:end]
	}
	high := n / 10000
	return binary.LittleEndian.AppendUint32(appendNumber(b, high), fourDigits(n-10000*high)+0x30303030)
}

// fourDigits are those of n, below 10000, a byte each, the first one lowest.
func fourDigits(n uint32) uint32 {
	// Two pairs side by side, then the digits of both pairs at once: n*5243>>19
	// is n/100 below 10000, n*103>>10 is n/10 below 100.
	high := n * 5243 >> 19
	pairs := high | (n-100*high)<<16
	tens := pairs * 103 >> 10 & 0x000f000f
	return tens | (pairs-10*tens)<<8
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
