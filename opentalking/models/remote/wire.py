"""The audio2video protocol: one WebSocket a session, JSON to agree, binary messages for sound and pictures.

    client                                              server
      {"type":"init","ref_image":<base64>,"width":…}  ─>
                                                      <─  {"type":"init_ok","slice_len":28,"fps":25,"width":…}
      "AUDI" int16[chunk_samples]                     ─>
                                                      <─  "VIDX" uint32 n, n × (uint32 length, JPEG)
      {"type":"close"}                                ─>

All numbers are little-endian; sound is 16 kHz mono. `{"type":"error","message":…}` may come in place of any answer.
FlashHead says `session.create`, `session.created` and `session.close`, and puts `metrics` between its answers.

What is ours beyond that, used only if both sides name it in `extensions` (others ignore unknown fields):

    partial   sound may be any multiple of 40 ms up to chunk_samples, and pictures are answered when they are due, all
              of them after {"type":"end"}; without it each sound message has exactly chunk_samples and its own pictures
    reset     {"type":"reset"} forgets the turn: sound sent before is answered with no pictures, and not drawn
    still     the pictures are the one that was sent, but for the mouth: a client may lay that into others
    "pipeline": n in the server's answer: n sound messages may be on their way; without it one

Functions here are pure. Whatever does not fit raises WireError with a sentence that says what.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, TypeVar

import msgspec
import numpy as np
from msgspec import Meta

from opentalking.types import MODEL_RATE, Int16

Dialect = Literal["omnirt", "flashhead"]

MAX_MESSAGE_BYTES = 50_000_000
MAX_PICTURE_BYTES = 10_000_000  # of the reference picture, before base64
MAX_PICTURES = 1024  # in one answer
SEED = 9999
PROMPT = "A person is talking to the camera."
EXTENSIONS = frozenset({"partial", "reset", "still"})

_SOUND, _PICTURES = b"AUDI", b"VIDX"
_UINT32 = struct.Struct("<I")
_Any = TypeVar("_Any")

Side = Annotated[int, Meta(ge=16, le=4096)]
Rate = Annotated[int, Meta(ge=1, le=120)]
Frames = Annotated[int, Meta(ge=0, le=MAX_PICTURES)]
Samples = Annotated[int, Meta(ge=160, le=10 * MODEL_RATE)]


class WireError(Exception):
    """The other side does not speak the protocol; the message says what was wrong."""


class RemoteRefusal(Exception):
    """The other side said `error`; the message is its own, cut to a line."""


class Opening(msgspec.Struct, frozen=True, kw_only=True):
    """What a client asks for: a face, given as the picture's own bytes (PNG or JPEG), and a size."""

    ref_image: bytes
    width: Annotated[int, Meta(ge=0, le=4096)] = 0  # 0: as the picture
    height: Annotated[int, Meta(ge=0, le=4096)] = 0
    fps: Rate = 25
    model: str = ""
    prompt: str = PROMPT
    seed: int = SEED
    slice_len: Annotated[int, Meta(ge=1, le=250)] | None = None  # pictures an answer; None: as the server likes
    metadata: dict[str, Any] = {}  # of the avatar's manifest
    extensions: frozenset[str] = EXTENSIONS


