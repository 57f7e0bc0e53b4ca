"""aiortc against the echo: sound, picture and data channels.

Prints one JSON object. Usage: aiortc_peer.py URL
"""
import asyncio
import json
import os
import sys
import urllib.parse
import urllib.request

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import AudioStreamTrack, VideoStreamTrack


def request(method, url, body=None, kind=None):
    r = urllib.request.Request(url, method=method, data=body)
    if kind:
        r.add_header("Content-Type", kind)
    with urllib.request.urlopen(r, timeout=20) as answer:
        return answer.status, answer.headers.get("Location"), answer.read().decode()


def messages():
    out = [bytes([i]) for i in range(10)]
    out += [bytes((k + i) & 255 for k in range(65536)) for i in range(3)]
    out += [i.to_bytes(4, "big") * 256 for i in range(1000)]
    out += [f"text {i} é" for i in range(20)]
    out += ["", b"", "end"]
    return out


async def echo_channel(channel, result):
    inbox = asyncio.Queue()
    channel.on("message", inbox.put_nowait)
    for _ in range(200):
        if channel.readyState == "open":
            break
        await asyncio.sleep(0.1)
    else:
        raise TimeoutError(f"{channel.label} is {channel.readyState}")
    want = messages()
    for m in want:
        channel.send(m)
        await asyncio.sleep(0)
    got = []
    try:
        while len(got) < len(want):
            got.append(await asyncio.wait_for(inbox.get(), 20))
    except asyncio.TimeoutError:
        pass
    if not channel.ordered:
        want.sort(key=repr), got.sort(key=repr)
    wrong = next((i for i, w in enumerate(want) if i >= len(got) or got[i] != w), -1)
    result["channels"][channel.label] = {"sent": len(want), "received": len(got), "wrong": wrong, "ordered": channel.ordered}


async def watch(track, result):
    try:
        while True:
            await track.recv()
            result[track.kind] += 1
    except Exception:  # the track has ended
        pass


async def main(url):
    result = {"channels": {}, "audio": 0, "video": 0}
    pc = RTCPeerConnection()
    pc.addTrack(AudioStreamTrack())
    pc.addTrack(VideoStreamTrack())
    watching = []
    pc.on("track", lambda track: watching.append(asyncio.ensure_future(watch(track, result))))
    channels = [pc.createDataChannel("ordered"), pc.createDataChannel("unordered", ordered=False), pc.createDataChannel("partial", ordered=False, maxRetransmits=3)]
    await pc.setLocalDescription(await pc.createOffer())
    loop = asyncio.get_running_loop()
    status, location, answer = await loop.run_in_executor(None, request, "POST", url, pc.localDescription.sdp.encode(), "application/sdp")
    result["status"] = status
    await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    # One after the other: after a loss aiortc 1.4.0 delivers only one message
    # a packet where the TSNs of several streams interleave.
    for c in channels:
        await echo_channel(c, result)
    for _ in range(200):
        if result["audio"] > 50 and result["video"] > 30:
            break
        await asyncio.sleep(0.1)
    dtls = pc.sctp.transport
    result["dtls"] = f"{dtls.state}, {dtls._role}"
    if hasattr(dtls, "ssl"):
        result["dtls"] += f", {dtls.ssl.get_cipher_name()} {dtls.ssl.get_protocol_version_name()}"
    status, _, _ = await loop.run_in_executor(None, request, "DELETE", urllib.parse.urljoin(url, location))
    result["deleted"] = status
    await pc.close()
    print(json.dumps(result), flush=True)


try:
    asyncio.run(asyncio.wait_for(main(sys.argv[1]), 80))
except Exception as e:
    print(json.dumps({"error": repr(e)}), flush=True)
os._exit(0)  # whatever still waits
