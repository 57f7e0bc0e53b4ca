package load

import (
	"encoding/binary"
	"time"
)

// Kind is what a publisher sends.
type Kind string

// The kinds. Video is 30 frames a second of 9 packets at once, every three
// seconds a key frame of 40 in bursts of 9, 5 ms apart, in all 2.7 Mb/s; or paced
// as browsers do it: frames of 8 packets, 4 every 5 ms, 2.4 Mb/s. Audio is a
// packet every 20 ms.
const (
	Video Kind = "video"
	Audio Kind = "audio"
)

const (
	videoPacket = 1200 // bytes, RTP header included
	audioPacket = 100

	frameEvery    = time.Second / 30
	keyEvery      = 3 * time.Second
	framePackets  = 9 // and of a burst
	pacedPackets  = 8 // of a frame that is paced
	pacedBurst    = 4
	busyPackets   = 8
	keyPackets    = 40
	pacerEvery    = 5 * time.Millisecond
	audioEvery    = 20 * time.Millisecond
	busyEvery     = 800 * time.Microsecond
	requestsApart = 300 * time.Millisecond // key frames made on request
)

// reportEvery is the distance of RTCP reports, libwebrtc's.
var reportEvery = map[Kind]time.Duration{Video: time.Second, Audio: 5 * time.Second}

// stamp is what a packet ends with: magic, when it was sent, its number.
const (
	stampLen   = 20
	stampMagic = 0x536c7563
)

func putStamp(payload []byte, sent int64, index uint32) {
	s := payload[len(payload)-stampLen:]
	binary.BigEndian.PutUint32(s, stampMagic)
	binary.BigEndian.PutUint64(s[4:], uint64(sent))
	binary.BigEndian.PutUint32(s[12:], index)
	binary.BigEndian.PutUint32(s[16:], stampMagic)
}

// readStamp reports false for what no publisher of ours sent.
func readStamp(payload []byte) (sent int64, index uint32, ok bool) {
	if len(payload) < stampLen {
		return 0, 0, false
	}
	s := payload[len(payload)-stampLen:]
	if binary.BigEndian.Uint32(s) != stampMagic || binary.BigEndian.Uint32(s[16:]) != stampMagic {
		return 0, 0, false
	}
	return int64(binary.BigEndian.Uint64(s[4:])), binary.BigEndian.Uint32(s[12:]), true
}

// A source says when which packets are due. Its clock is the caller's.
type source struct {
	kind      Kind
	busy      bool          // 10,000 packets a second: frames of 8 at once, each 0.8 ms
	paced     bool          // as browsers do it
	next      time.Duration // next frame
	key       time.Duration // next key frame
	requested time.Duration // last key frame on request
	pace      time.Duration // next burst
	queue     []shot
}

// A shot is one packet to send.
type shot struct {
	at     time.Duration // of its frame: the timestamp
	key    bool          // of a key frame
	first  bool          // of a frame
	marker bool          // the frame's last
}

// keyframe asks for a key frame soon.
func (s *source) keyframe(now time.Duration) {
	if now-s.requested >= requestsApart || s.requested == 0 {
		s.requested = now
		s.key = now
	}
}

// due appends to dst the packets to send at now.
func (s *source) due(now time.Duration, dst []shot) []shot {
	if s.kind == Audio {
		for s.next <= now {
			dst = append(dst, shot{at: s.next, first: true})
			s.next += audioEvery
		}
		return dst
	}
	every, small, large, burst := frameEvery, framePackets, keyPackets, framePackets
	switch {
	case s.busy:
		every, small, large = busyEvery, busyPackets, busyPackets
	case s.paced:
		small, burst = pacedPackets, pacedBurst
	}
	for s.next <= now {
		n, key := small, false
		if s.key <= s.next {
			n, key = large, true
			s.key = s.next + keyEvery
		}
		for i := range n {
			s.queue = append(s.queue, shot{at: s.next, key: key, first: i == 0, marker: i == n-1})
		}
		s.next += every
	}
	if s.busy {
		dst = append(dst, s.queue...)
		s.queue = s.queue[:0]
		return dst
	}
	for s.pace <= now {
		n := min(burst, len(s.queue))
		dst = append(dst, s.queue[:n]...)
		s.queue = s.queue[:copy(s.queue, s.queue[n:])]
		s.pace += pacerEvery
	}
	return dst
}

// skip moves the clock of an idle source to now: what was due is not sent.
func (s *source) skip(now time.Duration) {
	s.next, s.pace, s.key, s.requested = now, now, now, now
	s.queue = s.queue[:0]
}

// stagger delays the k-th of n sources that start together, so that their
// frames do not coincide. Each begins with a key frame.
func (s *source) stagger(k, n int) {
	every := frameEvery
	if s.kind == Audio {
		every = audioEvery
	}
	delay := every * time.Duration(k) / time.Duration(n)
	s.next += delay
	s.pace += delay
	s.key += delay
}

// staggerKeys does so with the next key frames.
func (s *source) staggerKeys(k, n int) {
	s.key = s.next + keyEvery*time.Duration(k)/time.Duration(n)
}
