package sdp

import "slices"

// minChunk is the least number of values an arena makes room for at once.
const minChunk = 8

// An arena holds the lists of one kind of a description, one behind the other
// in as few arrays as their number allows. One list at a time is open.
type arena[T any] struct {
	first []T // the array to begin with; the next description reuses it
	free  []T // empty, at the start of the room that is left
	used  int // by the lists of this description
}

// reset begins a description, which overwrites the one before.
func (a *arena[T]) reset() {
	if a.used > cap(a.first) {
		a.first = make([]T, 0, a.used)
	}
	a.free, a.used = a.first[:0], 0
}

// open begins a list for n values or, with add, any number.
func (a *arena[T]) open(n int) []T {
	if n > cap(a.free) {
		a.free = make([]T, 0, n)
	}
	return a.free
}

// add appends to the open list.
func (a *arena[T]) add(list []T, v T) []T {
	if len(list) == cap(list) {
		list = slices.Grow(list, max(minChunk, a.used, len(list)))
	}
	return append(list, v)
}

// done ends the open list and returns it, nil if it is empty. Appending to it
// afterwards moves it out of here.
func (a *arena[T]) done(list []T) []T {
	n := len(list)
	if n == 0 {
		return nil
	}
	a.used += n
	a.free = list[n:]
	return list[:n:n]
}
