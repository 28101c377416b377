"""A client of a synth-server that serves the mirror, to be run anywhere: `python -m tests.support.remote_guest URL`.

Speaks two turns, the second after an interruption of the first, and prints what came of it as JSON.
"""

from __future__ import annotations

import json
import sys
import time

from opentalking.avatars.bundle import PACKAGED
from opentalking.config import Settings
from opentalking.models.remote.adapter import RemoteAdapter

from .late import LateDriver, pitches, tones
from .mirror import pitch_distance, reading

SLOTS = 60


def main(endpoint: str) -> None:
    adapter = RemoteAdapter("wav2lip", "omnirt", Settings(omnirt_endpoint=endpoint))
    adapter.load_model("cpu")
    driver = LateDriver(adapter, adapter.load_avatar(PACKAGED / "presenter"))
    driver.speak(tones(pitches(SLOTS, first=5)), enough=10)
    began = time.monotonic()
    driver.adapter.reset(driver.stream)
    hertz = pitches(SLOTS)
    first = driver.speak(tones(hertz)[:1], ends=False, enough=1)
    first_ms = (time.monotonic() - began) * 1000
    shown = [reading(prediction.picture).hertz for prediction in [*first, *driver.speak(tones(hertz)[1:])]]
    driver.close()
    right = sum(
        seen is not None and pitch_distance(seen, wanted) < 140 for seen, wanted in zip(shown, hertz, strict=False)
    )
    print(json.dumps({"slots": SLOTS, "pictures": len(shown), "right": right, "first_ms": round(first_ms, 1)}))


if __name__ == "__main__":
    main(sys.argv[1])
