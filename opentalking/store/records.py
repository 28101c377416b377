"""The values that this room takes and gives: sessions, commands, events, interrupts and heartbeats.

A session is a hash of strings that a person can read; `Session` is its typed view and `raw` the hash itself.
Commands cross a stream as JSON, told apart by `cmd`. Times are seconds since the epoch, unless the name says otherwise.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any, Literal, TypeAlias

import msgspec

Role: TypeAlias = Literal["speech", "inference", "rtc"]
ROLES: tuple[Role, ...] = ("speech", "inference", "rtc")

State: TypeAlias = Literal["created", "worker_ready", "ready", "speaking", "error", "closing", "closed"]
ENDED: frozenset[str] = frozenset({"closed", "error"})

Peer: TypeAlias = Literal["none", "connecting", "connected", "disconnected"]


def role_of(worker_id: str) -> str:
    """`node-a:speech-1` -> `speech`."""
    return worker_id.rpartition(":")[2].rpartition("-")[0]


class NewSession(msgspec.Struct, frozen=True, kw_only=True):
    """What the API decides when it places a session. Empty optional fields stay out of the hash."""

    session_id: str
    avatar_id: str
    model: str
    node: str
    speech_worker: str
    inference_worker: str
    rtc_worker: str
    width: int
    height: int
    fps: int = 25
    tts_provider: str = ""
    tts_voice: str = ""
    tts_model: str = ""
    stt_provider: str = ""
    llm_system_prompt: str = ""
    user_id: str = ""
    created_at: float = msgspec.field(default_factory=time.time)

    def to_hash(self) -> dict[str, str]:
        optional = ("tts_provider", "tts_voice", "tts_model", "stt_provider", "llm_system_prompt", "user_id")
        values = {name: str(value) for name, value in msgspec.structs.asdict(self).items()}
        kept = {name: value for name, value in values.items() if value or name not in optional}
        return kept | {"state": "created", "generation": "0", "peer": "none", "last_active_at": str(self.created_at)}


class SessionError(msgspec.Struct, frozen=True):
    """A session's last error."""

    code: str
    message: str


class Session(msgspec.Struct, frozen=True, kw_only=True):
    """A session as its hash has it. `raw` is the hash, for whoever wants to show it."""

    session_id: str
    state: str
    avatar_id: str
    model: str
    node: str
    speech_worker: str
    inference_worker: str
    rtc_worker: str
    generation: int
    created_at: float
    last_active_at: float
    width: int
    height: int
    fps: int
    tts_provider: str = ""
    tts_voice: str = ""
    tts_model: str = ""
    stt_provider: str = ""
    llm_system_prompt: str = ""
    user_id: str = ""
    ready: frozenset[str] = frozenset()
    peer: str = "none"
    last_turn: dict[str, Any] | None = None
    last_error: SessionError | None = None
    ended_reason: str = ""
    idle_clip: str = ""
    face: int = 0  # which of the session's faces is in force (workers/switching.py)
    faces_asked: int = 0  # the newest that was asked for
    turn: int = 0  # generation of the turn in progress; 0: none
    turn_began_at: float = 0.0  # of that turn, or the one before: end of speech, or acceptance
    raw: dict[str, str] = {}

    @classmethod
    def from_hash(cls, raw: Mapping[str, str]) -> Session:
        """Typed view of a hash. Raises msgspec.ValidationError naming the field that cannot be read."""
        fields: dict[str, Any] = dict(raw)
        fields["ready"] = [role for role in ROLES if raw.get(f"ready_{role}") == "1"]
        for name in ("last_turn", "last_error"):
            if name in raw:
                fields[name] = msgspec.json.decode(raw[name])
        fields["raw"] = dict(raw)
        return msgspec.convert(fields, cls, strict=False)

    @property
    def ended(self) -> bool:
        return self.state in ENDED

    @property
    def workers(self) -> tuple[str, str, str]:
        """Its three workers, in the order of ROLES."""
        return self.speech_worker, self.inference_worker, self.rtc_worker


class Open(msgspec.Struct, frozen=True, tag_field="cmd", tag="init"):
    """Prepare for a session: its hash says how."""

    session_id: str


class Speak(msgspec.Struct, frozen=True, tag_field="cmd", tag="speak"):
    """Say this text as it stands."""

    session_id: str
    generation: int
    text: str
    accepted_at: float
    tts_voice: str = ""
    tts_provider: str = ""
    tts_model: str = ""


