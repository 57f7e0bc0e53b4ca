package main

// memoryConns is how many connections the cases idle and active have in a
// process, both ends of each pair counted.
const memoryConns = 200

// memoryViewers is how many viewers the case viewer adds.
const memoryViewers = 100

func memoryScenario() *scenario {
	return &scenario{
		name: "memory", children: true,
		about: "memory, goroutines, descriptors of a PeerConnection with a data channel, idle (with its CPU time) and active, and of a fan-out's viewer",
		cases: []string{"idle", "active", "viewer"},
		quick: []string{"idle", "viewer"},
		peers: []peer{
			{name: "pion", version: module("github.com/pion/webrtc/v4")},
			livekitPeer,
			janusPeer,
		},
		missing: fanoutMissing, measure: measureMemory,
	}
}

// memoryCannot tells why a peer has no part in a case; empty: it has.
func memoryCannot(path, peer string) string {
	if path != "viewer" && peer != "pion" {
		return "a server, and no stack to make PeerConnections with"
	}
	return ""
}
