//go:build !amd64 || purego

package crypto

const kernels = false
