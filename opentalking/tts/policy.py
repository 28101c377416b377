"""What happens when a voice fails: one place for deadlines, retries and what speaks instead.

    fragment ──> engine of the turn ──┬── sound in time ──────────────────────────────> heard
                                      ├── may pass, nothing heard ──> asked once more
                                      ├── may pass, half heard ─────> asked once more, what was heard is skipped
                                      └── again, or will not pass ──> the next engine says what is left, and so will it
                                                                      the rest of the turn

The engines are the turn's own, those of OPENTALKING_TTS_FALLBACK, then the offline ones. An engine that failed rests
for a while: the next sentences do not wait for the same deadline again. Every change is told as an event (`tts`, stage
`retry` or `fallback`). Where one sound breaks off and another takes over, there is no click, and all of a fragment has
one sample rate (opentalking/tts/said.py). All voices are brought to one loudness (opentalking/tts/loudness.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import traceback
from collections.abc import AsyncGenerator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from opentalking.config import Settings
from opentalking.tts.base import TTSAdapter, TTSError
from opentalking.tts.loudness import TurnLoudness, VoiceLevels
from opentalking.tts.said import Said
from opentalking.types import AudioChunk

log = logging.getLogger(__name__)

OFFLINE = ("piper", "espeak")
_ATTEMPTS = 2
_LOAD_S = 20.0  # for an engine to be ready: one that is loaded for the first time, on a busy machine
_MOST_REST_S = 300.0  # however long a service asks to be left alone
_LONGEST_S, _LONGEST_S_PER_CHAR = 10.0, 0.6
_CHARS_PER_S = 14.0  # how fast speech is, until a turn's own is known

Tell = Callable[[str, dict[str, Any]], None]
Load = Callable[[str], Awaitable[TTSAdapter]]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Who is to speak; voice and model are empty where the engine's own default will do."""

    provider: str
    voice: str = ""
    model: str = ""


