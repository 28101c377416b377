"""What the speaking client sends is what was said, in real time, and it knows when."""

from __future__ import annotations

import asyncio

import numpy as np
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError

from tests.support.speaker import COMFORT, PACKET, RATE, Microphone, Speaker
from tests.support.spoken import RATE as SPOKEN
from tests.support.spoken import clicks, cough, pause, speech_span

TONE = (8000 * np.sin(2 * np.pi * 440 / SPOKEN * np.arange(SPOKEN // 2))).astype(np.int16)


async def test_between_utterances_a_microphone_sends_comfort_noise_and_nothing_is_cut_off():
    microphone = Microphone()
    saying = asyncio.create_task(microphone.say(TONE))
    await asyncio.sleep(0)
    sent = np.concatenate([microphone.packet() for _ in range(30)])
    assert np.array_equal(np.flatnonzero(np.abs(sent) > COMFORT)[[0, -1]] // PACKET, [0, 24])
    assert 0 < np.abs(sent[25 * PACKET :]).max() <= COMFORT
    started_at, ended_at = await saying
    assert started_at <= ended_at


def test_speech_is_told_from_the_silence_around_it():
    first, last = speech_span(np.concatenate([pause(300), TONE, pause(500)]))
    assert abs(first - 300 * 16) <= 160 and abs(last - 800 * 16) <= 160
    assert speech_span(pause(100)) == (0, 1599)


def test_what_is_no_speech_is_loud_and_short():
    for sound in (cough(200), clicks(200)):
        assert len(sound) == 3200 and 8000 < np.abs(sound.astype(int)).max() < 32767


async def test_what_is_said_is_heard_at_the_other_end_of_a_connection():
    user, server, heard = Speaker("http://nowhere"), RTCPeerConnection(), []
    answered = asyncio.Event()

    async def hear(track):
        try:
            while True:
                frame = await track.recv()
                heard.append(frame.to_ndarray().reshape(-1)[:: len(frame.layout.channels)])
                if len(heard) * PACKET > 1.5 * RATE:
                    answered.set()
        except MediaStreamError:
            pass

    server.on("track", lambda track: asyncio.ensure_future(hear(track)))
    await server.setRemoteDescription(RTCSessionDescription(await user.receiver.offer(), "offer"))
    await server.setLocalDescription(await server.createAnswer())
    await user.receiver.accept(server.localDescription.sdp)
    started_at, ended_at = await user.say(TONE)
    await asyncio.wait_for(answered.wait(), 30)
    await asyncio.gather(server.close(), user.receiver.close())
    loud = np.flatnonzero(np.abs(np.concatenate(heard).astype(int)) > 4000)
    assert abs((loud[-1] - loud[0]) / RATE - 0.5) < 0.05
    assert ended_at > started_at
