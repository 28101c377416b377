"""Shared memory between the processes of a session: rings, doorbells, the blackboard, and reclaiming after a death.

Knows bytes and processes, nothing of avatars.
"""

from shm.board import Board, Cursor, Mark, MarkKind, Writer
from shm.presence import Presence, is_present
from shm.reaper import NodeFolder, reap_nodes
from shm.ring import Consumer, Producer, RingCorrupt, RingSpec, Slot
from shm.segment import RoleTaken

__all__ = [
    "Board",
    "Consumer",
    "Cursor",
    "Mark",
    "MarkKind",
    "NodeFolder",
    "Presence",
    "Producer",
    "RingCorrupt",
    "RingSpec",
    "RoleTaken",
    "Slot",
    "Writer",
    "is_present",
    "reap_nodes",
]
