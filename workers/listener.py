"""A session's open microphone in the speech process: its ring, and the connection that is heard.

Packets carry the microphone's own time; what is missing is heard as silence. Only when it sends nothing at all
(switched off, a lost network) does the wall clock stand in, so that a turn ends all the same.
"""

from __future__ import annotations

import asyncio
import logging
import time
from pathlib import Path

import numpy as np

from opentalking.config import Settings
from opentalking.slots import MicFlags, TrackPacket, unpack_track
from opentalking.turns.vad import VoiceActivity
from opentalking.turns.weights import TurnsError
from opentalking.types import MODEL_RATE
from workers import links
from workers.attention import Attention
from workers.conversation import ConversationSession
from workers.hearing import Commit, Find, Hearing

log = logging.getLogger(__name__)

_LONGEST_GAP = MODEL_RATE  # samples; a longer one is no pause in a turn
_QUIET_S = 0.8  # without a packet: a microphone that was switched off sends none; a network that halts, for less
_TICK = MODEL_RATE // 10


class Listener:
    """One session's open microphone; nothing is done before it sends."""

    def __init__(
        self,
        folder: Path,
        config: Settings,
        conversation: ConversationSession,
        attention: Attention,
        find: Find,
        commit: Commit,
    ) -> None:
        self._config = config
        self._conversation = conversation
        self._attention = attention
        self._find = find
        self._commit = commit
        self._track = 0
        self._next_sample = 0
        self._hearing: Hearing | None = None
        self._loading: asyncio.Task[None] | None = None
        self._heard_at = 0.0  # when the last packet came, monotonic
        self._watch: asyncio.TimerHandle | None = None
        self._ring = links.track_consumer(folder)
        self._ring.listen(self._read)

    def _read(self) -> None:
        while (slot := self._ring.front()) is not None:
            self._take(unpack_track(slot.payload))
            self._ring.advance()

    def _take(self, packet: TrackPacket) -> None:
        if packet.track != self._track:
            self._begin(packet)
        if packet.flags & MicFlags.END:
            self._end()
            return
        missing = packet.sample - self._next_sample
        self._next_sample = packet.sample + len(packet.pcm)
        self._heard_at = time.monotonic()
        if (hearing := self._hearing) is None:
            return
        if missing > 0:
            hearing.hear(np.zeros(min(missing, _LONGEST_GAP), np.int16))
        hearing.hear(packet.pcm)
        if self._watch is None and hearing.under_way:
            self._watch_for_silence()

    def _begin(self, packet: TrackPacket) -> None:
        self._end()
        self._track, self._next_sample = packet.track, packet.sample
        self._loading = asyncio.create_task(self._listen())

    async def _listen(self) -> None:
        """What was sent before the models are loaded is not heard; that is the first second of a process's life."""
        try:
            voice, turn_model = await self._attention.models()
        except TurnsError as error:
            log.warning("%s: nobody can be listened to: %s", self._conversation.session_id, error)
            self._conversation.emit("error", {"code": "VAD_UNAVAILABLE", "message": str(error)})
            return
        except Exception:
            log.exception("%s: nobody can be listened to", self._conversation.session_id)
            self._conversation.emit("error", {"code": "VAD_UNAVAILABLE", "message": "the detector failed to load"})
            return
        activity = VoiceActivity(voice, self._config)
        self._hearing = Hearing(
            self._config, self._conversation, self._attention, activity, turn_model, self._find, self._commit
        )

    def _watch_for_silence(self) -> None:
        """While somebody's turn is under way, see that the microphone still sends."""
        self._watch = None
        if (hearing := self._hearing) is None or not hearing.under_way:
            return
        if time.monotonic() - self._heard_at > _QUIET_S:
            hearing.hear(np.zeros(_TICK, np.int16))
        loop = asyncio.get_running_loop()
        self._watch = loop.call_later(_TICK / MODEL_RATE, self._watch_for_silence)

    def _end(self) -> None:
        """The connection is over, or a new one sends; what was being said is all that is said."""
        self._track = 0
        if self._loading is not None:
            self._loading.cancel()
            self._loading = None
        if self._hearing is not None:
            self._hearing.close()
            self._hearing = None

    async def close(self) -> None:
        if self._hearing is not None:
            self._hearing.abandon()
            self._hearing = None
        self._end()
        if self._watch is not None:
            self._watch.cancel()
        self._ring.close()
