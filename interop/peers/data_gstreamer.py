"""GStreamer's webrtcbin as a peer of the tests of data channels: it sends back
what comes on any channel, and does what a text beginning with "!" says.

Usage: data_gstreamer.py URL CHANNELS
"""
import json
import sys
import urllib.request

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
gi.require_version("GstSdp", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

url, channels = sys.argv[1], json.loads(sys.argv[2])
names = {"ordered": "ordered", "maxRetransmits": "max-retransmits", "maxPacketLifeTime": "max-packet-lifetime", "protocol": "protocol"}
kept = []


def serve(channel):
    kept.append(channel)

    def on_string(_, m):
        if m == "!info":
            p = channel.get_property
            limit = lambda v: None if v < 0 else v  # noqa: E731
            channel.emit("send-string", json.dumps({
                "label": p("label"), "protocol": p("protocol"), "ordered": p("ordered"),
                "maxRetransmits": limit(p("max-retransmits")), "maxPacketLifeTime": limit(p("max-packet-lifetime")),
            }))
        elif m == "!close":
            channel.emit("close")
        else:
            channel.emit("send-string", m)

    channel.connect("on-message-string", on_string)
    channel.connect("on-message-data", lambda _, d: channel.emit("send-data", d))


def on_offer(promise):
    promise.wait()
    on_offer.reply = promise.get_reply()  # it owns the description
    webrtc.emit("set-local-description", on_offer.reply.get_value("offer"), Gst.Promise.new())


def on_gathering(*_):
    if webrtc.get_property("ice-gathering-state") == GstWebRTC.WebRTCICEGatheringState.COMPLETE and not on_gathering.posted:
        on_gathering.posted = True
        GLib.idle_add(post)


on_gathering.posted = False


def post():
    offer = webrtc.get_property("local-description").sdp.as_text()
    r = urllib.request.Request(url, method="POST", data=offer.encode(), headers={"Content-Type": "application/sdp"})
    with urllib.request.urlopen(r, timeout=20) as answer:
        _, message = GstSdp.SDPMessage.new_from_text(answer.read().decode())
    description = GstWebRTC.WebRTCSessionDescription.new(GstWebRTC.WebRTCSDPType.ANSWER, message)
    webrtc.emit("set-remote-description", description, Gst.Promise.new())
    return False


Gst.init(None)
pipeline = Gst.Pipeline.new(None)
webrtc = Gst.ElementFactory.make("webrtcbin", "peer")
webrtc.set_property("bundle-policy", GstWebRTC.WebRTCBundlePolicy.MAX_BUNDLE)
pipeline.add(webrtc)
webrtc.connect("notify::ice-gathering-state", on_gathering)
webrtc.connect("on-data-channel", lambda _, c: serve(c))
# libnice leaves the loopback interface out, and reaches nothing there from another.
agent = webrtc.get_property("ice-agent")
agent.emit("add-local-ip-address", "127.0.0.1")
pipeline.set_state(Gst.State.READY)
for c in channels:
    options = Gst.Structure.new_empty("options")
    for k, v in c["init"].items():
        options.set_value(names[k], v)
    serve(webrtc.emit("create-data-channel", c["label"], options))
pipeline.set_state(Gst.State.PLAYING)
webrtc.emit("create-offer", None, Gst.Promise.new_with_change_func(on_offer))
GLib.MainLoop().run()  # until it is killed
