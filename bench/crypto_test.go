package main

import "testing"

// Sluice and its rivals make the same packets, and open them. Nothing is timed.
func TestCryptoContendersAgree(t *testing.T) {
	for _, path := range cryptoScenario().cases {
		c, err := parseCrypto(path)
		if err != nil {
			t.Fatal(err)
		}
		ours, rival, err := c.contenders()
		if err != nil {
			t.Errorf("%s: %v", path, err)
			continue
		}
		for range 2 {
			once(ours)
			once(rival)
		}
		if n := allocs(ours); n != 0 {
			t.Errorf("%s: %d allocations", path, n)
		}
	}
	for _, path := range []string{"sha256", "sha256/3B", "seal/gcm128/100B", "seal/gcm128/100B/two"} {
		if _, err := parseCrypto(path); err == nil {
			t.Errorf("%s was accepted", path)
		}
	}
	if _, _, err := (cryptoCase{algorithm: "des"}).contenders(); err == nil {
		t.Error("an unknown algorithm was accepted")
	}
}

// A contender whose packets are not the others' is found out.
func TestCryptoDisagreementIsFound(t *testing.T) {
	p := newPackets(100, gcmTag)
	k, agrees := p.work(cryptoCase{batch: 1}, p.bufs(), func(int, int) {}, nil)
	p.sealed[3][20] ^= 1
	if agrees() {
		t.Error("what was not sealed is not what was wanted")
	}
	if k.run() != cryptoRun {
		t.Error("wrong count")
	}
}
