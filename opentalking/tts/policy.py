"""What happens when a voice fails, or cannot read a text: one place for deadlines, retries and what speaks instead.

    fragment ──> engine of the turn ──┬── sound in time ──────────────────────────────> heard
                                      ├── may pass, nothing heard ──> asked once more
                                      ├── may pass, half heard ─────> asked once more, what was heard is skipped
                                      ├── again, or will not pass ──> the next engine says what is left, and so will it
                                      │                               the rest of the turn
                                      └── cannot read its script ───> the next that can says this fragment

The engines are the turn's own, those of OPENTALKING_TTS_FALLBACK, then the offline ones. An engine that failed rests
for a while: the next sentences do not wait for the same deadline again. Every change is told as an event (`tts`, stage
`retry` or `fallback`), a script that cannot be read once a turn. Where one sound breaks off and another takes over,
there is no click, and all of a fragment has one sample rate (opentalking/tts/said.py). What is too late, or no speech
of the text, is in opentalking/tts/deadlines.py. All voices are brought to one loudness (opentalking/tts/loudness.py).
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, replace
from typing import Any

from opentalking.config import Settings
from opentalking.tts.base import KnowsItsScripts, TTSAdapter, TTSError
from opentalking.tts.deadlines import Load, in_time, loaded
from opentalking.tts.loudness import TurnLoudness, VoiceLevels
from opentalking.tts.pace import usual_s
from opentalking.tts.said import Said
from opentalking.tts.scripts import runs, scripts_in
from opentalking.types import AudioChunk

log = logging.getLogger(__name__)

OFFLINE = ("piper", "espeak")
_ATTEMPTS = 2
_MOST_REST_S = 300.0  # however long a service asks to be left alone
_MOST_PACE = 3.0  # a voice that takes so much longer than usual, or less, was not timed well

Tell = Callable[[str, dict[str, Any]], None]


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
        self.default = default
        self._load = load
        self.levels = VoiceLevels(settings.tts_loudness_db)
        self._clock = clock
        self._rests_until: dict[str, float] = {}

    def order(self, wanted: Wanted) -> list[Wanted]:
        """The wanted one, then the others with their own voices; those that rest come last."""
        listed = (part.strip() for part in self.settings.tts_fallback.split(","))
        names = dict.fromkeys([*filter(None, listed), *OFFLINE])
        chain = [wanted, *(Wanted(name) for name in names if name != wanted.provider)]
        return sorted(map(self.configured, chain), key=lambda one: self._rests(one.provider))

    def configured(self, wanted: Wanted) -> Wanted:
        """With the voice of OPENTALKING_TTS_VOICE, if that engine is to speak and no voice was named."""
        if wanted.voice or wanted.provider != self.settings.tts_provider:
            return wanted
        return replace(wanted, voice=self.settings.tts_voice)

    async def load(self, provider: str) -> TTSAdapter:
        """An engine that is ready, as soon as a first sound is to be there. Raises TTSError."""
        return await loaded(self._load, provider, self.settings.tts_first_pcm_timeout_s)

    async def alone(self, wanted: Wanted, text: str) -> AsyncGenerator[AudioChunk, None]:
        """The engine's speech as it is, once: nobody stands in for it, so it may load for as long as it takes.

        Raises TTSError."""
        tts = await loaded(self._load, wanted.provider, None)
        if unread := _unread(tts, wanted.voice, text):
            raise _cannot_read(wanted, unread)
        speech = in_time(tts, wanted.provider, text, wanted.voice, wanted.model, self.settings)
        async with contextlib.aclosing(speech) as chunks:
            async for chunk in chunks:
                yield chunk

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
        self._pace = 1.0  # how much longer than usual this turn's voice takes for a text
        self._told_unread: set[str] = set()  # providers
        wanted = chain.configured(wanted)
        if self._engines[0] != wanted:
            self._told_fallback(
                wanted.provider, self._engines[0].provider, TTSError("it failed a moment ago", "failed")
            )

    async def engine_for(self, text: str) -> Wanted:
        """Whose turn it is to speak this. Raises TTSError when no engine is left."""
        return (await self._ready(text))[0]

    async def speak(self, text: str) -> AsyncGenerator[AudioChunk, None]:
        """PCM of a fragment, all of one rate. Raises TTSError when no engine is left."""
        said = Said(text)
        while True:
            engine, tts = await self._ready(said.left)
            said.left = _readable(tts, engine.voice, said.left)
            try:
                async with contextlib.aclosing(self._by(engine, tts, said)) as chunks:
                    async for chunk in chunks:
                        yield chunk
                self._learn_pace(text, said)
                return
            except TTSError as error:
                self._give_up(engine, error)
                said.turn_to_the_rest(self._pace)

    async def _ready(self, text: str) -> tuple[Wanted, TTSAdapter]:
        """The first engine that can be loaded and reads all of the text, else the one that reads some of it first."""
        first: tuple[Wanted, TTSAdapter] | None = None
        unread: dict[str, TTSError] = {}
        for engine in list(self._engines):
            try:
                tts = await self._chain.load(engine.provider)
            except TTSError as error:
                self._give_up(engine, error)
                continue
            if not (missing := _unread(tts, engine.voice, text)):
                self._tell_unread(unread, engine.provider)
                return engine, tts
            unread[engine.provider] = _cannot_read(engine, missing)
            if _readable(tts, engine.voice, text):
                first = first or (engine, tts)
        if first is None:
            raise next(iter(unread.values()))
        return first

    async def _by(self, engine: Wanted, tts: TTSAdapter, said: Said) -> AsyncGenerator[AudioChunk, None]:
        """One engine's speech, asked a second time if its failure may pass. Raises TTSError."""
        settings = self._chain.settings
        with self._loudness.fragment(engine.provider, engine.voice, engine.model) as loudness:
            for attempt in range(1, _ATTEMPTS + 1):
                said.begin(skipping=attempt > 1)
                try:
                    speech = in_time(tts, engine.provider, said.left, engine.voice, engine.model, settings)
                    async with contextlib.aclosing(speech) as chunks:
                        async for chunk in chunks:
                            if (own := said.take(loudness.apply(chunk))) is not None:
                                yield own
                    if (own := said.rest()) is not None:
                        yield own
                    return
                except TTSError as error:
                    wait_s = error.retry_after_s or 0.0
                    if attempt == _ATTEMPTS or not error.may_pass or wait_s > settings.tts_retry_after_s:
                        raise
                    told = {"provider": engine.provider, "code": error.code, "message": str(error)}
                    self._tell("tts", {"stage": "retry", **told})
                    await asyncio.sleep(wait_s)

    def _give_up(self, engine: Wanted, error: TTSError) -> None:
        """The next engine takes over, for the rest of the turn. Raises the error if there is none."""
        log.warning("voice %s: %s", engine.provider, error)
        if error.code != "bad_request":  # that is this turn's own trouble
            self._chain.failed(engine.provider, error.retry_after_s)
        if len(self._engines) == 1:
            raise error
        at = self._engines.index(engine)  # those before it cannot read what it was to say
        self._engines.remove(engine)
        self._told_fallback(engine.provider, self._engines[at % len(self._engines)].provider, error)

    def _learn_pace(self, text: str, said: Said) -> None:
        if said.seconds > 0.5 and (usual := usual_s(text)):
            self._pace = min(max(said.seconds / usual, 1 / _MOST_PACE), _MOST_PACE)

    def _tell_unread(self, unread: dict[str, TTSError], instead: str) -> None:
        for provider in unread.keys() - self._told_unread:
            self._told_fallback(provider, instead, unread[provider])
        self._told_unread |= unread.keys()

    def _told_fallback(self, failed: str, instead: str, error: TTSError) -> None:
        told = {"provider": failed, "instead": instead, "code": error.code, "message": str(error)}
        self._tell("tts", {"stage": "fallback", **told})


def _reads(tts: TTSAdapter, script: str, voice: str) -> bool:
    return not isinstance(tts, KnowsItsScripts) or tts.reads(script, voice or None)


def _unread(tts: TTSAdapter, voice: str, text: str) -> set[str]:
    """The scripts of a text that an engine's voice does not read."""
    return {script for script in scripts_in(text) if not _reads(tts, script, voice)}


def _readable(tts: TTSAdapter, voice: str, text: str) -> str:
    """What of a text an engine's voice reads."""
    return "".join(part for script, part in runs(text) if _reads(tts, script, voice))


def _cannot_read(engine: Wanted, scripts: set[str]) -> TTSError:
    return TTSError(f"{engine.provider}: its voice reads no {' and no '.join(sorted(scripts))}")
