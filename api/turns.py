"""What speech workers counted of their turns, as Prometheus metrics.

Each worker tells its counts in its heartbeat; they are exported as they stand, a label saying whose they are. So they
are right however many processes there are, and begin anew with a process, as any counter does.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator

import msgspec
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from opentalking.store import WorkerBeat

log = logging.getLogger(__name__)


class Recorded(msgspec.Struct):
    """What a heartbeat has under `recorder`."""

    bounds: list[float]
    stages: list[tuple[str, str, list[int], float]]  # kind, stage, how many were at most each bound and in all, sum
    turns: list[tuple[str, str, int]]  # kind, outcome
    barge_ins: list[tuple[str, str, int]]  # outcome, reason


class TurnCollector(Collector):
    """Collects what `workers` was last set to."""

    def __init__(self) -> None:
        self.workers: list[WorkerBeat] = []

    def collect(self) -> Iterator[Metric]:
        stages = HistogramMetricFamily(
            "opentalking_turn_stage_seconds",
            "From a turn's zero (the end of speech, or its acceptance) to each stage",
            labels=("worker", "kind", "stage"),
        )
        turns = CounterMetricFamily("opentalking_turns", "Turns by outcome", labels=("worker", "kind", "outcome"))
        barge_ins = CounterMetricFamily(
            "opentalking_barge_ins",
            "Who spoke over the avatar, and what it did",
            labels=("worker", "outcome", "reason"),
        )
        for worker, recorded in _recorded(self.workers):
            bounds = [*map(str, recorded.bounds), "+Inf"]
            for kind, stage, counts, total_s in recorded.stages:
                buckets = list(zip(bounds, map(float, counts), strict=True))
                stages.add_metric((worker, kind, stage), buckets, total_s)
            for kind, outcome, count in recorded.turns:
                turns.add_metric((worker, kind, outcome), count)
            for outcome, reason, count in recorded.barge_ins:
                barge_ins.add_metric((worker, outcome, reason), count)
        yield from (stages, turns, barge_ins)


def _recorded(workers: Iterable[WorkerBeat]) -> Iterator[tuple[str, Recorded]]:
    for worker in workers:
        if "recorder" in worker.info:
            try:
                yield worker.worker, msgspec.convert(worker.info["recorder"], Recorded)
            except msgspec.ValidationError as error:
                log.error("the counts of %s cannot be read: %s", worker.worker, error)
