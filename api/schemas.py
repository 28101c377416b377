"""Every body in and out. Fields that are not named here are accepted and ignored, so that older clients keep working.

The names are the original's wire contract; what it does not have is marked "ours".
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Required, TypedDict

import msgspec
from msgspec import Meta

Name = Annotated[str, Meta(min_length=1, max_length=128)]
_PRINTABLE = r"^[^\x00-\x1f\x7f]*$"
UserId = Annotated[str, Meta(max_length=128, pattern=r"^\S*$")]


class Problem(msgspec.Struct, frozen=True):
    """Any answer that is not a success."""

    detail: str
    code: str


class CreateSession(msgspec.Struct, frozen=True, kw_only=True):
    """A new session. The extras of agent clients (persona_id, memory_enabled, …) are accepted and ignored."""

    avatar_id: Name
    model: Name | None = None
    tts_provider: Name | None = None
    tts_voice: Name | None = None
    tts_model: Name | None = None
    stt_provider: Name | None = None
    llm_system_prompt: str | None = None
    user_id: UserId | None = None


class SwitchBody(msgspec.Struct, frozen=True, kw_only=True):
    """Another face for a live session (ours)."""

    avatar_id: Name
    model: Name | None = None


class VoiceBody(msgspec.Struct, frozen=True, kw_only=True):
    """Another voice for a live session (ours); what is not named is the server's choice."""

    tts_provider: Name | None = None
    tts_voice: Name | None = None
    tts_model: Name | None = None


class SessionStatus(msgspec.Struct, frozen=True, omit_defaults=True):
    """What was done with a session. `generation` (ours) numbers the turn that begins, or the silence."""

    session_id: str
    status: Literal["created", "ready", "queued", "interrupted", "noted", "switching", "closed"]
    generation: int = 0


class HistoryEntry(msgspec.Struct, frozen=True):
    """What was asked, or what was heard of an answer; `interrupted`: it did not come to its end."""

    role: Literal["user", "assistant"]
    content: str
    interrupted: bool = False


class SessionShown(TypedDict, total=False):
    """A session: its Redis hash as it stands (docs/redis.md names every field), and `history`, what was asked and heard
    (ours): JSON in a string like `last_turn`, a list of HistoryEntry, since all values are strings."""

    session_id: Required[str]
    state: Required[str]
    avatar_id: Required[str]
    generation: Required[str]
    turn: str
    last_turn: str
    history: Required[str]


class SessionList(msgspec.Struct, frozen=True):
    """All live sessions, each as its Redis hash (ours)."""

    sessions: list[dict[str, str]]


class SpeakBody(msgspec.Struct, frozen=True, kw_only=True):
    """A text to be said as it stands. `prompt` is another name for `text`."""

    text: str | None = None
    prompt: str | None = None
    voice: Name | None = None
    tts_voice: Name | None = None
    tts_provider: Name | None = None
    tts_model: Name | None = None


class ChatBody(msgspec.Struct, frozen=True, kw_only=True):
    """A line for the language model to answer. `text` is another name for `prompt`."""

    prompt: str | None = None
    text: str | None = None
    voice: Name | None = None
    tts_voice: Name | None = None
    tts_provider: Name | None = None
    tts_model: Name | None = None


class PreviewBody(msgspec.Struct, frozen=True, kw_only=True):
    """A text, and the voice that it is wanted in; what is not named is the default's."""

    text: str
    voice: Name | None = None
    tts_voice: Name | None = None
    tts_provider: Name | None = None
    tts_model: Name | None = None


class MicrophoneStart(msgspec.Struct, frozen=True, kw_only=True):
    """The first frame of the microphone socket: `meta` as the original has it, or `config` as it documents it."""

    type: Literal["meta", "config"]
    sample_rate: Literal[16_000] = 16_000
    voice: Name | None = None
    tts_voice: Name | None = None
    tts_provider: Name | None = None
    tts_model: Name | None = None
    stt_provider: Name | None = None


class MicrophoneFrame(msgspec.Struct, frozen=True):
    """A later text frame: the utterance is over, or the avatar is to be silent."""

    type: Literal["end", "eos", "interrupt"]


