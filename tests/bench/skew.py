"""A/V skew at a receiver: `python -m tests.bench.skew [--seconds 60]`, or `measure(node, seconds)`.

    sound     ──────────▌▌▌▌▌───────────     a click of 40 ms, which begins with its AV slot
    picture   ──────────█████───────────     the mirror's picture of that slot: bright, in the hue of the click's pitch
                        ^ ^
                  seen at t, heard at t'      skew = t − t'

Positive: the sound is early (as in ITU-R BT.1359 and ATSC IS-191, whose −45…+15 ms is the promise). An aiortc client on
the same machine decodes both. `skew_*` takes both times on the sender's clock, by RTCP sender reports, as browsers do
for lip sync; `skew_arrival_*` takes the arrival of the first RTP packet of either, as a cross-check. Opus alone makes
the sound 6.5 ms late: its encoder looks so far ahead, and no receiver of RTP takes that off.

Pictures come every 40 ms, so what happens late within a slot's sound is shown up to 40 ms before it is heard; that
belongs to 25 pictures a second and not to the path, and the clicks, which begin with their slots, leave it out.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..support.client import Client
from ..support.llm_server import LLMServer
from ..support.mirror import Reading, pitch_distance
from ..support.node import MIRROR, TONE, Node
from ..support.tone import CLICK_AMPLITUDE
from ..support.watcher import Moment, Watcher, watching

CACHE = Path("~/.cache/opentalking-bench").expanduser()
SETTINGS = {
    "OPENTALKING_TTS_PLUGINS": f"tone={TONE}",
    "OPENTALKING_TTS_PROVIDER": "tone",
    "OPENTALKING_MODEL_PLUGINS": f"mirror={MIRROR}",
    "OPENTALKING_LOG_LEVEL": "WARNING",
}
CLICKS_A_TURN = 10
PROMISE_MS = (-45.0, 15.0)
_ONSET = CLICK_AMPLITUDE // 2  # above what Opus sounds before a click begins
_QUIET = 480  # samples below _ONSET before an onset
_PITCH_SAMPLES = 1440  # after an onset
_FARTHEST_S = 2.4  # ten pitches take 5 s to come round again


@dataclass(frozen=True, slots=True)
class Click:
    """One click that was heard and seen. `at` is Unix time; skews in ms, positive when the sound is early."""

    at: float
    skew_ms: float
    arrival_skew_ms: float


def heard_clicks(packets: list[tuple[Moment, np.ndarray]]) -> list[tuple[Moment, float]]:
    """When each click is first heard, and its pitch."""
    samples = np.concatenate([pcm for _, pcm in packets])
    loud = np.flatnonzero(np.abs(samples.astype(np.int32)) > _ONSET)
    onsets = loud[np.diff(loud, prepend=-_QUIET) >= _QUIET]
    starts = np.cumsum([0, *(len(pcm) for _, pcm in packets)])
    found = []
    for onset in onsets[onsets + _PITCH_SAMPLES <= len(samples)]:
        packet = int(np.searchsorted(starts, onset, "right")) - 1
        begun, into_s = packets[packet][0], (onset - starts[packet]) / 48_000
        wave = samples[onset : onset + _PITCH_SAMPLES] * np.hanning(_PITCH_SAMPLES)
        hertz = float(np.abs(np.fft.rfft(wave, 4800)).argmax()) * 10
        found.append((Moment(begun.sent + into_s, begun.arrived + into_s), hertz))
    return found


def seen_clicks(pictures: list[tuple[Moment, Reading]]) -> list[tuple[Moment, float]]:
    """When each click's first picture is seen, and the pitch that it shows."""
    bright = [shown.loudness > 0.5 for _, shown in pictures]
    firsts = [new and not old for new, old in zip(bright, [False, *bright], strict=False)]
    return [(moment, shown.hertz or 0.0) for (moment, shown), first in zip(pictures, firsts, strict=True) if first]


