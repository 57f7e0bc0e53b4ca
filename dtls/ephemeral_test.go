package dtls

import (
	"crypto/ecdh"
	"errors"
	"testing"
)

// Keys that were made before are used, once each, in both roles and versions; a
// source that has none, or the wrong ones, or used ones, costs nothing but time.
func TestEphemeralKeysServeOnce(t *testing.T) {
	for _, c := range costCases {
		given := map[string]int{}
		var used []*EphemeralKey
		source := func(g Group) *EphemeralKey {
			k, err := GenerateEphemeralKey(g, nil)
			if err != nil {
				t.Fatal(err)
			}
			given[g.String()]++
			used = append(used, k)
			return k
		}
		w := newWorldOf(t, 1, c.version, func(client, server *Config) {
			client.Groups, server.Groups = c.groups, c.groups
			client.MinVersion, server.MinVersion = c.version, c.version
			client.EphemeralKey, server.EphemeralKey = source, source
		})
		w.handshake()
		w.checkSecrets()
		want := map[string]int{c.groups[0].String(): 2}
		if c.groups[0] == GroupX25519MLKEM768 { // the server's is made from the client's
			want = map[string]int{"X25519MLKEM768": 1, "X25519": 2}
		}
		for g, n := range want {
			if given[g] != n || len(given) != len(want) {
				t.Errorf("%x with %v: %v, want %v", c.version, c.groups[0], given, want)
			}
		}
		for _, k := range used {
			if *k != (EphemeralKey{}) {
				t.Error("a key is left that was used")
			}
		}
		// Twin: whatever the source answers, hands are shaken.
		spent, other := &EphemeralKey{}, mustEphemeral(t, GroupP384)
		for _, k := range []*EphemeralKey{nil, spent, other} {
			w := newWorldOf(t, 1, c.version, func(client, server *Config) {
				client.Groups, server.Groups = c.groups, c.groups
				client.MinVersion, server.MinVersion = c.version, c.version
				answer := func(Group) *EphemeralKey { return k }
				client.EphemeralKey, server.EphemeralKey = answer, answer
			})
			w.handshake()
		}
		if other.ecdh == nil {
			t.Error("a key of another group was taken")
		}
	}
	if _, err := GenerateEphemeralKey(99, nil); !errors.Is(err, ErrParameter) {
		t.Error(err)
	}
}

// The same key never protects two handshakes, even where one source gives it twice.
func TestClass02_EphemeralKeyIsNotReused(t *testing.T) {
	k := mustEphemeral(t, GroupX25519)
	public := k.ecdh.PublicKey()
	var seen []*ecdh.PublicKey
	for range 2 {
		key, err := keySource{made: func(Group) *EphemeralKey { return k }}.share(GroupX25519)
		if err != nil {
			t.Fatal(err)
		}
		seen = append(seen, key.PublicKey())
	}
	if !seen[0].Equal(public) || seen[1].Equal(public) {
		t.Error("the key was not used exactly once")
	}
}

func mustEphemeral(t testing.TB, g Group) *EphemeralKey {
	t.Helper()
	k, err := GenerateEphemeralKey(g, nil)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

// BenchmarkFirstFlight is the time from the arrival of a ClientHello to the answer
// and, for a client, from Start to its hello, with keys at hand and without.
func BenchmarkFirstFlight(b *testing.B) {
	for _, c := range costCases[2:] {
		for _, pool := range []string{"made now", "made before"} {
			for _, role := range []Role{Client, Server} {
				b.Run(c.groups[0].String()+"/"+role.String()+"/"+pool, func(b *testing.B) {
					var buf [DefaultMTU]byte
					for b.Loop() {
						b.StopTimer()
						var ends [2]*Conn
						for i, r := range []Role{Client, Server} {
							cfg := Config{
								Role: r, Certificate: testCerts[r.String()], RemoteFingerprints: costPrints[1-i],
								MinVersion: c.version, MaxVersion: c.version, Groups: c.groups,
							}
							if pool == "made before" && r == role {
								keys := map[Group]*EphemeralKey{GroupX25519: mustEphemeral(b, GroupX25519)}
								if role == Client {
									keys[GroupX25519MLKEM768] = mustEphemeral(b, GroupX25519MLKEM768)
								}
								cfg.EphemeralKey = func(g Group) *EphemeralKey { return keys[g] }
							}
							ends[i], _ = New(cfg)
						}
						if role == Client {
							b.StartTimer()
							ends[0].Start(1e9)
							ends[0].Transmit(1e9, buf[:])
							continue
						}
						ends[0].Start(1e9)
						ends[1].Start(1e9)
						var hello [][]byte
						for n := ends[0].Transmit(1e9, buf[:]); n > 0; n = ends[0].Transmit(1e9, buf[:]) {
							hello = append(hello, append([]byte(nil), buf[:n]...))
						}
						b.StartTimer()
						for _, p := range hello {
							_ = ends[1].HandlePacket(1e9, p)
						}
						ends[1].Transmit(1e9, buf[:])
					}
				})
			}
		}
	}
}
