"""Sessions: the hash a person can read, the index of live ones, and the states between created and closed."""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from typing import Any, Literal, TypeVar

import msgspec

from opentalking.store import keys, scripts
from opentalking.store.events import Events
from opentalking.store.records import NewSession, Peer, Role, Session, ShowAvatar, State

log = logging.getLogger(__name__)

T = TypeVar("T", bound=msgspec.Struct)


class Sessions(Events):
    """`opentalking:session:{id}` and `opentalking:sessions`. Setters do nothing, and say False, without a session."""

    async def create_session(self, session: NewSession) -> None:
        """Write the hash and the index. The caller then sends Open to the three workers."""
        fields = [part for pair in session.to_hash().items() for part in pair]
        await self._all(
            ("HSET", keys.session(session.session_id), *fields),
            ("ZADD", keys.SESSIONS, session.created_at, session.session_id),
        )

    async def session_hash(self, session_id: str) -> dict[str, str]:
        """The raw hash; empty when there is none."""
        return dict(await self._call("HGETALL", keys.session(session_id)))

    async def get_session(self, session_id: str) -> Session | None:
        return _read(await self.session_hash(session_id))

    async def list_sessions(self) -> list[Session]:
        """Live sessions, oldest first."""
        ids = [str(member) for member in await self._call("ZRANGE", keys.SESSIONS, 0, -1)]
        hashes = await self._all(*(("HGETALL", keys.session(session_id)) for session_id in ids))
        lost = [session_id for session_id, raw in zip(ids, hashes, strict=True) if not raw]
        if lost:
            await self._call("ZREM", keys.SESSIONS, *lost)
        sessions = (_read(raw) for raw in hashes)
        return [session for session in sessions if session is not None and not session.ended]

    async def sessions_of(self, worker_id: str) -> list[Session]:
        """Live sessions that were placed on this worker."""
        return [session for session in await self.list_sessions() if worker_id in session.workers]

    async def mark_ready(self, session_id: str, role: Role) -> bool:
        """A worker has opened the session. True for the one call that makes all three ready: it also moves the state
        to worker_ready (unless the conversation is further on: a worker came back) and emits session.queued."""
        queued = msgspec.json.encode({"session_id": session_id, "position": 0, "message": "worker_ready"}).decode()
        made = await self._script(scripts.MARK_READY, self._keys(session_id), session_id, role, queued)
        return bool(made)

    async def unready(self, session_id: str, role: Role) -> None:
        """The worker of this role is going: no turn may begin until the next incarnation has opened the session."""
        await self._call("HDEL", keys.session(session_id), f"ready_{role}")

    async def set_state(self, session_id: str, state: State) -> bool:
        """True if the state changed. Refused (False) once the session is closing; to end one, `end_session`."""
        if state in ("closed", "error", "created"):
            raise ValueError(f"{state} is not a state to set; end_session ends a session")
        return bool(await self._script(scripts.SET_STATE, self._keys(session_id), session_id, state, time.time()))

    async def set_peer(self, session_id: str, peer: Peer) -> bool:
        """Whether a browser is connected; it counts as activity."""
        return await self._update(session_id, "peer", peer, "last_active_at", str(time.time()))

    async def set_turn(self, session_id: str, generation: int, began_at: float = 0.0) -> bool:
        """A turn begins; a worker that comes back finds here what was lost with the one before it.

        `began_at`: the zero of its trace, Unix seconds.
        """
        return await self._update(session_id, "turn", str(generation), "turn_began_at", str(began_at))

    async def set_last_turn(self, session_id: str, turn: dict[str, Any]) -> bool:
        """A turn is over."""
        return await self._update(session_id, "last_turn", msgspec.json.encode(turn).decode(), "turn", "0")

    async def amend_last_turn(self, session_id: str, turn: dict[str, Any]) -> bool:
        """More is known of the turn that was over last; another may be in progress."""
        return await self._update(session_id, "last_turn", msgspec.json.encode(turn).decode())

    async def set_error(self, session_id: str, code: str, message: str) -> bool:
        """Keep the last error in the hash. Telling the browser (`error`) and ending the session are the caller's."""
        error = {"code": code, "message": message}
        return await self._update(session_id, "last_error", msgspec.json.encode(error).decode())

    async def set_idle_clip(self, session_id: str, path: str) -> bool:
        """Where the inference worker put the avatar's idle clip, for the rtc worker of the same node."""
        return await self._update(session_id, "idle_clip", path)

    async def ask_face(self, session_id: str) -> int:
        """The number of a face that is going to be asked for; the highest is the one that is wanted. 0: no session."""
        return int(await self._script(scripts.COUNT_UP, [keys.session(session_id)], "faces_asked"))

    async def set_face(self, face: ShowAvatar) -> bool:
        """Another face is in force from now on: whoever opens the session opens it with this one."""
        fields = {name: str(value) for name, value in msgspec.structs.asdict(face).items() if name != "session_id"}
        return await self._update(face.session_id, *(part for pair in fields.items() for part in pair))

    async def set_voice(self, session_id: str, provider: str, voice: str, model: str) -> bool:
        """Who speaks the session's turns; empty: the server's choice. The caller then sends ChooseVoice."""
        chosen = {"tts_provider": provider, "tts_voice": voice, "tts_model": model}
        return await self._update(session_id, *(part for pair in chosen.items() for part in pair))

    async def keep_history(self, session_id: str, entries: Sequence[msgspec.Struct]) -> bool:
        """What was said and heard so far, for a speech worker that comes back. False once the session is over."""
        payload = msgspec.json.encode(entries).decode()
        return bool(
            await self._script(scripts.KEEP_HISTORY, [keys.history(session_id), keys.session(session_id)], payload)
        )

    async def history(self, session_id: str, entry: type[T]) -> list[T]:
        """What `keep_history` kept, as values of that type; empty when there is none."""
        payload = await self._call("GET", keys.history(session_id))
        return msgspec.json.decode(payload, type=list[entry]) if payload else []  # type: ignore[valid-type]

    async def touch(self, session_id: str) -> bool:
        return await self._update(session_id, "last_active_at", str(time.time()))

    async def end_session(self, session_id: str, state: Literal["closed", "error"], reason: str) -> bool:
        """End it: state, index, session.terminated, and 600 s to read what was. True for the one call that did."""
        terminated = msgspec.json.encode({"session_id": session_id, "reason": reason}).decode()
        names = [*self._keys(session_id), keys.SESSIONS, keys.history(session_id)]
        return bool(await self._script(scripts.END, names, session_id, state, reason, terminated))

    async def _update(self, session_id: str, *fields: str) -> bool:
        return bool(await self._script(scripts.UPDATE, [keys.session(session_id)], *fields))

    @staticmethod
    def _keys(session_id: str) -> list[str]:
        return [keys.session(session_id), keys.events(session_id)]


def _read(raw: dict[str, str]) -> Session | None:
    """A hash that cannot be read (someone edited it by hand) is logged and counts as none."""
    if not raw:
        return None
    try:
        return Session.from_hash(raw)
    except msgspec.MsgspecError as error:
        log.error("session hash %s cannot be read: %s", raw.get("session_id", "?"), error)
        return None
