// Package h264 takes H.264's RTP payloads (RFC 6184) apart and makes them: the
// packets of packetisation modes 0 and 1, which are those WebRTC uses. It also
// tells whether a packet starts a key frame, which is all that forwarding
// needs.
//
// A Depacketizer appends the NAL units of packets to the caller's buffer, a
// Packetizer cuts a frame into payloads, and neither allocates but what append
// does to a full slice. Frames are Annex B streams or, by choice, AVCC: units
// behind lengths of four bytes.
//
// It decodes nothing, puts no packets in order, does not know where a frame
// ends (that is the marker bit's and the timestamp's to say), and refuses the
// packets of mode 2.
package h264