def match(heard: list[tuple[Moment, float]], seen: list[tuple[Moment, float]]) -> list[Click]:
    """Each click that was heard with the nearest picture of its pitch."""
    clicks = []
    for sound, hertz in heard:
        same = [picture for picture, shown in seen if pitch_distance(hertz, shown) < 100]
        picture = min(same, key=lambda moment: abs(moment.sent - sound.sent), default=None)
        if picture is not None and abs(picture.sent - sound.sent) < _FARTHEST_S:
            skew, arrival_skew = picture.sent - sound.sent, picture.arrived - sound.arrived
            clicks.append(Click(sound.sent, skew * 1000, arrival_skew * 1000))
    return clicks


async def turn_of_clicks(client: Client, count: int = CLICKS_A_TURN) -> list[Click]:
    """Let it click, wait for the end, and say what was heard and seen. What the receiver kept is cleared."""
    watcher = client.receiver
    assert isinstance(watcher, Watcher)
    watcher.clear()
    turn = await client.call("POST", "/speak", {"text": f"[clicks {count}]"})
    await client.events.wait("speech.ended", lambda data: data["generation"] == turn["generation"])
    await watcher.hear_more(300)  # the jitter buffer is behind the event
    return match(heard_clicks(watcher.heard), seen_clicks(watcher.seen))


def slope(times_s: list[float], values: list[float]) -> tuple[float, float]:
    """Least squares: units of value per hour, and the standard error."""
    if len(values) < 3:
        return 0.0, float("inf")
    t, v = np.array(times_s) / 3600, np.array(values)
    t, v = t - t.mean(), v - v.mean()
    gradient = float(t @ v / (t @ t))
    error = float(np.sqrt(((v - gradient * t) ** 2).sum() / (len(v) - 2) / (t @ t)))
    return gradient, error


def figures(clicks: list[Click], spoken: int) -> dict[str, Any]:
    """Flat keys. `skew_lost`: clicks that were not both heard and seen."""
    skews, arrivals = [click.skew_ms for click in clicks], [click.arrival_skew_ms for click in clicks]
    p5, p50, p95 = np.percentile(skews, (5, 50, 95))
    gradient, error = slope([click.at for click in clicks], skews)
    return {
        "skew_p5_ms": round(float(p5), 2),
        "skew_p50_ms": round(float(p50), 2),
        "skew_p95_ms": round(float(p95), 2),
        "skew_max_deviation_ms": round(float(np.abs(skews - p50).max()), 2),
        "skew_slope_ms_per_h": round(gradient, 3),
        "skew_slope_error_ms_per_h": round(error, 3),
        "skew_arrival_p5_ms": round(float(np.percentile(arrivals, 5)), 2),
        "skew_arrival_p50_ms": round(float(np.percentile(arrivals, 50)), 2),
        "skew_arrival_p95_ms": round(float(np.percentile(arrivals, 95)), 2),
        "skew_clicks": len(clicks),
        "skew_lost": spoken - len(clicks),
    }


async def measure(node: Node, seconds: float = 60) -> dict[str, Any]:
    """Turns of clicks, one after the other, for about `seconds`. The node is one with SETTINGS."""
    clicks: list[Click] = []
    turns = 0
    started = time.monotonic()
    async with watching(node.base) as client:
        while time.monotonic() - started < seconds or not turns:
            clicks += await turn_of_clicks(client)
            turns += 1
            await asyncio.sleep(random.uniform(0, 0.3))  # the next begins at another phase of the clock
    return figures(clicks, turns * CLICKS_A_TURN)


async def main(seconds: float) -> int:
    async with LLMServer() as llm, Node(cache=CACHE, **SETTINGS, OPENTALKING_LLM_BASE_URL=llm.base_url) as node:
        print(json.dumps(await measure(node, seconds), indent=2))
    return 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60)
    sys.exit(asyncio.run(main(parser.parse_args().seconds)))
