package chain

import (
	"runtime"
	"testing"
)

func TestItemsComeInOrder(t *testing.T) {
	var q Queue[int]
	if _, ok := q.Pop(); ok {
		t.Fatal("an empty queue has an item")
	}
	in, out := 0, 0
	for round := range 200 {
		for range round % 37 {
			q.Push(in)
			in++
		}
		for range round % 31 {
			v, ok := q.Pop()
			if ok != (out < in) || ok && v != out {
				t.Fatalf("%d, %v after %d of %d", v, ok, out, in)
			}
			if ok {
				out++
			}
		}
	}
	for ; out < in; out++ {
		if v, ok := q.Pop(); !ok || v != out {
			t.Fatalf("%d, %v after %d of %d", v, ok, out, in)
		}
	}
	if _, ok := q.Pop(); ok {
		t.Fatal("an item too many")
	}
}

func TestOneGoroutineToAnother(t *testing.T) {
	const n = 100_000
	var q Queue[*int]
	go func() {
		for i := range n {
			q.Push(&i)
		}
	}()
	for i := range n {
		v, ok := q.Pop()
		for !ok {
			runtime.Gosched()
			v, ok = q.Pop()
		}
		if *v != i {
			t.Fatalf("%d instead of %d", *v, i)
		}
	}
}

// What was long once is short again, and then costs nothing.
func TestWhoKeepsUpAllocatesNothing(t *testing.T) {
	var q Queue[int]
	for i := range 1000 {
		q.Push(i)
	}
	for range 1000 {
		q.Pop()
	}
	if n := testing.AllocsPerRun(1000, func() {
		for i := range 5 {
			q.Push(i)
		}
		for range 5 {
			if _, ok := q.Pop(); !ok {
				t.Fatal("lost")
			}
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
	blocks := 0
	for b := q.head; b != nil; b = b.next.Load() {
		blocks++
	}
	if q.spare.Load() != nil {
		blocks++
	}
	if blocks > 2 {
		t.Errorf("%d blocks are kept", blocks)
	}
}

// A popped item is not kept alive by the queue.
func TestPoppedItemsAreForgotten(t *testing.T) {
	var q Queue[*int]
	for range 3*blockSize + 1 {
		q.Push(new(int))
	}
	for range 3*blockSize + 1 {
		q.Pop()
	}
	for _, b := range []*block[*int]{q.head, q.spare.Load()} {
		for _, p := range b.items {
			if p != nil {
				t.Fatal("kept")
			}
		}
	}
}
