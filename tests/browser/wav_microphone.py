"""A file as Chromium's microphone. Each time the page opens the microphone, it plays what the file holds then, once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from tests.support.spoken import pause, wav

LEAD_MS = 700  # the server must have heard silence before the speech
TAIL_MS = 60_000  # at the end of the file the browser would take the device for broken


class WavMicrophone:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.argument = f"--use-file-for-fake-audio-capture={path}%noloop"

    def plays(self, pcm: NDArray[np.int16], lead_ms: int = LEAD_MS) -> None:
        """From the next opening on. `pcm`: int16 at 16 kHz."""
        self._path.write_bytes(wav(np.concatenate([pause(lead_ms), pcm, pause(TAIL_MS)])))
