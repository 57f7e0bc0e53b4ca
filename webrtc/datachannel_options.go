package webrtc

import (
	"fmt"

	"github.com/sluicertc/sluice/sctp"
)

// DataChannelOptions bounds and shapes what the data channels of a connection
// do. The zero value is what browsers do.
type DataChannelOptions struct {
	// MaxMessageSize is the largest message taken, in bytes, which descriptions
	// announce (a=max-message-size, RFC 8841 §6). 0: 262144; at most 1 GiB. The
	// receive window of each connection is that much and 64 KiB, since OnMessage
	// gets messages whole, unless Detach is set.
	MaxMessageSize int
	// Detach says that the application detaches every data channel
	// (DataChannel.Detach); OnMessage is not called. Messages of ordered channels
	// are then read in parts as they come, so that MaxMessageSize may be far more
	// than the memory of the receive window. On unordered channels a message of
	// more than 262144 bytes closes the channel, as everywhere one does that is
	// longer than MaxMessageSize.
	Detach bool
	// Interleave offers I-DATA (RFC 8260): a large message does not hold up the
	// other channels, and one written in parts (DataChannelConn.NextWriter) may
	// take its time. Where the peer does not support it, nothing changes.
	Interleave bool
	// Flows is against others as how many TCP flows the data channels compete for
	// a path, 1 to 8; 0: 1 (sctp.Config).
	Flows int
}

func (o *DataChannelOptions) validate() error {
	if o.MaxMessageSize < 0 || o.MaxMessageSize > maxAnnounced {
		return fmt.Errorf("%w: DataChannels.MaxMessageSize is 0 to %d", ErrType, maxAnnounced)
	}
	if o.Flows < 0 || o.Flows > 8 {
		return fmt.Errorf("%w: DataChannels.Flows is 0 to 8", ErrType)
	}
	return nil
}

// messageSize is what descriptions announce.
func (o *DataChannelOptions) messageSize() int {
	if o.MaxMessageSize == 0 {
		return maxMessageSize
	}
	return o.MaxMessageSize
}

func (o *DataChannelOptions) association() sctp.Config {
	c := sctp.Config{
		MaxMessageSize: o.messageSize(), MaxReceiveBuffer: receiveBuffer, MaxSendBuffer: maxSendBuffer,
		Interleave: o.Interleave, Flows: o.Flows,
	}
	if o.Detach {
		c.ReadParts, c.MaxPartsSize = true, c.MaxMessageSize
		c.MaxMessageSize = min(c.MaxMessageSize, maxMessageSize)
	}
	return c
}
