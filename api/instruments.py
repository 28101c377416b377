"""Prometheus instruments of one API process, in a registry of its own.

Requests are counted as they happen. What Redis knows (sessions, workers, last turns, what speech
workers counted) is set at the moment of a scrape.
"""

from __future__ import annotations

import asyncio
from collections import Counter as Tally
from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from api.turns import TurnCollector
from opentalking.store import ROLES, Session, WorkerBeat

STATES = ("created", "worker_ready", "ready", "speaking", "closing")
SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
NO_STAGES = ("jitter_buffer_ms",)  # of a trace, in ms, but not a moment


class Instruments:
    """The registry and what is in it."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "opentalking_http_requests", "Requests answered", ["method", "route", "status"], registry=self.registry
        )
        self.request_seconds = Histogram(
            "opentalking_http_request_seconds",
            "Time to answer, streams excluded",
            ["route"],
            registry=self.registry,
            buckets=SECONDS,
        )
        self.followers = Gauge("opentalking_event_streams", "Open event streams", registry=self.registry)
        self.sessions = Gauge("opentalking_sessions", "Live sessions by state", ["state"], registry=self.registry)
        self.workers = Gauge("opentalking_workers", "Workers alive by role", ["role"], registry=self.registry)
        self.tasks = Gauge("opentalking_tasks", "asyncio tasks of each process", ["process"], registry=self.registry)
        self.rings = Gauge(
            "opentalking_ring_slots",
            "Slots of 40 ms that wait in each live session's rings: pcm (not yet drawn), av (not yet shown)",
            ["session_id", "ring"],
            registry=self.registry,
        )
        self.playouts = Gauge(
            "opentalking_playout",
            "Playout of each live session: clock stalls and their ms, starved frames, pictures dropped and their gaps, "
            "sound of the microphone lost (ms) or dropped (packets)",
            ["session_id", "figure"],
            registry=self.registry,
        )
        self.last_turn = Gauge(
            "opentalking_last_turn_ms",
            "Last turn of each live session: time from its zero (end of speech, or acceptance) to each stage",
            ["session_id", "stage"],
            registry=self.registry,
        )
        self.turns = TurnCollector()
        self.registry.register(self.turns)

    def scrape(self, sessions: Iterable[Session], workers: Iterable[WorkerBeat]) -> bytes:
        """The exposition text, with the gauges set to what Redis says now."""
        states: Tally[str] = Tally()
        self.last_turn.clear()
        for session in sessions:
            states[session.state] += 1
            for stage, value in (session.last_turn or {}).items():
                if stage.endswith("_ms") and stage not in NO_STAGES and isinstance(value, (int, float)):
                    self.last_turn.labels(session.session_id, stage.removesuffix("_ms")).set(value)
        for state in STATES:
            self.sessions.labels(state).set(states[state])
        self.turns.workers = workers = list(workers)
        _set_from_heartbeats(self.rings, workers, "rings")
        _set_from_heartbeats(self.playouts, workers, "playouts")
        self._set_tasks(workers)
        roles = Tally(worker.role for worker in workers)
        for role in ROLES:
            self.workers.labels(role).set(roles[role])
        return generate_latest(self.registry)

    def _set_tasks(self, workers: Iterable[WorkerBeat]) -> None:
        self.tasks.clear()
        self.tasks.labels("api").set(len(asyncio.all_tasks()))
        for worker in workers:
            self.tasks.labels(worker.worker).set(worker.info.get("tasks", 0))


def _set_from_heartbeats(gauge: Gauge, workers: Iterable[WorkerBeat], field: str) -> None:
    """From what workers tell of each of their sessions: {session_id: {name: number}}."""
    gauge.clear()
    for worker in workers:
        for session_id, figures in worker.info.get(field, {}).items():
            for name, value in figures.items():
                gauge.labels(session_id, name).set(value)