class Geometry(msgspec.Struct, frozen=True, kw_only=True):
    """What a server answers: how sound is cut and how large pictures are."""

    slice_len: Annotated[int, Meta(ge=1, le=MAX_PICTURES)]
    fps: Rate
    width: Side
    height: Side
    chunk_samples: Samples = 0
    frame_num: Frames = 0
    motion_frames_num: Frames = 0
    pipeline: Annotated[int, Meta(ge=1, le=64)] = 1
    extensions: frozenset[str] = frozenset()
    lookahead_ms: Annotated[int, Meta(ge=0, le=10_000)] = 0  # sound that the server hears before it draws, with partial

    def __post_init__(self) -> None:
        if not self.chunk_samples:
            msgspec.structs.force_setattr(self, "chunk_samples", self.slice_len * MODEL_RATE // self.fps)

    @property
    def partial(self) -> bool:
        return "partial" in self.extensions


class Control(msgspec.Struct, frozen=True):
    """A JSON message that is neither opening nor answer to it: end, reset, close, metrics, config_update, config_ok."""

    kind: str


# ---- JSON


def encode_opening(opening: Opening, dialect: Dialect) -> str:
    """The first message of a client."""
    image = base64.b64encode(opening.ref_image).decode()
    asked = {"width": opening.width, "height": opening.height, "fps": opening.fps}
    if opening.slice_len is not None:
        asked["slice_len"] = opening.slice_len
    more = {"metadata": opening.metadata, "extensions": sorted(opening.extensions)}
    if dialect == "flashhead":
        inputs = {"image_b64": image, "prompt": opening.prompt}
        return _encode({"type": "session.create", "model": opening.model, "inputs": inputs, "config": asked, **more})
    about = {"ref_image": image, "prompt": opening.prompt, "seed": opening.seed}
    return _encode({"type": "init", **about, **asked, **more})


def parse_opening(text: str) -> tuple[Opening, Dialect]:
    """What a client asks for, and in which dialect. Paths on our side, which the original knows, are not read."""
    message = _object(text)
    kind = message.get("type")
    if kind == "init":
        fields: dict[str, Any] = dict(message)
        dialect: Dialect = "omnirt"
    elif kind == "session.create":
        inputs, config = (_part(message, name) for name in ("inputs", "config"))
        fields = {**message, **config, "prompt": inputs.get("prompt", PROMPT), "ref_image": inputs.get("image_b64")}
        dialect = "flashhead"
    else:
        raise WireError(f'the first message is {{"type":"init"}} or {{"type":"session.create"}}, not {_shown(kind)}')
    known = {name: fields[name] for name in Opening.__struct_fields__ if fields.get(name) is not None}
    known.setdefault("extensions", [])
    known["ref_image"] = _image(known.get("ref_image"))
    return _convert(known, Opening, str(kind)), dialect


def encode_geometry(geometry: Geometry, dialect: Dialect, session_id: str = "") -> str:
    """The server's answer to an opening."""
    more: dict[str, Any] = {"pipeline": geometry.pipeline, "lookahead_ms": geometry.lookahead_ms}
    more["extensions"] = sorted(geometry.extensions)
    if dialect == "flashhead":
        audio = {"sample_rate": MODEL_RATE, "chunk_samples": geometry.chunk_samples}
        video = {
            "fps": geometry.fps,
            "width": geometry.width,
            "height": geometry.height,
            "frame_count": geometry.frame_num,
            "motion_frames_num": geometry.motion_frames_num,
        }
        return _encode({"type": "session.created", "session_id": session_id, "audio": audio, "video": video, **more})
    names = ("frame_num", "motion_frames_num", "slice_len", "fps", "height", "width", "chunk_samples")
    return _encode({"type": "init_ok", **{name: getattr(geometry, name) for name in names}, **more})


def parse_geometry(text: str, dialect: Dialect) -> Geometry:
    """The answer to an opening; its `type` is not looked at unless it is an error. Raises RemoteRefusal for that."""
    message = _object(text)
    _raise_refusal(message)
    fields: dict[str, Any] = dict(message)
    if dialect == "flashhead":
        audio, video = (_part(message, name) for name in ("audio", "video"))
        if audio.get("sample_rate", MODEL_RATE) != MODEL_RATE:
            raise WireError(f"the server wants sound of {_shown(audio['sample_rate'])} Hz; we have {MODEL_RATE} Hz")
        fields = {**message, **audio, **video, "frame_num": video.get("frame_count")}
        samples, fps = audio.get("chunk_samples"), video.get("fps")
        if isinstance(samples, int) and isinstance(fps, int):
            fields["slice_len"] = samples * fps // MODEL_RATE
    known = {name: fields[name] for name in Geometry.__struct_fields__ if fields.get(name) is not None}
    return _convert(known, Geometry, "the answer to the opening")


def heed_news(text: str) -> None:
    """A JSON message between answers, such as metrics: nothing to us, unless it is an error. Raises RemoteRefusal."""
    _raise_refusal(_object(text))


def encode_control(kind: str) -> str:
    return _encode({"type": kind})


def encode_refusal(message: str) -> str:
    return _encode({"type": "error", "message": message})


def parse_control(text: str) -> Control:
    """A client's JSON message after the opening."""
    kind = _object(text).get("type")
    kinds = {"session.close": "close"}
    if kind not in ("end", "reset", "close", "session.close", "config_update"):
        raise WireError(f"a message of type {_shown(kind)} is not known here")
    return Control(kinds.get(kind, kind))


def closing(dialect: Dialect) -> str:
    return encode_control("session.close" if dialect == "flashhead" else "close")


# ---- binary


def encode_sound(pcm: Int16) -> bytes:
    """int16 (samples,) at 16 kHz."""
    return _SOUND + pcm.astype("<i2", copy=False).tobytes()


def parse_sound(message: bytes) -> Int16:
    """int16 (samples,)."""
    if message[:4] != _SOUND:
        raise WireError(f"sound begins with AUDI, not {message[:4]!r}")
    if len(message) % 2:
        raise WireError(f"sound of {len(message) - 4} bytes is not whole int16 samples")
    if not 4 < len(message) <= 4 + 2 * 10 * MODEL_RATE:
        raise WireError(f"{(len(message) - 4) // 2} samples of sound; a message has 1 to {10 * MODEL_RATE}")
    return np.frombuffer(message, "<i2", offset=4).astype(np.int16)


def encode_pictures(jpegs: Sequence[bytes]) -> bytes:
    parts = [_PICTURES, _UINT32.pack(len(jpegs))]
    for jpeg in jpegs:
        parts += (_UINT32.pack(len(jpeg)), jpeg)
    return b"".join(parts)


def parse_pictures(message: bytes) -> list[bytes]:
    """The JPEGs of one answer, not decoded."""
    if message[:4] != _PICTURES:
        raise WireError(f"pictures begin with VIDX, not {message[:4]!r}")
    (count,) = _uint32(message, 4)
    if count > MAX_PICTURES:
        raise WireError(f"{count} pictures in one answer; at most {MAX_PICTURES} are taken")
    pictures, at = [], 8
    for number in range(count):
        (length,) = _uint32(message, at)
        picture = message[at + 4 : at + 4 + length]
        if len(picture) != length:
            raise WireError(f"picture {number} of {count} is cut off: {len(picture)} of {length} bytes")
        pictures.append(picture)
        at += 4 + length
    if at != len(message):
        raise WireError(f"{len(message) - at} bytes follow the last picture")
    return pictures


def _uint32(message: bytes, at: int) -> tuple[int]:
    if len(message) < at + 4:
        raise WireError(f"an answer of {len(message)} bytes is cut off")
    (value,) = _UINT32.unpack_from(message, at)
    return (int(value),)


# ---- parts of JSON messages


def _encode(message: Mapping[str, Any]) -> str:
    return msgspec.json.encode(message).decode()


def _object(text: str) -> dict[str, Any]:
    try:
        message = msgspec.json.decode(text)
    except (msgspec.DecodeError, UnicodeError) as error:
        raise WireError(f"not a JSON message: {error}") from None
    if not isinstance(message, dict):
        raise WireError(f"a JSON message is an object, not {_shown(message)}")
    return message


def _part(message: Mapping[str, Any], name: str) -> dict[str, Any]:
    part = message.get(name, {})
    if not isinstance(part, dict):
        raise WireError(f"{name} is an object, not {_shown(part)}")
    return part


def _convert(fields: Mapping[str, Any], into: type[_Any], what: str) -> _Any:
    try:
        return msgspec.convert(fields, into)
    except msgspec.ValidationError as error:
        raise WireError(f"{what}: {error}") from None


def _image(encoded: object) -> bytes:
    if not isinstance(encoded, str) or not encoded:
        raise WireError("the reference picture is missing: PNG or JPEG as base64")
    if len(encoded) > MAX_PICTURE_BYTES * 4 // 3 + 4:
        raise WireError(f"the reference picture has more than {MAX_PICTURE_BYTES // 1_000_000} MB")
    try:
        return base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError):
        raise WireError("the reference picture is not base64") from None


def _raise_refusal(message: Mapping[str, Any]) -> None:
    if message.get("type") == "error":
        raise RemoteRefusal(" ".join(str(message.get("message", "it gives no reason")).split())[:300])


def _shown(value: object) -> str:
    return repr(value)[:60]
