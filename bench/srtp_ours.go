package main

import "github.com/sluicertc/sluice/srtp"

// srtpSource protects packets for those who unprotect.
type srtpSource struct {
	c        srtpCase
	contexts []*srtp.Context
	plain    []byte
	seq      uint16
	bufs     [][]byte
	n        int // length of a protected packet
}

func newSRTPSource(c srtpCase) (*srtpSource, error) {
	contexts, err := c.contexts()
	if err != nil {
		return nil, err
	}
	return &srtpSource{c: c, contexts: contexts, plain: srtpPlain(c), bufs: srtpBuffers(), n: c.header() + c.size + c.profile.Overhead()}, nil
}

// fill protects a run of packets into the buffers.
func (s *srtpSource) fill() {
	for i, b := range s.bufs {
		if i%s.c.keys == 0 {
			s.seq++
			putSeq(s.plain, s.seq)
		}
		_, err := s.contexts[i%len(s.contexts)].Protect(b, s.plain)
		must(err)
	}
}

// srtpSluice makes our contender; out returns its last packet.
func srtpSluice(c srtpCase) (k contender, out func() []byte, err error) {
	if c.open {
		return srtpSluiceOpen(c)
	}
	contexts, err := c.contexts()
	if err != nil {
		return k, nil, err
	}
	plain, bufs, header := srtpPlain(c), srtpBuffers(), c.header()
	for _, b := range bufs {
		copy(b, plain)
	}
	size := len(plain)
	var batch srtp.Batch
	var seq uint16
	k.name = "sluice"
	k.run = func() int {
		for i := 0; i < srtpRun; i += c.keys {
			seq++
			putSeq(plain, seq)
			for j, b := range bufs[i : i+c.keys] {
				copy(b[:header], plain)
				batch.AddSplit(contexts[j], b, header, plain[header:])
			}
			finish(&batch, (*srtp.Batch).Protect)
		}
		return srtpRun
	}
	if c.keys == 1 {
		k.run = func() int {
			for _, b := range bufs {
				seq++
				putSeq(b, seq)
				_, err := contexts[0].Protect(b, b[:size])
				must(err)
			}
			return srtpRun
		}
	}
	return k, func() []byte { return bufs[srtpRun-1][:size+c.profile.Overhead()] }, nil
}

func srtpSluiceOpen(c srtpCase) (k contender, out func() []byte, err error) {
	contexts, err := c.contexts()
	if err != nil {
		return k, nil, err
	}
	src, err := newSRTPSource(c)
	if err != nil {
		return k, nil, err
	}
	var batch srtp.Batch
	k.name, k.prepare = "sluice", src.fill
	k.run = func() int {
		for i := 0; i < srtpRun; i += c.keys {
			if c.keys == 1 {
				_, err := contexts[0].Unprotect(src.bufs[i], src.bufs[i][:src.n])
				must(err)
				continue
			}
			for j, b := range src.bufs[i : i+c.keys] {
				batch.Add(contexts[j], b, b[:src.n])
			}
			finish(&batch, (*srtp.Batch).Unprotect)
		}
		return srtpRun
	}
	return k, func() []byte { return src.bufs[srtpRun-1][:c.header()+c.size] }, nil
}

func finish(b *srtp.Batch, work func(*srtp.Batch)) {
	work(b)
	for i := range b.Len() {
		_, err := b.Result(i)
		must(err)
	}
	b.Reset()
}
