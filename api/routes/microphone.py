"""Speaking to the avatar: a socket that takes the microphone, and recordings as files.

The socket, in the original's words and in those that it documents, to its one answer:

    {"type": "meta", …}     PCM …   {"type": "end"}   <- {"session_id", "status", "text"}, or {"error"}
    {"type": "config", …}   PCM …   {"type": "eos"}   <- the same, or {"type": "error", "code", "message"};
                                                         {"type": "ack"} in between, for config, eos and interrupt

PCM is s16le, 16 kHz, mono, in pieces of any size. {"type": "interrupt"} silences the avatar at any time. Who goes away
has ended the utterance. Close codes: 1000 answered, 1011 the server failed, 4004 no such session, 4400 wrong (a frame,
a provider, no words, too long), 4408 too slow (recognition, or no frame for a minute), 4409 not in this state (ended,
or somebody else is speaking), 4503 nobody can take it now.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Any

import msgspec
from aiohttp import BodyPartReader, WSMsgType, web

from api.context import FOLLOWERS, SETTINGS, STORE, open_session_of
from api.errors import ApiError, name_the_field, too_large
from api.microphone import Microphone
from api.offers import require_stt
from api.route import Form, Route
from api.routes.conversation import require_staying, require_voice_of
from api.schemas import MicrophoneFrame, MicrophoneStart, SpokenForm, SpokenTurn, Transcribed
from opentalking.slots import Utterance
from opentalking.store import Session, StoreUnavailable, UnknownSession
from opentalking.stt.audio_file import AudioFileError, decode
from opentalking.types import Int16

log = logging.getLogger(__name__)

IDLE_S = 60.0  # without a frame; whoever falls silent for so long has forgotten the socket
PING_S = 20.0
LARGEST_FRAME = 1 << 20  # bytes, half a minute
_FIELD_BYTES = 4096
_FORM_BYTES = 64 * 1024  # of a form, beside its recording
_CLOSE_CODES = {400: 4400, 404: 4004, 409: 4409, 413: 4400, 422: 4400, 503: 4503, 504: 4408}
_start = msgspec.json.Decoder(MicrophoneStart)
_frame = msgspec.json.Decoder(MicrophoneFrame)


# --- the socket


async def stream(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse(heartbeat=PING_S, max_msg_size=LARGEST_FRAME)
    await socket.prepare(request)
    task = asyncio.current_task()
    assert task is not None
    followers = request.app[FOLLOWERS]
    followers.add(task)
    utterance = _SocketUtterance(request, socket)
    try:
        await utterance.tell(await utterance.hear())
        code = 1000
    except ApiError as error:
        await utterance.tell_error(error)
        code = _CLOSE_CODES.get(error.status, 1011)
    except Exception:
        log.exception("%s failed", request.path)
        await utterance.tell_error(ApiError(500, "internal", "something went wrong here; the log of the API says what"))
        code = 1011
    finally:
        followers.discard(task)
    await socket.close(code=code)
    return socket


class _SocketUtterance:
    """One utterance over a socket, and the dialect of its client."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        self._request = request
        self._socket = socket
        self._documented = False

    async def hear(self) -> dict[str, Any]:
        """The answer to a client that does everything right. Raises ApiError."""
        try:
            session = await open_session_of(self._request)
            require_staying(session)
            start = await self._first()
            wanted = await _wanted(self._request, session, start)
            with Microphone(self._request.app[SETTINGS], self._request.app[STORE], session) as microphone:
                await microphone.begin(wanted)
                await self._ack("config")
                while (pcm := await self._next_pcm(session)) is not None:
                    await microphone.write(pcm)
                await microphone.end()
                return await self._result(microphone, session)
        except UnknownSession as error:
            raise ApiError(404, "session_not_found", str(error)) from None
        except StoreUnavailable as error:
            log.error("%s", error)
            raise ApiError(503, "store_unavailable", "Redis does not answer") from None

    async def _first(self) -> MicrophoneStart:
        message = await self._receive()
        if message.type is not WSMsgType.TEXT:
            raise ApiError(400, "invalid_frame", "first frame must be JSON meta or config")
        start: MicrophoneStart = _decoded(_start, message.data)
        self._documented = start.type == "config"
        return start

    async def _next_pcm(self, session: Session) -> bytes | None:
        """The next PCM; None when the utterance is over, by word or by leaving."""
        while True:
            message = await self._receive()
            if message.type is WSMsgType.BINARY:
                return bytes(message.data)
            if message.type is not WSMsgType.TEXT:
                return None
            frame: MicrophoneFrame = _decoded(_frame, message.data)
            if frame.type != "interrupt":
                await self._ack(frame.type)
                return None
            await self._interrupt(session)

    async def _receive(self) -> Any:
        try:
            async with asyncio.timeout(IDLE_S):
                return await self._socket.receive()
        except TimeoutError:
            raise ApiError(504, "socket_idle", f"no frame for {IDLE_S:g} s") from None

    async def _result(self, microphone: Microphone, session: Session) -> dict[str, Any]:
        listening = asyncio.create_task(self._hear_interrupts(session))
        try:
            result = await microphone.result()
        finally:
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)
        return {"session_id": session.session_id, "status": "queued", **result}

    async def _hear_interrupts(self, session: Session) -> None:
        async for message in self._socket:
            if message.type is WSMsgType.TEXT:
                with contextlib.suppress(ApiError):
                    if _decoded(_frame, message.data).type == "interrupt":
                        await self._interrupt(session)

    async def _interrupt(self, session: Session) -> None:
        generation = await self._request.app[STORE].next_generation(session.session_id)
        await self._ack("interrupt", generation=generation)

    async def _ack(self, what: str, **more: Any) -> None:
        if self._documented:
            await self.tell({"type": "ack", "of": what, **more})

    async def tell(self, answer: dict[str, Any]) -> None:
        if self._socket.closed:  # who has left wants no answer
            return
        with contextlib.suppress(ConnectionError):
            await self._socket.send_str(msgspec.json.encode(answer).decode())

    async def tell_error(self, error: ApiError) -> None:
        if self._documented:
            await self.tell({"type": "error", "code": error.code, "message": error.detail})
        else:
            await self.tell({"error": error.detail, "code": error.code})


