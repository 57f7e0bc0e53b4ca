package sdp

func space(c byte) bool { return c == ' ' || c-'\t' < 5 } // and \t \n \v \f \r

// skip leaves out space at the start.
func skip(s string) string {
	for s != "" && space(s[0]) {
		s = s[1:]
	}
	return s
}

// word splits off the first word of s; empty at the end.
func word(s string) (w, rest string) {
	i := 0
	for i < len(s) && space(s[i]) {
		i++
	}
	j := i
	for j < len(s) && !space(s[j]) {
		j++
	}
	return s[i:j], s[j:]
}

// wordsOf lists the words of s.
func (p *Parser) wordsOf(s string) []string {
	list := p.words.open(0)
	for {
		var w string
		if w, s = word(s); w == "" {
			return p.words.done(list)
		}
		list = p.words.add(list, w)
	}
}

// number reads decimal digits, and nothing else, up to limit.
func number(s string, limit uint64) (n uint64, ok bool) {
	n, rest, ok := digits(s, limit)
	return n, ok && rest == ""
}

// digits splits off the decimal digits at the start of s, of which there must
// be one, up to limit.
func digits(s string, limit uint64) (n uint64, rest string, ok bool) {
	i := 0
	for ; i < len(s) && s[i]-'0' < 10; i++ {
		d := uint64(s[i] - '0')
		if n > (limit-d)/10 {
			return 0, s, false
		}
		n = n*10 + d
	}
	return n, s[i:], i > 0
}

// cut splits s around the first c, as strings.Cut does, but for words of a few
// bytes.
func cut(s string, c byte) (before, after string, found bool) {
	for i := range len(s) {
		if s[i] == c {
			return s[:i], s[i+1:], true
		}
	}
	return s, "", false
}
