"""Voice activity: is anybody speaking, since when, and how long has it been quiet. Silero's network, hops of 32 ms.

    probability   .1  .2  .6  .8  .4  .9  .9  .8  .4  .2  .1  .6  .1  .1  .1  .1     (vad_threshold .5, vad_release .35)
    voiced         -   -   x   x  (x)  x   x   x  (x)  -   -   x   -   -   -   -     (x): between the two, as before it
    event                              STARTED                         STOPPED
    speaking                           |-------------------------------|
    speech_ms      0   0   0   0   0  128 160 192 224 224 224 320 320 320 320 320    (until the next stretch)
    silence_ms    32  64  96 128 160   0   0   0   0  32  64   0  32  64  96 128
                       ^ began: the first voiced hop, less vad_preroll_ms

Speech begins once hops of vad_start_ms in all reached the threshold and none between was silent: a click is no
speech. It has stopped after the same length of silence; a hop or two, as in a "t", is not a pause. While somebody
speaks, one voiced hop ends a silence; after STOPPED it takes vad_start_ms again: until then `silence_ms` goes on, and
`voiced` tells that something may be coming.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any, Protocol

import numpy as np

from opentalking.config import Settings
from opentalking.turns.weights import find_vad, open_model
from opentalking.types import MODEL_RATE, Float32, Int16

HOP = 512  # samples
HOP_MS = 32
_CONTEXT = 64  # samples before a hop that the network sees again
_STATE_SHAPE = (2, 1, 128)
_RATE = np.array(MODEL_RATE, np.int64)


class Event(Enum):
    STARTED = "started"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Activity:
    """What one hop was. Samples count from the stream's first; milliseconds are whole hops."""

    position: int  # samples heard: where this hop ends
    probability: float
    voiced: bool  # this hop sounds like speech, whether or not it lasts
    speaking: bool
    speech_ms: int  # of this stretch or, if nobody speaks, of the last: from its first to its last voiced hop
    silence_ms: int  # since the last hop of speech; since the stream's beginning if there was none
    began: int  # the sample where that stretch is to be heard from, so many ms of vad_preroll_ms before it
    event: Event | None = None


class SpeechModel(Protocol):
    def probability(self, samples: Float32, state: Float32) -> tuple[float, Float32]:
        """Of speech in (64 + 512,) samples in -1..1, with the state (2, 1, 128) after the hop before; and the state."""


class SileroModel:
    """The network, loaded once a process; its streams' states are their own, so threads may share it."""

    def __init__(self, settings: Settings) -> None:
        """Raises TurnsError."""
        self._session: Any = open_model(find_vad(settings))

    def probability(self, samples: Float32, state: Float32) -> tuple[float, Float32]:
        (output, after) = self._session.run(None, {"input": samples[None], "state": state, "sr": _RATE})
        return float(output[0, 0]), after


class VoiceActivity:
    """One stream. About 0.12 ms of CPU a hop: it may run in an event loop."""

    def __init__(self, model: SpeechModel, settings: Settings) -> None:
        self._model = model
        self._threshold = settings.vad_threshold
        self._release = min(settings.vad_release, settings.vad_threshold)
        self._start_ms = max(settings.vad_start_ms, 1)
        self._preroll = settings.vad_preroll_ms * MODEL_RATE // 1000
        self.reset()

    def reset(self) -> None:
        """As new: another track, or a gap in this one."""
        self._state = np.zeros(_STATE_SHAPE, np.float32)
        self._window = np.zeros(_CONTEXT + HOP, np.float32)
        self._filled = 0  # samples of the hop that is being filled
        self._position = 0
        self._voiced = False
        self._speaking = False
        self._run_from = 0  # where the voiced run began that is not yet speech
        self._run_ms = 0
        self._first = 0  # of the stretch: its first voiced sample, and the end of its last voiced hop
        self._last = 0
        self._began = 0

    def push(self, pcm: Int16) -> list[Activity]:
        """Any number of samples; what every hop was that they complete."""
        activities = []
        while len(pcm):
            taken = min(HOP - self._filled, len(pcm))
            at = _CONTEXT + self._filled
            np.divide(pcm[:taken], 32768, out=self._window[at : at + taken], dtype=np.float32)
            self._filled += taken
            pcm = pcm[taken:]
            if self._filled == HOP:
                activities.append(self._hop())
        return activities

    def _hop(self) -> Activity:
        probability, self._state = self._model.probability(self._window, self._state)
        self._window[:_CONTEXT] = self._window[-_CONTEXT:]
        self._filled = 0
        self._position += HOP
        self._voiced = probability >= (self._release if self._voiced else self._threshold)
        event = self._while_speaking() if self._speaking else self._while_quiet(probability)
        return Activity(
            self._position,
            probability,
            self._voiced,
            self._speaking,
            _ms(self._last - self._first),
            _ms(self._position - self._last),
            self._began,
            event,
        )

    def _while_speaking(self) -> Event | None:
        if self._voiced:
            self._last = self._position
        elif _ms(self._position - self._last) >= self._start_ms:
            self._speaking = False
            return Event.STOPPED
        return None

    def _while_quiet(self, probability: float) -> Event | None:
        if not self._voiced:
            self._run_ms = 0
            return None
        if not self._run_ms:
            self._run_from = self._position - HOP
        self._run_ms += HOP_MS * (probability >= self._threshold)
        if self._run_ms < self._start_ms:
            return None
        self._began = max(self._run_from - self._preroll, self._last)
        self._first, self._last = self._run_from, self._position
        self._speaking = True
        self._run_ms = 0
        return Event.STARTED


def _ms(samples: int) -> int:
    return samples * 1000 // MODEL_RATE
