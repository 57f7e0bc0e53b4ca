//go:build linux && !race

package dataplane

import "golang.org/x/sys/unix"

// mapPages returns zeroed memory of the system's, or of the heap where the
// system has none to give.
func mapPages(size int) []byte {
	b, err := unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANONYMOUS)
	if err != nil {
		return make([]byte, size)
	}
	return b
}

// dropPages zeroes b, whose memory the system may use until it is touched again.
func dropPages(b []byte) {
	if unix.Madvise(b, unix.MADV_DONTNEED) != nil {
		clear(b)
	}
}

// unmapPages ends b. For memory of the heap it does nothing: package unix knows
// what it has mapped.
func unmapPages(b []byte) { _ = unix.Munmap(b) }
