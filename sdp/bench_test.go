package sdp

import "testing"

func BenchmarkParse(b *testing.B) {
	text := captures(b)["chromium-echo"]
	b.ReportAllocs()
	for range b.N {
		mustParse(b, text)
	}
}

func BenchmarkParser(b *testing.B) {
	text := captures(b)["chromium-echo"]
	var p Parser
	b.ReportAllocs()
	for range b.N {
		if _, err := p.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	s := mustParse(b, captures(b)["chromium-echo"])
	var buf []byte
	b.ReportAllocs()
	for range b.N {
		buf = s.Append(buf[:0])
	}
}
