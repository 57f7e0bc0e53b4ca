package main

import (
	"strings"
	"testing"
)

const script = `bench  4711 
	ffffffff8b2a10 __ip_append_data+0x120 ([kernel.kallsyms])
	ffffffff8b2b00 udp_sendmsg+0x4 ([kernel.kallsyms])
	          47a1 github.com/sluicertc/sluice/sockets.(*transmitter).once (/tmp/bench)

bench  4712 
	ffffffff8b2a44 __ip_append_data+0x154 ([kernel.kallsyms])
	ffffffff8b2b00 udp_sendmsg+0x4 ([kernel.kallsyms])
	          47a1 github.com/sluicertc/sluice/sockets.(*transmitter).once (/tmp/bench)

bench  4712 
	     7f00beef0 [unknown] (/usr/lib/libc.so.6)
`

func TestConvert(t *testing.T) {
	p, err := convert(strings.NewReader(script))
	if err != nil {
		t.Fatal(err)
	}
	if len(p.Sample) != 2 || p.Sample[0].Value[0] != 2 || p.Sample[1].Value[0] != 1 {
		t.Fatalf("%v", p)
	}
	var names []string
	for _, l := range p.Sample[0].Location {
		names = append(names, l.Line[0].Function.Name)
	}
	if got := strings.Join(names, " < "); got != "__ip_append_data < udp_sendmsg < github.com/sluicertc/sluice/sockets.(*transmitter).once" {
		t.Error(got)
	}
	if got := p.Sample[1].Location[0].Line[0].Function.Name; got != "[/usr/lib/libc.so.6]" {
		t.Error(got)
	}
	if p.Sample[0].Label["comm"][0] != "bench" {
		t.Error(p.Sample[0].Label)
	}
}

func TestConvertSaysWhatIsWrong(t *testing.T) {
	for text, want := range map[string]string{"": "-g", "bench 1 \n": "-g", "bench 1 \n\tudp_sendmsg\n": "line 2"} {
		if _, err := convert(strings.NewReader(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
}