def _decoded(decoder: msgspec.json.Decoder[Any], text: str) -> Any:
    try:
        return decoder.decode(text)
    except msgspec.ValidationError as error:
        raise ApiError(422, "invalid_field", f"frame: {name_the_field(str(error))}") from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise ApiError(400, "invalid_json", f"frame: {error}") from None


async def _wanted(
    request: web.Request, session: Session, asked: MicrophoneStart | SpokenForm, turn: bool = True
) -> Utterance:
    """Checked against what the session's own speech worker offers. Raises ApiError."""
    voice = asked.voice or asked.tts_voice
    provider = await require_voice_of(request, session, asked.tts_provider, voice) if turn else ""
    workers = [worker for worker in await request.app[STORE].workers() if worker.worker == session.speech_worker]
    require_stt(workers, asked.stt_provider or session.stt_provider)
    return Utterance(
        turn=turn,
        stt_provider=asked.stt_provider or "",
        tts_provider=provider,
        tts_voice=voice or "",
        tts_model=asked.tts_model or "",
    )


# --- recordings


async def transcribe(request: web.Request) -> Transcribed:
    """What is said in a recording. Nothing is answered."""
    result = await _recognised(request, turn=False)
    return Transcribed(request.match_info["session_id"], result["text"])


async def speak_audio(request: web.Request) -> SpokenTurn:
    """A recording becomes a turn, as if it had been written."""
    result = await _recognised(request, turn=True)
    return SpokenTurn(request.match_info["session_id"], "queued", result["text"], result["generation"])


async def _recognised(request: web.Request, turn: bool) -> Mapping[str, Any]:
    session, settings = await open_session_of(request), request.app[SETTINGS]
    require_staying(session)
    recording, fields = await _form(request)
    wanted = await _wanted(request, session, fields, turn)
    pcm = await asyncio.to_thread(_pcm, recording, settings.stt_max_utterance_s)
    with Microphone(settings, request.app[STORE], session) as microphone:
        await microphone.begin(wanted)
        await microphone.write(pcm.astype("<i2", copy=False).tobytes())
        await microphone.end()
        return await microphone.result()


def _pcm(recording: bytes, longest_s: float) -> Int16:
    try:
        return decode(recording, longest_s)
    except AudioFileError as error:
        raise ApiError(400, "invalid_audio", f"file: {error}") from None


async def _form(request: web.Request) -> tuple[bytes, SpokenForm]:
    """The recording and the other fields, never more than is allowed: refused by the length announced, or arriving."""
    limit = request.app[SETTINGS].max_audio_bytes
    if (request.content_length or 0) > limit + _FORM_BYTES:
        raise too_large(limit)
    if request.content_type != "multipart/form-data":
        raise ApiError(415, "unsupported_media_type", f"body: send multipart/form-data, not {request.content_type}")
    recording: bytes | None = None
    fields: dict[str, str] = {}
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader):
                raise ApiError(400, "invalid_form", "body: a form within a form")
            if part.name == "file" and recording is None:
                recording = await _content(part, limit)
            elif part.name in SpokenForm.__struct_fields__:
                fields[part.name] = (await _content(part, _FIELD_BYTES)).decode()
            else:
                await _content(part, _FORM_BYTES)
    except (ValueError, AssertionError) as error:  # what aiohttp makes of a form that is cut off or is none
        raise ApiError(400, "invalid_form", f"body: not a form: {error}") from None
    if not recording:
        raise ApiError(400, "audio_empty", "file: must not be empty")
    try:
        return recording, msgspec.convert({name: value for name, value in fields.items() if value}, SpokenForm)
    except msgspec.ValidationError as error:
        raise ApiError(422, "invalid_field", name_the_field(str(error))) from None


async def _content(part: BodyPartReader, limit: int) -> bytes:
    content = bytearray()
    while piece := await part.read_chunk(64 * 1024):
        content += piece
        if len(content) > limit:
            raise too_large(limit)
    return bytes(content)


_ERRORS = (400, 404, 409, 413, 415, 422, 502, 503, 504)

ROUTES = (
    Route(
        "GET",
        "/sessions/{session_id}/speak_audio_stream",
        stream,
        "Speak: a WebSocket for s16le 16 kHz PCM; its first frame is MicrophoneStart, the later text frames "
        "MicrophoneFrame, its answer SpokenTurn",
        status=101,
        errors=(400,),
    ),
    Route(
        "POST",
        "/sessions/{session_id}/transcribe",
        transcribe,
        "Recognise a recording",
        Transcribed,
        form=Form(SpokenForm, "file"),
        errors=_ERRORS,
    ),
    Route(
        "POST",
        "/sessions/{session_id}/speak_audio",
        speak_audio,
        "Speak by a recording: what is said in it becomes a turn",
        SpokenTurn,
        form=Form(SpokenForm, "file"),
        errors=_ERRORS,
    ),
)
