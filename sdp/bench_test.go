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

// A description of a few lines shows what each costs, however short.
func BenchmarkParserShort(b *testing.B) {
	const text = "v=0\r\no=- 1 2 IN IP4 127.0.0.1\r\ns=-\r\nt=0 0\r\na=group:BUNDLE 0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n" +
		"c=IN IP4 0.0.0.0\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\na=mid:0\r\na=rtpmap:111 opus/48000/2\r\n"
	var p Parser
	b.ReportAllocs()
	for range b.N {
		if _, err := p.Parse(text); err != nil {
			b.Fatal(err)
		}
	}
}
