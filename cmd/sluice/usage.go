package main

import (
	"fmt"
	"io"
)

// usage explains the command by what people want to do with it.
func usage(w io.Writer) { fmt.Fprint(w, usageText) }

const usageText = `sluice is a WebRTC server: publish by WHIP, watch by WHEP, test by echo.

Usage:
  sluice [serve] [flags]    run the server
  sluice version            print the version
  sluice help               print this text

Try it:
  sluice
      then open http://127.0.0.1:8080/, publish the test pattern and watch it

Publish from OBS or ffmpeg and watch in a browser:
  sluice --http :8080 --token s3cret
      OBS: Settings > Stream > WHIP, server http://HOST:8080/whip/lobby,
           bearer token s3cret
      ffmpeg -re -i film.mp4 -c:v libx264 -profile:v baseline -bf 0 -c:a libopus \
           -f whip -authorization s3cret http://HOST:8080/whip/lobby

On a server with a public address, in a container or behind 1:1 NAT:
  SLUICE_TOKEN=s3cret sluice --http :443 --tls-cert cert.pem --tls-key key.pem \
           --udp :7881 --announce 203.0.113.7
      open TCP 443 and UDP 7881; browsers give camera and screen only to
      pages that come by https (or from localhost)

Let a page of another origin use it:
  sluice --origin https://app.example.org

Flags, each also an environment variable (--max-sessions is SLUICE_MAX_SESSIONS):
  --http ADDR            where HTTP listens (127.0.0.1:8080)
  --tls-cert, --tls-key  PEM files: serve HTTPS
  --udp ADDR             the one UDP port of all media (:7881, every address).
                         When the default is taken by another program, a free
                         port is used instead; one you name must be free.
                         Port 0 means any that is free.
  --announce IP,...      addresses to tell peers instead of the machine's own
  --ice-lite             be an ICE lite agent: for addresses all peers can reach
  --ice-server URL       stun:host:port, asked for our address and told to
                         clients; turn:user:password@host:port, told to clients.
                         May be repeated.
  --include-loopback     offer 127.0.0.1 and ::1 as well: true, false, or auto,
                         which is when HTTP listens on loopback (auto)
  --token TOKEN          ask for this bearer token (better by SLUICE_TOKEN: other
                         users of the machine can read command lines)
  --origin URL,...       web pages of these origins may use the server; * all
  --max-sessions N       refuse more than N peers (10000)
  --shards N             data lanes, 0 for one for each processor (0)
  --max-burst-delay T    let the packets of a video frame wait for the rest of
                         it, for T at most and only under load: fewer, longer
                         writes; 0 for never (1ms)
  --max-wakeup-delay T   under load look for packets every T instead of being
                         woken by each; 0 for never (1ms)
  --max-run-padding N    pad a packet by up to N bytes to the length of its
                         neighbours, which saves writes and costs bytes (0)
  --snap                 agree to begin SCTP within the session descriptions
                         (a=sctp-init): data channels open two round trips
                         sooner with clients that offer it
  --sped                 agree to carry the DTLS handshake in the checks of ICE
                         (a=ice-options:sped): connected a round trip or more
                         sooner with clients that offer it
  --filter INTERFACE     have the kernel drop there what no WebRTC peer sends to
                         the UDP port, and floods of strangers (needs root)
  --xdp INTERFACE        send what leaves alone by this interface's ring
                         (AF_XDP; needs root): for audio to many receivers
  --no-gso               send each packet by itself (UDP_SEGMENT is not used)
  --no-steering          leave it to the kernel's hash which data lane gets a
                         packet, though BPF programs could be loaded
  --debug-public         show /debug/ and /metrics to everybody, not only to
                         clients on this machine
  --log-level LEVEL      debug, info, warn or error (info)
  --log-format FORMAT    text or json (text)

HTTP:
  /                      a page to publish, watch and measure
  POST /whip/{stream}    publish (RFC 9725)
  POST /whep/{stream}    watch; ?rid= picks a layer of a simulcast
  POST /echo             get everything back: tracks and data channels
  PATCH, DELETE          on the Location of an answer: trickle ICE, ICE restart,
                         another offer; the end
  GET /api/streams       what is on
  GET /healthz           200, or 503 while shutting down
  GET /metrics           for Prometheus
  GET /debug/webrtc      every session's state and statistics, live
  GET /debug/sessions    their number; ?verbose lists them
  GET /debug/pprof/      profiles of the process

SIGTERM and Ctrl-C say goodbye to all peers and exit with status 0; a second
one exits at once.
`
