// Package chain has a queue from one goroutine to another, without a lock and,
// while the receiver keeps up, without allocations. It does not wake anybody.
package chain

import "sync/atomic"

// blockSize is how many items are allocated at a time. A queue that has been
// used holds at most two blocks when it is empty.
const blockSize = 8

// Queue holds any number of items, first in, first out. One goroutine at a time
// may Push while another one may Pop: who pushed before, and who popped before,
// must have happened before it. The zero value is empty and costs nothing else.
type Queue[T any] struct {
	first atomic.Pointer[block[T]] // until the first Pop
	spare atomic.Pointer[block[T]] // has been read, for Push to use again

	tail *block[T] // of who pushes

	// Of who pops.
	head *block[T]
	read uint32 // items of head
}

type block[T any] struct {
	next   atomic.Pointer[block[T]]
	filled atomic.Uint32
	items  [blockSize]T
}

// Push adds an item.
func (q *Queue[T]) Push(v T) {
	if b := q.tail; b != nil {
		if n := b.filled.Load(); n < blockSize {
			b.items[n] = v
			b.filled.Store(n + 1)
			return
		}
	}
	b := q.spare.Swap(nil)
	if b == nil {
		b = new(block[T])
	} else {
		b.next.Store(nil)
	}
	b.items[0] = v
	b.filled.Store(1)
	last := q.tail
	q.tail = b
	if last == nil {
		q.first.Store(b)
	} else {
		last.next.Store(b)
	}
}

// Pop removes the oldest item; ok is false when there is none.
func (q *Queue[T]) Pop() (v T, ok bool) {
	b := q.head
	if b == nil {
		if b = q.first.Load(); b == nil {
			return v, false
		}
		q.head = b
		q.first.Store(nil) // or it keeps what has been read alive
	}
	if q.read == b.filled.Load() {
		next := b.next.Load()
		if q.read < blockSize || next == nil {
			return v, false
		}
		// Who pushes has gone on to the next one.
		q.spare.Store(b)
		q.head, q.read = next, 0
		b = next
	}
	var zero T
	v, b.items[q.read] = b.items[q.read], zero
	q.read++
	return v, true
}
