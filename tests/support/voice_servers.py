"""Stand-ins for voices elsewhere: their exact protocols, a tone for a voice, and every way to fail.

`Fault` says what goes wrong with the next requests; without one, a request is answered with MS_PER_CHARACTER of tone a
character, encoded as was asked. `open` counts requests in progress, `requests` keeps what was asked.
"""

from __future__ import annotations

import asyncio
import base64
import io
import json
import re
import time
from collections.abc import AsyncGenerator, Coroutine
from contextlib import aclosing
from dataclasses import dataclass
from functools import lru_cache
from html import unescape
from typing import Any

import av
import numpy as np
from aiohttp import web
from av.audio.resampler import AudioResampler

KEY = "a-key-that-is-right"
MS_PER_CHARACTER = 60
_PART = 720  # bytes, as the services' MP3 comes


@dataclass(frozen=True)
class Fault:
    """What goes wrong. `parts` counts pieces of sound before it does."""

    status: int = 0  # refuse with it
    words: str = ""  # of the refusal, where HTTP has a body for them
    retry_after: str = ""
    delay_s: float = 0.0  # before the first piece
    drip_s: float = 0.0  # before every piece
    stall: bool = False  # say nothing more after `parts`
    reset: bool = False  # abort the connection after `parts`
    truncate: bool = False  # end as if all was well after `parts`
    garbage: bool = False  # what comes is no sound
    malformed: bool = False  # its messages are not what they should be
    endless: bool = False
    rate: int = 0  # Hz, another than was asked for, in a format that says so itself
    parts: int = 0


class Aborted(Exception):
    """The connection is to be cut."""


def tone(text: str, rate: int) -> np.ndarray:
    samples = max(1, len(text.strip())) * MS_PER_CHARACTER * rate // 1000
    return (8000 * np.sin(2 * np.pi * 440 / rate * np.arange(samples))).astype(np.int16)


@lru_cache(maxsize=32)
def encoded(text: str, kind: str, rate: int) -> bytes:
    """The tone as a service would send it."""
    sound = tone(text, rate)
    if kind == "pcm":
        return sound.tobytes()
    codec, container = {
        "mp3": ("libmp3lame", "mp3"),
        "wav": ("pcm_s16le", "wav"),
        "opus": ("libopus", "ogg"),
        "ulaw": ("pcm_mulaw", "mulaw"),
        "alaw": ("pcm_alaw", "alaw"),
    }[kind]
    file = io.BytesIO()
    with av.open(file, "w", format=container) as output:
        stream = output.add_stream(codec, rate=rate, layout="mono")
        frame = av.AudioFrame.from_ndarray(sound[None, :], "s16", "mono")
        frame.sample_rate = rate
        size = stream.codec_context.frame_size or 1024
        cut = AudioResampler(stream.codec_context.format.name, "mono", rate, frame_size=size)
        for piece in [*cut.resample(frame), *cut.resample(None), None]:
            output.mux(stream.encode(piece))
    return file.getvalue()


class VoiceServer:
    """`async with Server() as server: server.base_url`."""

    def __init__(self) -> None:
        self.faults: list[Fault] = []  # of the next requests, one each
        self.requests: list[dict[str, Any]] = []
        self.open = 0
        self.parts = 0  # pieces of the last sound
        self.delayed_s = 0.0  # how long the last one really was delayed, on a busy machine
        self.base_url = ""
        self.idle = asyncio.Event()
        self.idle.set()

    def routes(self) -> list[web.RouteDef]:
        raise NotImplementedError

    async def __aenter__(self) -> Any:
        app = web.Application()
        app.add_routes(self.routes())
        self._runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.base_url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    def asked(self, request: dict[str, Any]) -> Fault:
        self.requests.append(request)
        return self.faults.pop(0) if self.faults else Fault()

    async def sound(self, data: bytes, fault: Fault) -> AsyncGenerator[bytes, None]:
        """The pieces, with what goes wrong. Raises Aborted where the connection is to be cut."""
        self.open += 1
        self.idle.clear()
        try:
            began = time.perf_counter()
            await asyncio.sleep(fault.delay_s)
            self.delayed_s = time.perf_counter() - began
            if fault.garbage:
                data = b"<html>this is no sound at all</html>" * 400
            pieces = [data[at : at + _PART] for at in range(0, len(data), _PART)]
            self.parts, number = len(pieces), 0
            while number < len(pieces) or fault.endless:
                if (fault.stall or fault.reset or fault.truncate) and number == fault.parts:
                    if fault.stall:
                        await asyncio.Event().wait()
                    if fault.reset:
                        raise Aborted
                    return
                await asyncio.sleep(fault.drip_s)
                yield pieces[number % len(pieces)]
                number += 1
        finally:
            self.open -= 1
            if not self.open:
                self.idle.set()

    async def answer(self, request: web.Request, data: bytes, fault: Fault) -> web.StreamResponse:
        """An HTTP body of sound."""
        if fault.status:
            headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
            return await self._refusal(request, fault, headers)
        response = web.StreamResponse(headers={"Content-Type": "application/octet-stream"})
        try:
            async with aclosing(self.sound(data, fault)) as pieces:
                async for piece in pieces:
                    await response.prepare(request)  # with the first; again it does nothing
                    await response.write(piece)
            await response.prepare(request)
        except Aborted:
            cut(request)
        return response

    async def _refusal(self, request: web.Request, fault: Fault, headers: dict[str, str]) -> web.StreamResponse:
        """Its words come in two pieces, cut within the key."""
        words = json.dumps({"error": fault.words or f"refused {KEY}"})
        cut_at = words.find(KEY) + len(KEY) // 2 if KEY in words else len(words)
        response = web.StreamResponse(status=fault.status, headers=headers)
        await response.prepare(request)
        for piece in (words[:cut_at], words[cut_at:]):
            await response.write(piece.encode())
            await asyncio.sleep(0.02)  # so that they are two on the wire; what is tested holds for one as well
        return response

    async def refuse(self, fault: Fault) -> web.Response:
        headers = {"Retry-After": fault.retry_after} if fault.retry_after else {}
        return web.json_response({"error": "refused"}, status=fault.status, headers=headers)


