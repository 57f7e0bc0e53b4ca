//go:build (!amd64 && !arm64) || purego

package crypto

// gcmTable is nothing where there are no kernels.
type gcmTable struct{}

func (*gcmTable) expand([]byte) {}

func (*gcmTable) ready() bool { return false }

func (*gcmTable) key() (key [32]byte, n int) { panic("crypto: no table") }

func kernelTakes(payload, aad int) bool { return false }

func sealGCMKernel([]GCMJob) { panic("crypto: no kernel") }
func openGCMKernel([]GCMJob) { panic("crypto: no kernel") }
