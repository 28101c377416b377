"""Records whose reader can tell whether they are whole, and the ones that belong there.

    | crc32 u32 | body: random bytes, of random length |

The checksum starts from the sequence and the generation of the slot: a body from the lap before, a header of another
slot or half a write cannot agree with it. The body is a function of the sequence, so that a successor writes what its
predecessor would have written.
"""

from __future__ import annotations

import os
import random
import struct
from typing import Final
from zlib import crc32

from shm import RingSpec, Slot

_CRC: Final = struct.Struct("<I")
_KINDS: Final = 1 << 14


class Torn(Exception):
    """A record was read that nobody has written like this."""


class Records:
    """All records of a ring of `slots`, with bodies of up to `body_bytes`."""

    def __init__(self, slots: int, body_bytes: int) -> None:
        self.spec = RingSpec(slots, _CRC.size + body_bytes)
        choice = random.Random(1)
        pool = memoryview(choice.randbytes(body_bytes + _KINDS))
        lengths = (choice.randrange(body_bytes + 1) for _ in range(_KINDS))
        self._bodies = [pool[at : at + length] for at, length in enumerate(lengths)]

    def body(self, sequence: int) -> memoryview:
        return self._bodies[sequence * 40_503 % _KINDS]

    def write(self, payload: memoryview, sequence: int, generation: int) -> int:
        """Fill a claimed slot; returns the record's length."""
        body = self.body(sequence)
        length = _CRC.size + len(body)
        payload[_CRC.size : length] = body
        _CRC.pack_into(payload, 0, crc32(body, _start(sequence, generation)))
        return length

    def check(self, slot: Slot) -> None:
        """Raise Torn unless the slot's record is whole and that of its sequence and generation."""
        payload = slot.payload
        crc = crc32(payload[_CRC.size :], _start(slot.sequence, slot.generation))
        if crc != _CRC.unpack_from(payload)[0] or len(payload) != _CRC.size + len(self.body(slot.sequence)):
            raise Torn(f"sequence {slot.sequence}, generation {slot.generation}: {bytes(payload[:64])!r}...")


def _start(sequence: int, generation: int) -> int:
    return (sequence * 0x9E3779B1 + generation) & 0xFFFFFFFF


def seed() -> int:
    """PROOF_SEED or a fresh one; printed, so that a failure can be had again."""
    chosen = int(os.environ.get("PROOF_SEED") or random.SystemRandom().randrange(1 << 32))
    print(f"PROOF_SEED={chosen}")
    return chosen