async def until_closed(socket: web.WebSocketResponse, speaking: Coroutine[Any, Any, None]) -> None:
    """Speak as long as the client listens; what it says meanwhile is read, as its close must be."""

    async def read() -> None:
        async for _ in socket:
            pass

    tasks = [asyncio.create_task(speaking), asyncio.create_task(read())]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[0].done():
            tasks[0].result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def cut(request: web.Request) -> None:
    if request.transport is not None:
        request.transport.abort()  # type: ignore[attr-defined]


class OpenAISpeech(VoiceServer):
    """`POST /v1/audio/speech`."""

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/v1/audio/speech", self._speech)]

    async def _speech(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        fault = self.asked(body)
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            fault = Fault(status=401)
        return await self.answer(request, encoded(body["input"], body["response_format"], fault.rate or 24_000), fault)


class ElevenLabs(VoiceServer):
    """Both streams of `/v1/text-to-speech/{voice}`."""

    def routes(self) -> list[web.RouteDef]:
        voice = "/v1/text-to-speech/{voice}"
        return [web.post(f"{voice}/stream", self._stream), web.get(f"{voice}/stream-input", self._input)]

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        fault = self.asked({**body, **request.query, "voice": request.match_info["voice"]})
        if request.headers.get("xi-api-key") != KEY:
            fault = Fault(status=401)
        return await self.answer(request, self._encoded(body["text"], request, fault), fault)

    async def _input(self, request: web.Request) -> web.StreamResponse:
        fault = self.asked({**request.query, "voice": request.match_info["voice"]})
        if request.headers.get("xi-api-key") != KEY:
            fault = Fault(status=401)
        if fault.status:
            return await self.refuse(fault)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        said = ""
        async for message in socket:
            piece = message.json()["text"]
            said += piece
            if not piece:
                break
        self.requests[-1]["text"] = said.strip()
        try:
            await until_closed(socket, self._answer(socket, self._encoded(said, request, fault), fault))
        except Aborted:
            cut(request)
        return socket

    async def _answer(self, socket: web.WebSocketResponse, data: bytes, fault: Fault) -> None:
        async with aclosing(self.sound(data, fault)) as pieces:
            async for sound in pieces:
                told = {"audio": base64.b64encode(sound).decode(), "isFinal": None, "alignment": None}
                await socket.send_json(told if not fault.garbage else {**told, "audio": "%%%"})
        if not fault.truncate:
            await socket.send_json({"audio": None, "isFinal": True})

    @staticmethod
    def _encoded(text: str, request: web.Request, fault: Fault) -> bytes:
        kind, rate, *_ = request.query["output_format"].split("_")
        return encoded(text, kind, fault.rate or int(rate))


class Edge(VoiceServer):
    """The read-aloud WebSocket: text frames of headers and JSON or SSML, binary frames of headers and MP3."""

    def routes(self) -> list[web.RouteDef]:
        return [web.get("/consumer/speech/synthesize/readaloud/edge/v1", self._serve)]

    @property
    def url(self) -> str:
        """In place of edge_tts's WSS_URL."""
        path = "/consumer/speech/synthesize/readaloud/edge/v1?TrustedClientToken=stand-in"
        return self.base_url.replace("http", "ws") + path

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        fault = self.asked(dict(request.query))
        if fault.status:
            return await self.refuse(fault)
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        config = (await socket.receive()).data
        ssml = (await socket.receive()).data
        assert "Path:speech.config" in config and "audio-24khz-48kbitrate-mono-mp3" in config and "Path:ssml" in ssml
        voice = re.search(r"<voice name='([^']+)'", ssml)
        text = unescape(re.sub(r"<[^>]+>", "", ssml[ssml.index("<speak") :]))
        assert voice is not None
        self.requests[-1] |= {"voice": voice[1], "text": text}
        try:
            await until_closed(socket, self._speak(socket, text, voice[1], fault))
        except Aborted:
            cut(request)
        return socket

    async def _speak(self, socket: web.WebSocketResponse, text: str, voice: str, fault: Fault) -> None:
        await socket.send_str("X-RequestId:1\r\nContent-Type:application/json\r\nPath:turn.start\r\n\r\n{}")
        if "nobody" not in voice.lower():
            head = b"X-RequestId:1\r\nContent-Type:audio/mpeg\r\nX-StreamId:1\r\nPath:audio\r\n"
            async with aclosing(self.sound(encoded(text, "mp3", fault.rate or 24_000), fault)) as pieces:
                async for piece in pieces:
                    await socket.send_bytes(len(head).to_bytes(2, "big") + head + piece)
            if fault.truncate:
                return
            told = {"Type": "SentenceBoundary", "Data": {"Offset": 0, "Duration": 1, "text": {"Text": text}}}
            head_text = "X-RequestId:1\r\nContent-Type:application/json\r\nPath:audio.metadata\r\n\r\n"
            await socket.send_str(head_text + json.dumps({"Metadata": [told]}))
        await socket.send_str("X-RequestId:1\r\nPath:turn.end\r\n\r\n{}")
