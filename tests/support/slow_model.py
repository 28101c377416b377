"""A stand-in face that cannot keep up: its every frame takes half as long again as it lasts."""

from __future__ import annotations

import time

from opentalking.types import FRAME_MS, AudioChunk

from .mirror import MirrorAdapter, MirrorAvatar


class SlowAdapter(MirrorAdapter):
    """The mirror, slowly."""

    model_type = "slow"

    def infer(self, features: AudioChunk | None, stream: MirrorAvatar) -> list[tuple[int, int, int]]:
        time.sleep(1.5 * FRAME_MS / 1000)
        return super().infer(features, stream)
