"""Do sound and picture stay together for hours? `python -m tests.bench.drift --minutes 30 [--sessions 1]`.

A node speaks turns of clicks and is silent between them (tests/bench/skew.py says how skew is measured); every few
seconds its rings, clocks, memory and open files are looked at. Written are the series (docs/drift.json) and one picture
of them (docs/drift.svg). What may not happen: a slope, a ring that fills, a process that grows.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import sys
import time
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import numpy as np
from prometheus_client.parser import text_string_to_metric_families

from ..support.client import Client
from ..support.llm_server import LLMServer
from ..support.node import Node
from ..support.watcher import watching
from . import skew
from .chart import Line, Panel, draw

SAMPLE_S = 5.0
LONGEST_SILENCE_S = 6.0
_METRICS = {"opentalking_ring_slots": "ring", "opentalking_playout": "figure"}


class Watch:
    """The series of one run; times are seconds since its beginning."""

    def __init__(self, node: Node) -> None:
        self._node = node
        self._started = time.time()
        self._processes = node.processes()
        self.clicks: list[tuple[float, float, float]] = []  # time, skew and skew by arrival in ms
        self.spoken = 0
        self.samples: list[dict[str, float]] = []  # "t", "rss_mb.rtc-0", "fds.rtc-0", "pcm", "av", "clock_stalls", …

    def now(self) -> float:
        return time.time() - self._started

    async def speak(self, client: Client, seconds: float) -> None:
        """Turns and silences until `seconds` have passed."""
        while self.now() < seconds:
            clicks = await skew.turn_of_clicks(client)
            self.clicks += [(c.at - self._started, c.skew_ms, c.arrival_skew_ms) for c in clicks]
            self.spoken += skew.CLICKS_A_TURN
            await asyncio.sleep(random.uniform(0, LONGEST_SILENCE_S))

    async def sample(self, client: Client, every_s: float) -> None:
        while True:
            async with client.http.get(client.base + "/metrics") as response:
                self.samples.append({"t": self.now(), **_figures(await response.text()), **self._costs()})
            await asyncio.sleep(every_s)

    def _costs(self) -> dict[str, float]:
        costs: dict[str, float] = {}
        for role, process in self._processes.items():
            with process.oneshot():
                costs[f"rss_mb.{role}"] = process.memory_info().rss / 1e6
                costs[f"fds.{role}"] = process.num_fds()
        return costs


def _figures(exposition: str) -> dict[str, float]:
    """Ring levels and playout figures: the highest of all sessions."""
    found: dict[str, float] = {}
    for family in text_string_to_metric_families(exposition):
        for sample in family.samples:
            if label := _METRICS.get(sample.name):
                name = sample.labels[label]
                found[name] = max(found.get(name, 0.0), sample.value)
    return found


async def run(seconds: float, sessions: int, every_s: float) -> Watch:
    async with AsyncExitStack() as stack:
        llm = await stack.enter_async_context(LLMServer())
        settings = {**skew.SETTINGS, "OPENTALKING_LLM_BASE_URL": llm.base_url}
        node = await stack.enter_async_context(Node(cache=skew.CACHE, **settings))
        clients = [await stack.enter_async_context(watching(node.base)) for _ in range(sessions)]
        watch = Watch(node)
        sampling = asyncio.create_task(watch.sample(clients[0], every_s))
        try:
            await asyncio.gather(*(watch.speak(client, seconds) for client in clients))
        finally:
            sampling.cancel()
        return watch


def summary(watch: Watch, sessions: int) -> dict[str, Any]:
    """Flat keys: what the whole run comes to."""
    clicks = [skew.Click(*click) for click in watch.clicks]
    found = {"minutes": round(watch.now() / 60, 2), "sessions": sessions, "load_average": os.getloadavg()[0]}
    found |= {"python": platform.python_version(), "cores": os.cpu_count() or 0}
    found |= skew.figures(clicks, watch.spoken)
    half = len(watch.samples) // 2  # caches fill in the first half
    times = [sample["t"] for sample in watch.samples[half:]]
    for name in watch.samples[-1]:
        values = [sample.get(name, 0.0) for sample in watch.samples]
        if name.startswith("rss_mb."):
            found[name] = round(values[-1], 1)
            found[f"{name}.slope_per_h"] = round(skew.slope(times, values[half:])[0], 2)
        elif name != "t":
            found[f"{name}.max"] = max(values)
            found[f"{name}.last"] = values[-1]
    return found


def picture(watch: Watch, found: dict[str, Any]) -> str:
    """Skew, rings and memory over time, as SVG."""

    def series(name: str) -> list[tuple[float, float]]:
        return [(sample["t"] / 60, sample.get(name, 0.0)) for sample in watch.samples]

    minutes = watch.now() / 60
    slope, error = found["skew_slope_ms_per_h"], found["skew_slope_error_ms_per_h"]
    points = [(at / 60, ms) for at, ms, _ in watch.clicks]
    middle = float(np.mean([ms for _, ms in points]))
    lean = slope * minutes / 60 / 2
    fit = Line(f"fit: {slope:+.2f} ± {error:.2f} ms per hour", [(0.0, middle - lean), (minutes, middle + lean)])
    roles = sorted(name for name in watch.samples[-1] if name.startswith("rss_mb."))
    return draw(
        "Sound and picture over time",
        "minutes",
        minutes,
        [
            Panel(
                "A/V skew at the receiver, ms (positive: sound early)",
                [Line(f"{len(points)} clicks", points, dots=True), fit],
                low=-50,
                high=20,
                band=(*skew.PROMISE_MS, "promised"),
            ),
            Panel(
                "slots of 40 ms that wait in the rings",
                [
                    Line("pcm (sound not yet drawn)", series("pcm"), dots=True),
                    Line("av (frames not yet shown)", series("av"), dots=True),
                    Line("clock stalls so far", series("clock_stalls")),
                ],
            ),
            Panel("resident memory, MB", [Line(name.removeprefix("rss_mb."), series(name)) for name in roles]),
        ],
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--sessions", type=int, default=1)
    parser.add_argument("--every", type=float, default=SAMPLE_S, metavar="SECONDS", help="between two looks")
    parser.add_argument("--output", type=Path, default=Path("docs/drift.json"), help="where the series go")
    parser.add_argument("--picture", type=Path, default=Path("docs/drift.svg"), help="where the picture goes")
    options = parser.parse_args()
    watch = asyncio.run(run(options.minutes * 60, options.sessions, options.every))
    found = summary(watch, options.sessions)
    options.output.write_text(_json(watch, found))
    options.picture.write_text(picture(watch, found))
    for key, value in found.items():
        print(f"{key:36} {value!s:>10}")
    slope, error = found["skew_slope_ms_per_h"], found["skew_slope_error_ms_per_h"]
    print(f"A/V skew drifts by {slope:+.2f} ± {error:.2f} ms per hour; written to {options.output}, {options.picture}")
    return 0


def _json(watch: Watch, found: dict[str, Any]) -> str:
    """One line a record, so that a diff of two runs can be read."""
    clicks = ",\n  ".join(json.dumps([round(value, 3) for value in click]) for click in watch.clicks)
    looks = ",\n  ".join(json.dumps({key: round(value, 2) for key, value in look.items()}) for look in watch.samples)
    summary_json = json.dumps(found, indent=2).replace("\n", "\n ")
    columns = '"clicks: seconds, skew ms, skew by arrival ms"'
    return f'{{"summary": {summary_json},\n {columns}: [\n  {clicks}],\n "samples": [\n  {looks}]}}\n'


if __name__ == "__main__":
    sys.exit(main())
