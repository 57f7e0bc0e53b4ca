package dataplane

import "sync/atomic"

// mailbox is a queue of many producers and one consumer without a lock: push
// adds to a stack, take claims the whole stack and turns it around, so that
// the consumer sees the order of the pushes.
type mailbox[T any] struct {
	head atomic.Pointer[letter[T]]
}

type letter[T any] struct {
	next *letter[T]
	v    T
}

// push reports whether the mailbox was empty. Any goroutine.
func (m *mailbox[T]) push(v T) bool { return m.put(&letter[T]{v: v}) }

// put is push of a letter, which is the mailbox's until a later take than that
// which returns it.
func (m *mailbox[T]) put(l *letter[T]) bool {
	for {
		old := m.head.Load()
		l.next = old
		if m.head.CompareAndSwap(old, l) {
			return old == nil
		}
	}
}

// take removes everything and returns it oldest first.
func (m *mailbox[T]) take() *letter[T] {
	if m.head.Load() == nil {
		return nil
	}
	l := m.head.Swap(nil)
	var first *letter[T]
	for l != nil {
		l, l.next, first = l.next, first, l
	}
	return first
}

func (m *mailbox[T]) empty() bool { return m.head.Load() == nil }
