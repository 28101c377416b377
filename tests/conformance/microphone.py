"""A client of the microphone socket in both its dialects, and what it says into it.

original      meta    PCM …  end    <- one JSON: {session_id, status, text} or {error}; then close
documented    config  PCM …  eos    <- the same, as {type: error, code, message} if it is one; acks in between
"""

from __future__ import annotations

import asyncio
import json
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from tests.conformance.guest import Guest

RATE = 16_000
LONGEST_S = 130.0  # a server gives recognition up after 120
WORD = "weather"
SPOKEN = Path(__file__).parent / "weather.wav"  # "What is the weather like today?", said by Piper's voice joe


def question() -> bytes:
    """The spoken question: 16 kHz mono s16le."""
    with wave.open(str(SPOKEN)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (RATE, 1, 2)
        pcm: bytes = file.readframes(file.getnframes())
        return pcm


def silence(ms: int) -> bytes:
    return bytes(2 * RATE * ms // 1000)


@dataclass(frozen=True)
class Dialect:
    """The words of the first frame and of the last."""

    first: str
    last: str


ORIGINAL, DOCUMENTED = Dialect("meta", "end"), Dialect("config", "eos")


@dataclass(frozen=True)
class Heard:
    """What the server said before it closed, and the code with which it did."""

    answers: list[dict[str, Any]]
    code: int | None

    @property
    def result(self) -> dict[str, Any]:
        """The one answer; acknowledgements are not answers."""
        (result,) = [answer for answer in self.answers if answer.get("type") != "ack"]
        return result


async def say_raw(guest: Guest, frames: Sequence[str | bytes], leave: bool = False) -> Heard:
    """Send these frames and listen until the server closes; `leave`: go away instead, without a word."""
    url = f"{guest.base}/sessions/{guest.session_id}/speak_audio_stream"
    answers = []
    async with asyncio.timeout(LONGEST_S), guest.http.ws_connect(url) as socket:
        for frame in frames:
            await (socket.send_bytes(frame) if isinstance(frame, bytes) else socket.send_str(frame))
        if leave:
            return Heard([], None)
        async for message in socket:
            assert message.type is aiohttp.WSMsgType.TEXT
            answers.append(json.loads(message.data))
        return Heard(answers, socket.close_code)


async def say(
    guest: Guest, dialect: Dialect, pcm: bytes, piece: int = 3200, leave: bool = False, **options: str
) -> Heard:
    """One utterance in pieces of so many bytes."""
    pieces = [pcm[start : start + piece] for start in range(0, len(pcm), piece)]
    first = json.dumps({"type": dialect.first, **options})
    last = [] if leave else [json.dumps({"type": dialect.last})]
    return await say_raw(guest, [first, *pieces, *last], leave)