class VoiceChain:
    """The engines of a process, in the order in which they stand in for each other."""

    def __init__(
        self, settings: Settings, load: Load, default: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`load` gives an engine that is ready, or raises TTSError; `default` speaks where no other is named."""
        self.settings = settings
        self.load = load
        self.default = default
        self.levels = VoiceLevels(settings.tts_loudness_db)
        self._clock = clock
        self._rests_until: dict[str, float] = {}

    def order(self, wanted: Wanted) -> list[Wanted]:
        """The wanted one, then the others with their own voices; those that rest come last."""
        listed = (part.strip() for part in self.settings.tts_fallback.split(","))
        names = dict.fromkeys([*filter(None, listed), *OFFLINE])
        chain = [wanted, *(Wanted(name) for name in names if name != wanted.provider)]
        return sorted(chain, key=lambda one: self._rests(one.provider))

    def failed(self, provider: str, asked_s: float | None = None) -> None:
        """It rests for the setting's time, or for longer if it asked to be left alone (Retry-After)."""
        rest_s = max(self.settings.tts_rest_s, min(asked_s or 0.0, _MOST_REST_S))
        self._rests_until[provider] = self._clock() + rest_s

    def _rests(self, provider: str) -> bool:
        return self._rests_until.get(provider, 0.0) > self._clock()


class TurnVoice:
    """Speaks one turn's fragments; whoever took over goes on to the end of it."""

    def __init__(self, chain: VoiceChain, wanted: Wanted, tell: Tell) -> None:
        self._chain = chain
        self._engines = chain.order(wanted)
        self._tell = tell
        self._loudness = TurnLoudness(chain.levels)
        self._chars_per_s = _CHARS_PER_S
        if self._engines[0] != wanted:
            self._told_fallback(
                wanted.provider, self._engines[0].provider, TTSError("it failed a moment ago", "failed")
            )

    @property
    def engine(self) -> Wanted:
        """Whose turn it is to speak."""
        return self._engines[0]

    async def speak(self, text: str) -> AsyncGenerator[AudioChunk, None]:
        """PCM of a fragment, all of one rate. Raises TTSError when no engine is left."""
        said = Said(text)
        while True:
            engine = self._engines[0]
            try:
                async with contextlib.aclosing(self._by(engine, said)) as chunks:
                    async for chunk in chunks:
                        yield chunk
                self._learn_pace(text, said)
                return
            except TTSError as error:
                log.warning("voice %s: %s", engine.provider, error)
                if error.code != "bad_request":  # that is this turn's own trouble
                    self._chain.failed(engine.provider, error.retry_after_s)
                if len(self._engines) == 1:
                    raise
                self._engines.pop(0)
                said.turn_to_the_rest(self._chars_per_s)
                self._told_fallback(engine.provider, self._engines[0].provider, error)

    async def _by(self, engine: Wanted, said: Said) -> AsyncGenerator[AudioChunk, None]:
        """One engine's speech, asked a second time if its failure may pass. Raises TTSError."""
        tts = await self._ready(engine.provider)
        with self._loudness.fragment(engine.provider, engine.voice, engine.model) as loudness:
            for attempt in range(1, _ATTEMPTS + 1):
                said.begin(skipping=attempt > 1)
                try:
                    async with contextlib.aclosing(self._in_time(tts, engine, said.left)) as chunks:
                        async for chunk in chunks:
                            if (own := said.take(loudness.apply(chunk))) is not None:
                                yield own
                    if (own := said.rest()) is not None:
                        yield own
                    return
                except TTSError as error:
                    wait_s = error.retry_after_s or 0.0
                    if attempt == _ATTEMPTS or not error.may_pass or wait_s > self._chain.settings.tts_retry_after_s:
                        raise
                    told = {"provider": engine.provider, "code": error.code, "message": str(error)}
                    self._tell("tts", {"stage": "retry", **told})
                    await asyncio.sleep(wait_s)

    async def _ready(self, provider: str) -> TTSAdapter:
        """The engine, loaded. Raises TTSError."""
        try:
            async with asyncio.timeout(_LOAD_S):
                return await self._chain.load(provider)
        except TTSError:
            raise
        except TimeoutError:
            raise TTSError(f"{provider} is not ready after {_LOAD_S:g} s", "timeout") from None
        except Exception as error:
            raise unforeseen(provider, error) from None

    async def _in_time(self, tts: TTSAdapter, engine: Wanted, text: str) -> AsyncGenerator[AudioChunk, None]:
        """An engine's speech under deadlines, none of it longer than speech of this text can be. Raises TTSError."""
        clock, first_s = asyncio.get_running_loop().time, self._chain.settings.tts_first_pcm_timeout_s
        stall_s, waited_s, sounded_s = self._chain.settings.tts_stall_timeout_s, 0.0, 0.0
        try:
            async with contextlib.aclosing(
                tts.synthesize_stream(text, engine.voice or None, engine.model or None)
            ) as stream:
                while True:
                    slack_s = first_s + stall_s + sounded_s - waited_s  # one that drips may not lag for ever
                    within_s = min(stall_s, slack_s) if sounded_s else first_s - waited_s
                    began = clock()
                    async with asyncio.timeout(within_s):
                        chunk = await anext(stream, None)
                    waited_s += clock() - began
                    if chunk is None:
                        return
                    sounded_s += len(chunk.data) / chunk.sample_rate
                    if sounded_s > longest_s(text):
                        log.warning("voice %s does not stop: cut after %.0f s", engine.provider, sounded_s)
                        return
                    yield chunk
        except TTSError:
            raise
        except TimeoutError:
            what = f"gave no sound for {first_s:g} s"
            if sounded_s:
                what = f"stopped in the middle of a sentence for {stall_s:g} s"
            if sounded_s and slack_s < stall_s:
                what = "speaks slower than it can be heard"
            raise TTSError(f"{engine.provider} {what}", "timeout") from None
        except Exception as error:
            raise unforeseen(engine.provider, error) from None

    def _learn_pace(self, text: str, said: Said) -> None:
        if said.seconds > 0.5:
            self._chars_per_s = len(text) / said.seconds

    def _told_fallback(self, failed: str, instead: str, error: TTSError) -> None:
        told = {"provider": failed, "instead": instead, "code": error.code, "message": str(error)}
        self._tell("tts", {"stage": "fallback", **told})


def longest_s(text: str) -> float:
    """More sound than this, in seconds, is no speech of the text."""
    return _LONGEST_S + _LONGEST_S_PER_CHAR * len(text)


def unforeseen(provider: str, error: Exception) -> TTSError:
    """What an engine should not have raised. Its words stay out of logs and events: they may hold a key."""
    where = "".join(traceback.format_tb(error.__traceback__))
    log.error("voice %s raised %s:\n%s", provider, type(error).__name__, where)
    return TTSError(f"{provider} failed with {type(error).__name__}", "failed")
