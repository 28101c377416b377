"""Does a turn sound finished? Smart Turn v3: a small network that hears melody and rhythm, whatever the words.

It listens to the last 8 s, ending now; what is shorter has silence put before it. The front end is Whisper's, of
samples brought to mean 0 and variance 1 first, silence included: the feature extraction that it was trained with.
"""

from __future__ import annotations

import logging
from typing import Any

import numpy as np

from opentalking.config import Settings
from opentalking.stt.mel import log_mel
from opentalking.turns.weights import TurnsError, find_turn_model, open_model
from opentalking.types import MODEL_RATE, Int16

log = logging.getLogger(__name__)

WINDOW_S = 8
_WINDOW = WINDOW_S * MODEL_RATE
_EPSILON = 1e-7  # of the variance


class SmartTurn:
    """Loaded once a process; threads may share it."""

    def __init__(self, settings: Settings) -> None:
        """Raises TurnsError."""
        self._session: Any = open_model(find_turn_model(settings))

    def finished(self, pcm: Int16) -> float:
        """0..1 for a turn that is `pcm` (16 kHz) and the silence at its end. 60-100 ms: for a thread.

        Nothing that was said before that turn: a sentence earlier in the window makes a finished "Yes." (0.97) seem
        to be going on (0.01).
        """
        samples = np.zeros(_WINDOW, np.float32)
        heard = pcm[-_WINDOW:]
        if len(heard):
            np.divide(heard, 32768, out=samples[-len(heard) :], dtype=np.float32)
        samples = (samples - samples.mean()) / np.sqrt(samples.var() + np.float32(_EPSILON))
        (output,) = self._session.run(None, {"input_features": log_mel(samples)[None]})
        return float(output[0, 0])


def load_smart_turn(settings: Settings) -> SmartTurn | None:
    """The model, or None if none is wanted or can be had: then silence alone ends turns. 70 ms: for a thread."""
    if settings.turn_model == "none":
        return None
    try:
        return SmartTurn(settings)
    except TurnsError as error:
        log.warning("silence alone ends a turn: %s", error)
        return None
