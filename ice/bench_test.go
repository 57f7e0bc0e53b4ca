package ice

import "testing"

func BenchmarkNew(b *testing.B) {
	b.ReportAllocs()
	cfg := Config{Hosts: hostA}
	for b.Loop() {
		if _, err := New(cfg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkParseCandidate(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ParseCandidate("candidate:842163049 1 udp 1677729535 192.0.2.3 45664 typ srflx raddr 10.0.0.1 rport 8998 generation 0"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCandidateAppend(b *testing.B) {
	c, _ := ParseCandidate("candidate:842163049 1 udp 1677729535 192.0.2.3 45664 typ srflx raddr 10.0.0.1 rport 8998")
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		c.Append(buf)
	}
}
