package sdp

// Session is a session description.
type Session struct {
	Origin Origin
	Name   string // empty prints as "-"

	Groups           []Group
	ICELite          bool
	ICEOptions       []string
	ExtmapAllowMixed bool
	MSIDSemantic     string // the value, such as " WMS *"

	// Defaults for sections that do not say otherwise. Parse has copied them
	// into the sections.
	ICEUfrag, ICEPwd string
	Fingerprints     []string
	Setup            Setup
	Direction        Direction

	Other []Attribute
	Media []Media
}

// Origin is the o= line.
type Origin struct {
	Username string // empty prints as "-"
	ID       uint64
	Version  uint64
	Address  string // empty prints as 127.0.0.1
}

// Group is an a=group line (RFC 5888).
type Group struct {
	Semantics string
	MIDs      []string
}

// Attribute is an a= line that has no field of its own. A property attribute
// has an empty value.
type Attribute struct{ Key, Value string }

// Direction of media, seen from the author of the description.
type Direction string

// The directions of RFC 8866 §6.7. Empty means sendrecv.
const (
	SendRecv Direction = "sendrecv"
	SendOnly Direction = "sendonly"
	RecvOnly Direction = "recvonly"
	Inactive Direction = "inactive"
)

// Sends and Receives tell the two halves of a direction.
func (d Direction) Sends() bool    { return d == SendRecv || d == SendOnly || d == "" }
func (d Direction) Receives() bool { return d == SendRecv || d == RecvOnly || d == "" }

// Reverse is the same direction seen from the other side.
func (d Direction) Reverse() Direction {
	switch d {
	case SendOnly:
		return RecvOnly
	case RecvOnly:
		return SendOnly
	}
	return d
}

// MakeDirection joins two halves.
func MakeDirection(sends, receives bool) Direction {
	switch {
	case sends && receives:
		return SendRecv
	case sends:
		return SendOnly
	case receives:
		return RecvOnly
	}
	return Inactive
}

// Setup is the DTLS role (RFC 5763 §5): who sends the ClientHello.
type Setup string

// The values of a=setup.
const (
	SetupActPass  Setup = "actpass"
	SetupActive   Setup = "active"
	SetupPassive  Setup = "passive"
	SetupHoldConn Setup = "holdconn"
)

// Media is a section.
type Media struct {
	Kind    string // audio, video, application, ...
	Port    uint16 // 0: rejected, or bundle-only
	Proto   string // such as UDP/TLS/RTP/SAVPF
	Formats []string
	Address string // of the c= line; empty prints as 0.0.0.0

	MID             string
	Direction       Direction
	ICEUfrag        string
	ICEPwd          string
	ICEOptions      []string
	Candidates      []string // values of a=candidate, without "candidate:"
	EndOfCandidates bool
	Fingerprints    []string // values of a=fingerprint
	Setup           Setup
	TLSID           string
	BundleOnly      bool

	RTCPMux, RTCPMuxOnly, RTCPRsize bool
	ExtmapAllowMixed                bool
	Codecs                          []Codec
	Extmaps                         []Extmap
	RIDs                            []RID
	Simulcast                       Simulcast
	MSIDs                           []MSID
	SSRCs                           []SSRC
	SSRCGroups                      []SSRCGroup
	Bandwidths                      []Bandwidth

	SCTPPort       uint16 // 0: none
	MaxMessageSize uint64 // bytes; 0: any size; meaningful with HasMaxMessageSize
	// HasMaxMessageSize is false where the attribute is missing, which means
	// 64 KiB (RFC 8841 §6.1).
	HasMaxMessageSize bool
	SCTPInit          string // the association's INIT chunk, in base64 (draft-hancke-tsvwg-snap)

	Other []Attribute
}

// Rejected reports whether the section is refused or stopped (RFC 3264 §6).
func (m *Media) Rejected() bool { return m.Port == 0 && !m.BundleOnly }

// Codec is a payload type: rtpmap, fmtp and feedback.
type Codec struct {
	PayloadType uint8
	Name        string // as written; compare without regard to case
	ClockRate   uint32
	Channels    uint16 // 0: not given, which means 1
	Fmtp        string
	Feedback    []string // such as "nack pli"
}

// Extmap is a header extension (RFC 8285 §5).
type Extmap struct {
	ID        uint16
	Direction Direction // empty: the section's
	URI       string
	Params    string
}

// RID is one encoding of a section (RFC 8851).
type RID struct {
	ID        string
	Direction string // send or recv
	Params    string
}

// Simulcast lists the encodings (RFC 8853): alternatives inside, streams
// outside. A leading "~" of a paused encoding is kept.
type Simulcast struct{ Send, Recv [][]string }

// MSID is an a=msid line (RFC 8830).
type MSID struct{ Stream, Track string }

// SSRC is a source and its attributes (RFC 5576), of which CNAME and msid are
// the ones in use.
type SSRC struct {
	ID    uint32
	CNAME string
	MSID  string
}

// SSRCGroup relates sources: FID for retransmission, SIM for simulcast.
type SSRCGroup struct {
	Semantics string
	SSRCs     []uint32
}

// Bandwidth is a b= line.
type Bandwidth struct {
	Type  string // AS or TIAS
	Value uint64 // kb/s or b/s
}
