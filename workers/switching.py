"""Another avatar in a live session: who does what, in which order, and what a crash leaves.

    api        faces_asked := n ── SwitchAvatar(n) ──> inference
    inference  loads the avatar, makes the ring av<n>; the old face lives and speaks on
               hears no more of the turn for the old face, and lets it draw what it owes (render.py, `retire`)
               hash := face n, its avatar, model, size and idle clip             <── from here on face n is in force
               renders the rest of the turn into av<n> ── ShowAvatar(n) ──> rtc
    rtc        plays what the old ring still holds, then goes on from av<n> (playout.py, `follow`):
               the same clock and tracks, a keyframe of the new size; sound passes from ring to ring without a gap
               removes the old ring, tells `session.avatar`

Each face has a ring of its own, because the slots of a ring are of one size. Of several that were asked for, only the
newest is prepared. One that cannot be had changes nothing, but that `error` says why.

Killed in the middle (a turn that the process had in hand is lost, as with any crash: lifecycle.py):

    inference, before the hash     the next incarnation opens the old face, finds the command where it was, and switches
    inference, after the hash      it opens face n and sends ShowAvatar(n), as it does for any session that has
                                   switched; the command finds face n in force, and does nothing
    rtc                            it opens what the hash says, removes older rings, and knows ShowAvatar(n), if it is
                                   still to come, by its number: `session.avatar` may so be told twice
    api, speech                    have no part in it once the command is sent
"""

from __future__ import annotations

import asyncio
import logging
from pathlib import Path
from typing import Any

from opentalking.models.adapter import AvatarState
from opentalking.store import Session, ShowAvatar, Store, SwitchAvatar
from workers import links
from workers.faces import Face
from workers.render import RenderSession, RunOnDevice

log = logging.getLogger(__name__)

FINISH_S = 3.0  # longer than somebody who interrupts lets the avatar hold still (OPENTALKING_BARGE_IN_WAIT_MS)


async def is_wanted(store: Store, command: SwitchAvatar) -> bool:
    """Whether this face is still to come: no newer one was asked for, and it is not in force already."""
    session = await store.get_session(command.session_id)
    if session is None or session.ended:
        return False
    return session.face < command.face >= session.faces_asked


def make_ring(folder: Path, face: int, avatar: AvatarState) -> None:
    """An empty ring for a face that nobody has yet; whatever a crash left in its place goes. Raises OSError."""
    links.remove_av(folder, face)
    links.av_producer(folder, avatar.width, avatar.height, face).close()


async def finish(rendering: RenderSession, store: Store, session_id: str, on_device: RunOnDevice) -> None:
    """Let the old face draw what it has heard. If nobody takes its pictures, the turn is ended for everybody."""
    drawn = await rendering.retire(on_device)
    try:
        await asyncio.wait_for(drawn.wait(), FINISH_S)
    except TimeoutError:
        rendering.board.raise_generation(await store.next_generation(session_id, only=rendering.generation))
        rendering.abandon_turn()


async def refuse(store: Store, command: SwitchAvatar, error: Exception) -> None:
    """The session stays as it is, and its client hears why."""
    code, message = "AVATAR_FAILED", f"{command.avatar_id}: {error}"
    await store.set_error(command.session_id, code, message)
    await store.emit(command.session_id, "error", {"session_id": command.session_id, "code": code, "message": message})


def to_show(command: SwitchAvatar, face: Face) -> ShowAvatar:
    """What the rtc worker is told of a face that was asked for."""
    avatar, clip = face.avatar, str(face.clip)
    return ShowAvatar(
        command.session_id, command.face, command.avatar_id, command.model, avatar.width, avatar.height, clip
    )


def shown(session: Session) -> ShowAvatar:
    """The face that the hash says."""
    return ShowAvatar(
        session.session_id,
        session.face,
        session.avatar_id,
        session.model,
        session.width,
        session.height,
        session.idle_clip,
    )


async def tell(store: Store, face: ShowAvatar) -> None:
    """The new face is on screen."""
    data: dict[str, Any] = {
        "session_id": face.session_id,
        "avatar_id": face.avatar_id,
        "model": face.model,
        "width": face.width,
        "height": face.height,
    }
    await store.emit(face.session_id, "session.avatar", data)
