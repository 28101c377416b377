"""The only room that speaks Redis: sessions, commands, events, interrupts and heartbeats as typed calls.

`Store` is all of it; the other names are the values it takes and gives. `docs/redis.md` shows the keys to a person.
"""

from __future__ import annotations

from opentalking.store.errors import StoreError, StoreUnavailable, UnknownSession
from opentalking.store.records import (
    ENDED,
    ROLES,
    Chat,
    ChooseVoice,
    Close,
    Command,
    Event,
    Heard,
    Interrupt,
    NewSession,
    Offer,
    Open,
    Peer,
    Preview,
    Resync,
    Role,
    Seen,
    Session,
    SessionError,
    ShowAvatar,
    Speak,
    State,
    SwitchAvatar,
    WindUp,
    WorkerBeat,
    role_of,
)
from opentalking.store.store import Store

__all__ = [
    "ENDED",
    "ROLES",
    "Chat",
    "ChooseVoice",
    "Close",
    "Command",
    "Event",
    "Heard",
    "Interrupt",
    "NewSession",
    "Offer",
    "Open",
    "Peer",
    "Preview",
    "Resync",
    "Role",
    "Seen",
    "Session",
    "SessionError",
    "ShowAvatar",
    "Speak",
    "State",
    "Store",
    "StoreError",
    "StoreUnavailable",
    "SwitchAvatar",
    "UnknownSession",
    "WindUp",
    "WorkerBeat",
    "role_of",
]