class SpokenForm(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a recording sent as a form; the recording itself is its `file`."""

    voice: Name | None = None
    tts_voice: Name | None = None
    tts_provider: Name | None = None
    tts_model: Name | None = None
    stt_provider: Name | None = None


class Transcribed(msgspec.Struct, frozen=True):
    """What was said in a recording; empty if nothing was."""

    session_id: str
    text: str


class SpokenTurn(msgspec.Struct, frozen=True):
    """What was said became the turn `generation` (ours)."""

    session_id: str
    status: Literal["queued"]
    text: str
    generation: int


class SeenBody(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser measured of a turn (ours): when its first sound and its first changed picture were there, in Unix
    seconds by the server's clock (`/clock`), and how long its jitter buffer holds sound back."""

    first_sound_at: float | None = None
    first_frame_at: float | None = None
    jitter_buffer_ms: Annotated[float, Meta(ge=0, le=60_000)] | None = None


class Clock(msgspec.Struct, frozen=True):
    """The server's clock, Unix seconds (ours)."""

    now: float


class OfferBody(msgspec.Struct, frozen=True):
    """A browser's SDP offer."""

    sdp: Annotated[str, Meta(min_length=1)]
    type: Literal["offer"]


class AnswerBody(msgspec.Struct, frozen=True):
    """The rtc worker's SDP answer."""

    sdp: str
    type: Literal["answer"]


class AvatarSummary(msgspec.Struct, frozen=True, kw_only=True):
    """An avatar as the picker shows it."""

    id: str
    name: str
    model_type: str
    width: int
    height: int
    person_mode: str = "single"
    is_custom: bool = False
    has_preview_video: bool = False
    matting_status: str = "unknown"
    duo_dialog: dict[str, Any] | None = None
    client_renderer: dict[str, Any] | None = None


class AvatarForm(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a photo or a video that becomes an avatar. `consent` (ours) must be true; `user_id` (ours) is kept
    with it. `remove_background` and `person_mode` "double" are refused: there is nothing here that does them."""

    name: Annotated[str, Meta(min_length=1, max_length=64, pattern=_PRINTABLE)]
    consent: bool = False
    base_avatar_id: Annotated[str, Meta(max_length=128)] = ""
    model: Annotated[str, Meta(max_length=128)] = ""
    person_mode: Literal["single", "double"] = "single"
    remove_background: bool = False
    user_id: Annotated[str, Meta(max_length=128, pattern=_PRINTABLE)] = ""


class AvatarGone(msgspec.Struct, frozen=True):
    avatar_id: str
    status: Literal["deleted"]


class PrewarmBody(msgspec.Struct, frozen=True, kw_only=True):
    """Which model to prepare the avatar for; its own, if none is named."""

    model: Name | None = None


class Prewarm(msgspec.Struct, frozen=True):
    avatar_id: str
    model: str
    status: Literal["ready"]


class ModelStatus(msgspec.Struct, frozen=True):
    """Whether sessions can use a model now: `reason` is a stable code, `detail` says it in words.

    `frame_ms` is what a frame was measured to take on that device, `batched_frame_ms` in a full batch; `max_sessions`
    how many sessions a worker serves, if the model batches. Null where nothing was measured. All of these are ours."""

    id: str
    backend: str = "local"
    connected: bool = False
    reason: str = "not_loaded"
    detail: str = ""
    frame_ms: float | None = None
    batched_frame_ms: float | None = None
    max_sessions: int | None = None


class ModelList(msgspec.Struct, frozen=True):
    models: list[str]
    statuses: list[ModelStatus]
    default_model: str


class VoiceRow(msgspec.Struct, frozen=True, kw_only=True):
    """A voice that can be named in a session or a turn. `language` is ours."""

    id: str
    provider: str
    voice_id: str
    display_label: str
    language: str = ""
    user_id: str = ""
    target_model: str = ""
    source: str = "builtin"


class VoiceList(msgspec.Struct, frozen=True):
    items: list[VoiceRow]


class LlmInfo(msgspec.Struct, frozen=True, omit_defaults=True):
    """The language model in use. The key itself is never told."""

    provider: str
    model: str
    embedded: bool
    key_set: bool
    base_url: str | None = None


class IceServer(msgspec.Struct, frozen=True, omit_defaults=True):
    """An entry of a browser's RTCConfiguration (ours)."""

    urls: str
    username: str = ""
    credential: str = ""


class WorkerInfo(msgspec.Struct, frozen=True, kw_only=True):
    worker: str
    role: str
    node: str
    pid: int
    started_at: float
    sessions: int
    capacity: int


class AvatarBytes(msgspec.Struct, frozen=True):
    """How large the file may be that becomes an avatar (ours)."""

    image: int
    video: int


class Health(msgspec.Struct, frozen=True, kw_only=True):
    """`ready` (ours): a session that is created now finds three workers that have loaded what they need."""

    status: Literal["ok"] = "ok"
    ready: bool
    llm: LlmInfo
    tts: dict[str, Any]
    stt: dict[str, Any]
    default_model: str
    default_avatar: str
    ice_servers: list[IceServer]
    avatar_bytes: AvatarBytes
    workers: list[WorkerInfo]


class Alive(msgspec.Struct, frozen=True):
    status: Literal["ok"] = "ok"


class QueueStatus(msgspec.Struct, frozen=True):
    """There is no queue: a session finds room, or a 503 that says when to ask again."""

    slot_occupied: bool
    queue_size: int
