package stun

// Class is the two class bits of a message type (RFC 8489 §5).
type Class uint8

// The four classes.
const (
	Request    Class = 0
	Indication Class = 1
	Success    Class = 2
	Error      Class = 3
)

// Method is the twelve method bits of a message type.
type Method uint16

// Methods of RFC 8489 §18.2 and RFC 8656 §17.
const (
	Binding          Method = 0x001
	Allocate         Method = 0x003
	Refresh          Method = 0x004
	Send             Method = 0x006
	Data             Method = 0x007
	CreatePermission Method = 0x008
	ChannelBind      Method = 0x009
)

// Type is a message type as on the wire: method and class bits interleaved.
type Type uint16

// The message types of a Binding transaction.
const (
	BindingRequest    Type = 0x0001
	BindingIndication Type = 0x0011
	BindingSuccess    Type = 0x0101
	BindingError      Type = 0x0111
)

// MakeType joins a method (12 bits) and a class (RFC 8489 §5, figure 3).
func MakeType(m Method, c Class) Type {
	v := uint16(m)
	return Type(v&0x000f | v&0x0070<<1 | v&0x0f80<<2 |
		uint16(c)&1<<4 | uint16(c)&2<<7)
}

// Method gives the method bits.
func (t Type) Method() Method {
	v := uint16(t)
	return Method(v&0x000f | v>>1&0x0070 | v>>2&0x0f80)
}

// Class gives the class bits.
func (t Type) Class() Class {
	return Class(t>>4&1 | t>>7&2)
}

// TransactionID names a transaction: 96 bits, random (RFC 8489 §5).
type TransactionID [12]byte

// Attr is an attribute type. Types below 0x8000 are comprehension-required
// (RFC 8489 §14).
type Attr uint16

// Attributes of RFC 8489 §18.3, RFC 8445 §16.1 and RFC 8656 §18.
const (
	AttrMappedAddress          Attr = 0x0001
	AttrUsername               Attr = 0x0006
	AttrMessageIntegrity       Attr = 0x0008
	AttrErrorCode              Attr = 0x0009
	AttrUnknownAttributes      Attr = 0x000a
	AttrChannelNumber          Attr = 0x000c
	AttrLifetime               Attr = 0x000d
	AttrXORPeerAddress         Attr = 0x0012
	AttrData                   Attr = 0x0013
	AttrRealm                  Attr = 0x0014
	AttrNonce                  Attr = 0x0015
	AttrXORRelayedAddress      Attr = 0x0016
	AttrRequestedAddressFamily Attr = 0x0017
	AttrEvenPort               Attr = 0x0018
	AttrRequestedTransport     Attr = 0x0019
	AttrDontFragment           Attr = 0x001a
	AttrMessageIntegritySHA256 Attr = 0x001c
	AttrXORMappedAddress       Attr = 0x0020
	AttrReservationToken       Attr = 0x0022
	AttrPriority               Attr = 0x0024
	AttrUseCandidate           Attr = 0x0025
	AttrSoftware               Attr = 0x8022
	AttrAlternateServer        Attr = 0x8023
	AttrFingerprint            Attr = 0x8028
	AttrICEControlled          Attr = 0x8029
	AttrICEControlling         Attr = 0x802a
)

// Required reports whether an agent which does not know t must not process
// the message (RFC 8489 §14).
func (t Attr) Required() bool { return t < 0x8000 }

// Error codes used by ICE and its consent (RFC 8489 §14.8, RFC 8445 §16.2,
// RFC 7675 §5.2).
const (
	CodeBadRequest       = 400
	CodeForbidden        = 403
	CodeUnknownAttribute = 420
	CodeRoleConflict     = 487
)
