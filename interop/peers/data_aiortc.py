"""aiortc as a peer of the tests of data channels: it sends back what comes on
any channel, and does what a text beginning with "!" says.

Usage: data_aiortc.py URL CHANNELS
"""
import asyncio
import json
import sys
import urllib.request

from aiortc import RTCPeerConnection, RTCSessionDescription


def serve(channel):
    @channel.on("message")
    def on_message(m):
        if m == "!info":
            channel.send(json.dumps({
                "label": channel.label, "protocol": channel.protocol, "ordered": channel.ordered,
                "maxRetransmits": channel.maxRetransmits, "maxPacketLifeTime": channel.maxPacketLifeTime, "state": channel.readyState,
            }))
        elif m == "!close":
            channel.close()
        else:
            channel.send(m)


def post(url, sdp):
    r = urllib.request.Request(url, method="POST", data=sdp.encode(), headers={"Content-Type": "application/sdp"})
    with urllib.request.urlopen(r, timeout=20) as answer:
        return answer.read().decode()


async def main(url, channels):
    pc = RTCPeerConnection()
    pc.on("datachannel", serve)
    for c in channels:
        serve(pc.createDataChannel(c["label"], **c["init"]))
    await pc.setLocalDescription(await pc.createOffer())
    answer = await asyncio.get_running_loop().run_in_executor(None, post, url, pc.localDescription.sdp)
    await pc.setRemoteDescription(RTCSessionDescription(answer, "answer"))
    await asyncio.sleep(1000)  # until it is killed


asyncio.run(main(sys.argv[1], json.loads(sys.argv[2])))
