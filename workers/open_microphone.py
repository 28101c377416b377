"""A session's open microphone on its way to the speech process: what its browsers send, into the `track` ring.

The ring is attached when a browser first sends sound. It is written from the media loop, which waits for nobody: what
finds the ring full is dropped and counted. Of several connections (a page that was reloaded) the newest is heard; the
one before ends with its first packet, if it has not ended by itself.
"""

from __future__ import annotations

import logging
import random
from pathlib import Path

import numpy as np

from opentalking.slots import TRACK_SAMPLES, MicFlags, TrackPacket, pack_track
from opentalking.types import Int16
from shm import Producer, RingCorrupt, RoleTaken
from workers import links

log = logging.getLogger(__name__)

_RETRY_PACKETS = 250  # five seconds
_NOTHING = np.zeros(0, np.int16)


class OpenMicrophone:
    """The producer of a session's track ring."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._ring: Producer | None = None
        self._failed = 0  # packets since the ring could not be attached
        self._current: TrackWriter | None = None
        self.packets = 0
        self.dropped = 0

    def connection(self) -> TrackWriter:
        """What a new connection's microphone writes to."""
        return TrackWriter(self)

    def write(self, writer: TrackWriter, packet: TrackPacket) -> bool:
        """Hand over one packet of a connection; False if it could not be."""
        if writer is not self._current:
            if self._current is not None:
                self._current.ended()
            self._current = writer
        ring = self._attached()
        slot = ring.try_claim() if ring is not None else None
        if ring is None or slot is None:
            self.dropped += 1
            return False
        ring.publish(0, pack_track(slot, packet))
        self.packets += 1
        return True

    def close(self) -> None:
        if self._current is not None:
            self._current.ended()
        if self._ring is not None:
            self._ring.close()
            self._ring = None

    def _attached(self) -> Producer | None:
        if self._ring is None and self._failed % _RETRY_PACKETS == 0:
            try:
                self._ring = links.track_producer(self._folder)
            except (OSError, ValueError, RoleTaken, RingCorrupt) as error:
                log.warning("%s: nobody hears the microphone: %s", self._folder.name, error)
        self._failed = 0 if self._ring is not None else self._failed + 1
        return self._ring


class TrackWriter:
    """One connection's microphone, under a number of its own."""

    def __init__(self, microphone: OpenMicrophone) -> None:
        self._microphone = microphone
        self._track = random.getrandbits(63)
        self._sample = 0  # the next one
        self._started = False
        self._ended = False

    def heard(self, sample: int, pcm: Int16) -> None:
        for at in range(0, len(pcm), TRACK_SAMPLES):
            if self._ended:
                return
            flags = MicFlags.NONE if self._started else MicFlags.START
            packet = TrackPacket(self._track, flags, sample + at, pcm[at : at + TRACK_SAMPLES])
            self._started |= self._microphone.write(self, packet)
        self._sample = sample + len(pcm)

    def ended(self) -> None:
        """END may find the ring full, too: the next connection's START says the same."""
        if self._started and not self._ended:
            self._microphone.write(self, TrackPacket(self._track, MicFlags.END, self._sample, _NOTHING))
        self._ended = True
