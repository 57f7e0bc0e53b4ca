"""GStreamer's webrtcbin against the echo: sound, picture and a data channel.

Prints one JSON object. Usage: gstreamer_peer.py URL
"""
import json
import sys
import threading
import urllib.error
import urllib.parse
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
gi.require_version("GstSdp", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

SEND = """
webrtcbin name=peer bundle-policy=max-bundle latency=50
videotestsrc is-live=true pattern=ball ! video/x-raw,width=320,height=240,framerate=30/1 ! videoconvert !
 vp8enc deadline=1 keyframe-max-dist=60 ! rtpvp8pay picture-id-mode=15-bit ! application/x-rtp,media=video,encoding-name=VP8,payload=96 ! peer.
audiotestsrc is-live=true ! audioconvert ! audioresample ! opusenc ! rtpopuspay !
 application/x-rtp,media=audio,encoding-name=OPUS,payload=97,encoding-params=(string)2 ! peer.
"""

RECEIVE = {
    "VP8": "rtpvp8depay ! vp8dec ! fakesink name=sink signal-handoffs=true sync=false",
    "OPUS": "rtpopusdepay ! opusdec ! fakesink name=sink signal-handoffs=true sync=false",
}


def request(method, url, body=None, kind=None):
    r = urllib.request.Request(url, method=method, data=body)
    if kind:
        r.add_header("Content-Type", kind)
    with urllib.request.urlopen(r, timeout=20) as answer:
        return answer.status, answer.headers.get("Location"), answer.read().decode()


class Peer:
    def __init__(self, url):
        self.url, self.location, self.posted = url, None, False
        self.result = {"channels": {}, "audio": 0, "video": 0}
        self.want, self.got = [], []
        self.loop = GLib.MainLoop()
        self.pipeline = Gst.parse_launch(SEND)
        self.webrtc = self.pipeline.get_by_name("peer")
        self.webrtc.connect("pad-added", self.on_pad)
        self.webrtc.connect("notify::ice-gathering-state", self.on_gathering)
        bus = self.pipeline.get_bus()
        bus.add_signal_watch()
        bus.connect("message::error", lambda _, m: self.fail(str(m.parse_error())))
        # libnice leaves the loopback interface out, and reaches nothing there from another.
        # The agent is kept: Python would take webrtcbin's own reference with it.
        self.agent = self.webrtc.get_property("ice-agent")
        self.agent.emit("add-local-ip-address", "127.0.0.1")
        self.pipeline.set_state(Gst.State.READY)
        self.channel = self.webrtc.emit("create-data-channel", "ordered", None)
        self.channel.connect("on-open", lambda _: GLib.idle_add(self.send))
        self.channel.connect("on-message-string", lambda _, s: self.got.append(s or ""))
        self.channel.connect("on-message-data", lambda _, d: self.got.append(d.get_data() if d else b""))
        self.pipeline.set_state(Gst.State.PLAYING)
        self.webrtc.emit("create-offer", None, Gst.Promise.new_with_change_func(self.on_offer))
        GLib.timeout_add(100, self.check)
        self.ticks = 0

    def fail(self, why):
        self.result["error"] = why
        self.loop.quit()

    def on_offer(self, promise):
        promise.wait()
        self.reply = promise.get_reply()  # it owns the description
        self.offer = self.reply.get_value("offer")
        self.webrtc.emit("set-local-description", self.offer, Gst.Promise.new())

    def on_gathering(self, *_):
        if self.webrtc.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE and not self.posted:
            self.posted = True
            GLib.idle_add(self.post)

    def post(self):
        offer = self.webrtc.get_property("local-description").sdp.as_text()
        try:
            self.result["status"], self.location, answer = request("POST", self.url, offer.encode(), "application/sdp")
        except Exception as e:
            self.fail(f"{e}: {getattr(e, 'read', bytes)()!r}\n{offer}")
            return False
        _, message = GstSdp.SDPMessage.new_from_text(answer)
        description = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
        self.webrtc.emit("set-remote-description", description, Gst.Promise.new())
        return False

    def on_pad(self, _, pad):
        if pad.get_direction() != Gst.PadDirection.SRC:
            return
        caps = pad.get_current_caps() or pad.query_caps()
        name = caps.get_structure(0).get_string("encoding-name")
        kind = "video" if name == "VP8" else "audio"
        sink = Gst.parse_bin_from_description(RECEIVE[name], True)
        sink.get_by_name("sink").connect("handoff", lambda *_: self.count(kind))
        self.pipeline.add(sink)
        sink.sync_state_with_parent()
        pad.link(sink.get_static_pad("sink"))

    def count(self, kind):
        self.result[kind] += 1

    def send(self):
        self.want = [bytes([i]) for i in range(10)]
        self.want += [bytes((k + i) & 255 for k in range(65536)) for i in range(3)]
        self.want += [i.to_bytes(4, "big") * 256 for i in range(1000)]
        self.want += [f"text {i} é" for i in range(20)]
        for m in self.want:
            if isinstance(m, str):
                self.channel.emit("send-string", m)
            else:
                self.channel.emit("send-data", GLib.Bytes.new(m))
        return False

    def check(self):
        self.ticks += 1
        echoed = self.want and len(self.got) >= len(self.want)
        if echoed and self.result["audio"] > 50 and self.result["video"] > 30 or self.ticks > 400:
            self.loop.quit()
            return False
        return True

    def run(self):
        self.loop.run()
        wrong = next((i for i, w in enumerate(self.want) if i >= len(self.got) or self.got[i] != w), -1)
        self.result["channels"]["ordered"] = {"sent": len(self.want), "received": len(self.got), "wrong": wrong, "ordered": True}
        self.result["state"] = self.webrtc.get_property("connection-state").value_nick
        if self.location:
            try:
                self.result["deleted"] = request("DELETE", urllib.parse.urljoin(self.url, self.location))[0]
            except urllib.error.HTTPError as e:
                self.result["deleted"] = e.code
        self.pipeline.set_state(Gst.State.NULL)
        print(json.dumps(self.result), flush=True)


Gst.init(None)
guard = threading.Timer(80, lambda: sys.exit("no end"))
guard.daemon = True
guard.start()
Peer(sys.argv[1]).run()
