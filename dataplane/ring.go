package dataplane

import (
	"sync/atomic"
)

// ring is a bounded queue of one producer and one consumer. The producer may
// refer to memory of its own in the items: an item's memory is its again once
// the consumer has released it.
type ring[T any] struct {
	items []T
	_     [64]byte
	head  atomic.Uint32 // consumer: everything before is released
	_     [60]byte
	tail  atomic.Uint32 // producer: everything before is published
	_     [60]byte
}

// newRing makes a ring of n items, a power of two.
func newRing[T any](n int) *ring[T] {
	if n&(n-1) != 0 {
		panic("dataplane: ring size must be a power of two")
	}
	return &ring[T]{items: make([]T, n)}
}

// slot is where the producer writes the next item, or nil when the ring is
// full. publish makes it visible.
func (r *ring[T]) slot() *T {
	t := r.tail.Load()
	if t-r.head.Load() == uint32(len(r.items)) {
		return nil
	}
	return &r.items[t&uint32(len(r.items)-1)]
}

func (r *ring[T]) publish() { r.tail.Store(r.tail.Load() + 1) }

// span is what the consumer may read: items from (inclusive) to (exclusive).
func (r *ring[T]) span() (from, to uint32) { return r.head.Load(), r.tail.Load() }

// at is item i of the span.
func (r *ring[T]) at(i uint32) *T { return &r.items[i&uint32(len(r.items)-1)] }

// release gives everything before i back to the producer.
func (r *ring[T]) release(i uint32) { r.head.Store(i) }

func (r *ring[T]) empty() bool { return r.head.Load() == r.tail.Load() }
