//go:build (!amd64 && !arm64) || purego

package crypto

// levels lists what can be done without assembly.
func levels() []level { return []level{levelGeneric} }

// hashLevelName is what HashLevel says.
func hashLevelName() string { return "stdlib" }
