package main

// memoryConns is how many connections the scenario memory has in a process,
// both ends of each pair counted.
const memoryConns = 200

func memoryScenario() *scenario {
	return &scenario{
		name: "memory", about: "memory, goroutines and descriptors of a connected, idle PeerConnection with a data channel",
		cases: []string{"idle", "viewer"}, peers: dataPeers(), missing: fanoutMissing, measure: measureMemory,
	}
}
