package sctp

// EventKind says what an Event reports.
type EventKind uint8

const (
	// EventConnected: the association is up.
	EventConnected EventKind = iota + 1
	// EventMessage: SID, PPID, Unordered and Data. The receiver owns Data and
	// calls Consume when it is done with it. More: the message goes on with the
	// next ordered EventMessage of its stream (SetParts).
	EventMessage
	// EventStreamsReset: the peer has reset its outgoing streams SIDs (all of
	// them if AllStreams); every earlier message of theirs has been reported.
	EventStreamsReset
	// EventResetDone: the reset of the outgoing streams SIDs has ended. Err is
	// nil, or the reason why the streams were not reset.
	EventResetDone
	// EventBufferedAmountLow: BufferedAmount of SID fell to its threshold.
	EventBufferedAmountLow
	// EventWritable: a Write which failed with ErrSendBufferFull may be tried
	// again.
	EventWritable
	// EventRestarted: the peer restarted; all streams begin anew and what was
	// queued or in flight is lost (RFC 9260 §5.2.4.1).
	EventRestarted
	// EventReconfigDone: a request made by ResetIncoming (with its SIDs) or by
	// AddStreams has been answered. Err is nil, or why it was refused.
	EventReconfigDone
	// EventNumbersReset: TSNs and all streams of both directions begin anew;
	// nothing is lost (ResetNumbers, of either side).
	EventNumbersReset
	// EventMessageAborted: the rest of a message reported with More will not
	// come; the peer has given it up, or reset the stream.
	EventMessageAborted
	// EventMessageRefused: a message of SID is longer than is taken, and was
	// dropped. Channels alone ask for it; otherwise the association ends.
	EventMessageRefused
	// EventClosed: the association has ended; Err is nil after a graceful
	// shutdown. Nothing follows.
	EventClosed
)

// Event of an Association.
type Event struct {
	Kind       EventKind
	SID        uint16
	PPID       uint32
	Unordered  bool
	More       bool
	AllStreams bool
	Data       []byte
	SIDs       []uint16
	Err        error
	// Cause is the first error cause code of the peer's ABORT, RFC 9260
	// §3.3.10; 0: none.
	Cause uint16
}

// fifo is a queue whose storage is reused once it has drained.
type fifo[T any] struct {
	items []T
	head  int
}

func (q *fifo[T]) len() int { return len(q.items) - q.head }

func (q *fifo[T]) push(v T) {
	if q.head > 32 && q.head*2 >= len(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = append(q.items, v)
}

// peek returns the oldest item, which must exist.
func (q *fifo[T]) peek() *T { return &q.items[q.head] }

// at returns item i, from the oldest, which must exist.
func (q *fifo[T]) at(i int) *T { return &q.items[q.head+i] }

// dropLast removes the newest item, which must exist.
func (q *fifo[T]) dropLast() T {
	var zero T
	n := len(q.items) - 1
	v := q.items[n]
	q.items[n], q.items = zero, q.items[:n]
	return v
}

func (q *fifo[T]) pop() (v T, ok bool) {
	if q.len() == 0 {
		return v, false
	}
	var zero T
	v, q.items[q.head] = q.items[q.head], zero
	if q.head++; q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
		if cap(q.items) > 1024 {
			q.items = nil
		}
	}
	return v, true
}

func (q *fifo[T]) reset() { *q = fifo[T]{} }
