//go:build (!amd64 && !arm64) || purego

package crypto

// cmTable is nothing where there are no kernels.
type cmTable struct{}

func (*cmTable) expand(enc, auth []byte) {}

func (*cmTable) ready() bool { return false }

func cmKernelTakes(payload int) bool { return false }

func sealCMKernel([]CMJob) { panic("crypto: no kernel") }
func openCMKernel([]CMJob) { panic("crypto: no kernel") }
