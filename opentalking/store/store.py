"""The whole room as one object, composed of its concepts."""

from __future__ import annotations

from opentalking.store.commands import Commands
from opentalking.store.heartbeats import Heartbeats
from opentalking.store.interrupts import Interrupts
from opentalking.store.leases import Leases
from opentalking.store.sessions import Sessions


class Store(Sessions, Interrupts, Commands, Heartbeats, Leases):
    """`store = await Store.connect("redis://127.0.0.1:6379/0")` … `await store.close()`."""
