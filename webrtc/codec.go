package webrtc

import (
	"slices"
	"strings"

	"github.com/sluicertc/sluice/dataplane"
	"github.com/sluicertc/sluice/rtp"
	"github.com/sluicertc/sluice/sdp"
)

// Kind is the kind of a track or transceiver.
type Kind string

// The kinds of media.
const (
	Audio Kind = "audio"
	Video Kind = "video"
)

// Codec is RTCRtpCodec: a payload format.
type Codec struct {
	MimeType    string // such as "video/VP8"
	ClockRate   uint32
	Channels    uint16
	SDPFmtpLine string
}

// Kind is the part of the MIME type before the slash.
func (c Codec) Kind() Kind {
	k, _, _ := strings.Cut(c.MimeType, "/")
	return Kind(strings.ToLower(k))
}

// Name is the part of the MIME type behind the slash.
func (c Codec) Name() string {
	_, n, _ := strings.Cut(c.MimeType, "/")
	return n
}

func (c Codec) sdp() sdp.Codec {
	return sdp.Codec{Name: c.Name(), ClockRate: c.ClockRate, Channels: c.Channels, Fmtp: c.SDPFmtpLine}
}

func fromSDP(kind Kind, c *sdp.Codec) Codec {
	return Codec{MimeType: string(kind) + "/" + c.Name, ClockRate: c.ClockRate, Channels: c.Channels, SDPFmtpLine: c.Fmtp}
}

// DefaultCodecs are the formats that every connection takes unless its Config
// says otherwise, in order of preference.
func DefaultCodecs() []Codec { return slices.Clone(defaultCodecs) }

// defaultCodecs are nobody's to change.
var defaultCodecs = func() []Codec {
	h264 := func(profile, mode string) Codec {
		return Codec{"video/H264", 90000, 0, "level-asymmetry-allowed=1;packetization-mode=" + mode + ";profile-level-id=" + profile}
	}
	return []Codec{
		{"audio/opus", 48000, 2, "minptime=10;useinbandfec=1"},
		{"audio/G722", 8000, 0, ""},
		{"audio/PCMU", 8000, 0, ""},
		{"audio/PCMA", 8000, 0, ""},
		{"video/VP8", 90000, 0, ""},
		{"video/VP9", 90000, 0, "profile-id=0"},
		h264("42e01f", "1"), h264("42e01f", "0"), h264("42001f", "1"), h264("42001f", "0"),
		h264("4d001f", "1"), h264("4d001f", "0"), h264("640c1f", "1"), h264("64001f", "1"),
		{"video/AV1", 90000, 0, "level-idx=5;profile=0;tier=0"},
		{"video/VP9", 90000, 0, "profile-id=2"},
	}
}()

// defaultPayloadTypes are what an offer uses where nothing else was agreed on;
// a codec's retransmission has the number that follows, where it is free.
var staticPayloadTypes = map[string]uint8{"pcmu": 0, "pcma": 8, "g722": 9}

func isRTX(c *sdp.Codec) bool { return strings.EqualFold(c.Name, "rtx") }

// feedback that is understood, by kind of media.
var feedback = map[Kind][]string{
	Audio: {"transport-cc", "nack"},
	Video: {"transport-cc", "ccm fir", "nack", "nack pli"},
}

// extensions that are understood, by kind of media, in the order in which an
// offer numbers them.
var extensions = []struct {
	uri          string
	audio, video bool
}{
	{rtp.URIMID, true, true},
	{rtp.URITransportCC, true, true},
	{rtp.URIRID, false, true},
	{rtp.URIRepairedRID, false, true},
	{rtp.URIAudioLevel, true, false},
	{rtp.URIOrientation, false, true},
	{rtp.URIPlayoutDelay, false, true},
	{rtp.URIContentType, false, true},
	{rtp.URIColorSpace, false, true},
	{rtp.URIDependency, false, true},
	{rtp.URIAbsCapture, true, true},
}

func understands(kind Kind, uri string) bool {
	for _, e := range extensions {
		if e.uri == uri {
			return kind == Audio && e.audio || kind == Video && e.video
		}
	}
	return false
}

// forwarded reports whether an extension means the same to every receiver of
// a stream, so that it travels with the packet.
func forwarded(uri string) bool {
	switch uri {
	case rtp.URIAudioLevel, rtp.URIOrientation, rtp.URIPlayoutDelay, rtp.URIContentType,
		rtp.URIColorSpace, rtp.URIDependency, rtp.URIAbsCapture:
		return true
	}
	return false
}

func keyframes(c *sdp.Codec) dataplane.Codec {
	switch strings.ToLower(c.Name) {
	case "vp8":
		return dataplane.CodecVP8
	case "vp9":
		return dataplane.CodecVP9
	case "h264":
		return dataplane.CodecH264
	case "av1":
		return dataplane.CodecAV1
	}
	return dataplane.CodecOther
}
