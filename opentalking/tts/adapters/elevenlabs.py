"""ElevenLabs by either of its streams, in any of its formats.

    http        POST /v1/text-to-speech/{voice}/stream           the body is the sound
    websocket   /v1/text-to-speech/{voice}/stream-input          {"text"} in, {"audio": base64, "isFinal"} out

Published at elevenlabs.io/docs/api-reference. `output_format` names what comes: `pcm_24000` is bare PCM,
`mp3_44100_128` an MP3. Voices are ids; GET /v1/voices lists those of an account.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import AsyncGenerator
from contextlib import aclosing

import aiohttp
import msgspec

from opentalking.config import Settings
from opentalking.tts.base import TTSError, Voice
from opentalking.tts.decoding import speech
from opentalking.tts.service import Service, body_of, connections, detached
from opentalking.types import AudioChunk


class _Part(msgspec.Struct):
    """A message of the input stream; a refusal has `error` and `message`."""

    audio: str | None = None
    is_final: bool | None = msgspec.field(name="isFinal", default=None)
    error: str | None = None
    message: str | None = None


_decoder = msgspec.json.Decoder(_Part)


class ElevenLabsTTS:
    """TTSAdapter."""

    provider = "elevenlabs"
    any_voice = True

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._format, self._rate = _format(settings.tts_elevenlabs_output_format)
        self.sample_rates = (self._rate,)
        self._service = Service(self.provider, "OPENTALKING_TTS_ELEVENLABS_API_KEY", settings.tts_elevenlabs_api_key)
        self._pool: aiohttp.ClientSession | None = None

    @classmethod
    def missing(cls, settings: Settings) -> str | None:
        """Why this service cannot be used here, or None."""
        return None if settings.tts_elevenlabs_api_key else "set OPENTALKING_TTS_ELEVENLABS_API_KEY"

    async def warmup(self) -> None:
        """Open the pool; a request would cost characters of the plan."""
        self._pool = self._pool or connections()

    def voices(self) -> list[Voice]:
        voice = self._settings.tts_elevenlabs_voice_id
        return [Voice(self.provider, voice, f"ElevenLabs {voice}", "")]

    def synthesize_stream(
        self, text: str, voice: str | None = None, model: str | None = None
    ) -> AsyncGenerator[AudioChunk, None]:
        voice, model = voice or self._settings.tts_elevenlabs_voice_id, model or self._settings.tts_elevenlabs_model_id

        def ask(text: str) -> AsyncGenerator[bytes, None]:
            if self._settings.tts_elevenlabs_transport == "http":
                return self._body(text, voice, model)
            return detached(self._input_stream(text, voice, model))

        return speech(text, ask, self._format, self._rate)

    async def _body(self, text: str, voice: str, model: str) -> AsyncGenerator[bytes, None]:
        pool, asked = await self._opened(), {"text": text, "model_id": model}
        with self._service.errors():
            async with (
                pool.post(
                    self._url(voice, "stream"), params=self._query(), json=asked, headers=self._key()
                ) as response,
                aclosing(body_of(response, self._service)) as body,
            ):
                async for data in body:
                    yield data

    async def _input_stream(self, text: str, voice: str, model: str) -> AsyncGenerator[bytes, None]:
        pool, query = await self._opened(), {**self._query(), "model_id": model}
        url = self._url(voice, "stream-input")
        with self._service.errors():
            async with pool.ws_connect(url, params=query, headers=self._key(), max_msg_size=1 << 24) as socket:
                for piece in ({"text": " "}, {"text": text.strip() + " ", "flush": True}, {"text": ""}):
                    await socket.send_json(piece)  # it begins with a space, and ends with nothing
                async for message in socket:
                    part = self._part(message)
                    if part.audio:
                        yield self._sound(part.audio)
                    if part.is_final:
                        return
                raise self._service.error("unreachable", f"the stream was closed ({socket.close_code})")

    def _part(self, message: aiohttp.WSMessage) -> _Part:
        if message.type is not aiohttp.WSMsgType.TEXT:
            raise self._service.error("broken", f"an unexpected {message.type.name.lower()} message")
        try:
            part = _decoder.decode(message.data)
        except msgspec.MsgspecError as error:
            raise self._service.error("broken", f"a message that cannot be read: {error}") from error
        if part.error:
            raise self._service.error(
                "unauthorized" if "api_key" in part.error else "failed", part.message or part.error
            )
        return part

    def _sound(self, audio: str) -> bytes:
        try:
            return base64.b64decode(audio, validate=True)
        except binascii.Error as error:
            raise self._service.error("broken", f"sound that is not base64: {error}") from error

    async def _opened(self) -> aiohttp.ClientSession:
        await self.warmup()
        assert self._pool is not None
        return self._pool

    def _url(self, voice: str, stream: str) -> str:
        if not voice.isalnum():
            raise TTSError(f"elevenlabs has no voice {voice!r}: an id is letters and digits")
        return f"{self._settings.tts_elevenlabs_base_url.rstrip('/')}/v1/text-to-speech/{voice}/{stream}"

    def _query(self) -> dict[str, str]:
        return {"output_format": self._settings.tts_elevenlabs_output_format}

    def _key(self) -> dict[str, str]:
        return {"xi-api-key": self._settings.tts_elevenlabs_api_key}

    async def aclose(self) -> None:
        if self._pool is not None:
            await self._pool.close()


def _format(output_format: str) -> tuple[str, int]:
    """`mp3_44100_128` -> mp3, 44100 Hz."""
    kind, rate, *_ = output_format.split("_")
    return kind, int(rate)