class Heard(msgspec.Struct, frozen=True):
    """When a prompt that was spoken reached what; None for what was not needed (a button says that a turn is over)."""

    speech_ended_at: float
    vad_decision_at: float | None = None  # that there is silence
    stt_final_at: float | None = None  # what was said is known
    committed_at: float | None = None  # the turn is over


class Chat(msgspec.Struct, frozen=True, tag_field="cmd", tag="chat"):
    """Ask the language model and say what it answers. `heard`: the prompt was spoken."""

    session_id: str
    generation: int
    prompt: str
    accepted_at: float
    tts_voice: str = ""
    tts_provider: str = ""
    tts_model: str = ""
    heard: Heard | None = None


class Seen(msgspec.Struct, frozen=True, tag_field="cmd", tag="seen"):
    """When a browser itself heard and saw a turn begin, by the server's clock."""

    session_id: str
    generation: int
    first_sound_at: float | None = None
    first_frame_at: float | None = None
    jitter_buffer_ms: float | None = None


class Offer(msgspec.Struct, frozen=True, tag_field="cmd", tag="offer"):
    """A browser's SDP offer. Whoever handles it replies under `request_id`; after `deadline` nobody listens."""

    session_id: str
    request_id: str
    sdp: str
    type: str
    deadline: float


class SwitchAvatar(msgspec.Struct, frozen=True, tag_field="cmd", tag="switch_avatar"):
    """Render another avatar: the session's face number `face`."""

    session_id: str
    face: int
    avatar_id: str
    model: str


class ShowAvatar(msgspec.Struct, frozen=True, tag_field="cmd", tag="show_avatar"):
    """Show another avatar: face number `face` is being rendered, into a ring of its own."""

    session_id: str
    face: int
    avatar_id: str
    model: str
    width: int
    height: int
    idle_clip: str


class ChooseVoice(msgspec.Struct, frozen=True, tag_field="cmd", tag="choose_voice"):
    """Speak with another voice from the next turn on: the session's hash says with which."""

    session_id: str


class WindUp(msgspec.Struct, frozen=True, tag_field="cmd", tag="wind_up"):
    """Another worker of the session is going: end this turn with the sentence that is being heard."""

    session_id: str
    generation: int


class Close(msgspec.Struct, frozen=True, tag_field="cmd", tag="close"):
    """Let go of a session."""

    session_id: str
    reason: str


class Preview(msgspec.Struct, frozen=True, tag_field="cmd", tag="preview"):
    """Somebody wants to hear a voice. The speech worker replies under `request_id`; after `deadline` nobody listens.

    It belongs to no session; `session_id` is there because commands of one are handled in order."""

    session_id: str
    request_id: str
    text: str
    deadline: float
    tts_provider: str = ""
    tts_voice: str = ""
    tts_model: str = ""


Command: TypeAlias = (
    Open | Speak | Chat | Seen | Offer | SwitchAvatar | ShowAvatar | ChooseVoice | WindUp | Close | Preview
)


class Event(msgspec.Struct, frozen=True):
    """One entry of a session's event stream; `id` is the stream's own, and grows."""

    id: str
    event: str
    data: dict[str, Any]


class Interrupt(msgspec.Struct, frozen=True):
    """A session was interrupted. Without a generation it came by hand: the session's rtc worker numbers it."""

    session_id: str
    generation: int | None = None


class Resync(msgspec.Struct, frozen=True):
    """The subscription is new: interrupts may have been missed, so read generations from the hashes."""


class WorkerBeat(msgspec.Struct, frozen=True, kw_only=True):
    """A worker's heartbeat. `incarnation` differs from one start of the process to the next."""

    worker: str
    role: str
    node: str
    pid: int
    incarnation: str
    started_at: float
    beat_at: float = msgspec.field(default_factory=time.time)
    sessions: int = 0
    capacity: int = 1
    info: dict[str, Any] = {}

    def to_hash(self) -> dict[str, str]:
        values = msgspec.structs.asdict(self)
        values["info"] = msgspec.json.encode(self.info).decode()
        return {name: str(value) for name, value in values.items()}

    @classmethod
    def from_hash(cls, raw: Mapping[str, str]) -> WorkerBeat:
        return msgspec.convert({**raw, "info": msgspec.json.decode(raw["info"])}, cls, strict=False)
