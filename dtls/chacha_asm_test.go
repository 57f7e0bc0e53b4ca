//go:build amd64 && !purego

package dtls

const chachaAllocates = false
