"""Turns as OpenTelemetry traces, made by the real SDK in a thread of their own.

    loop ── tell (never waits; a full queue drops) ──> thread: SDK ── batches ──> collector, OTLP over HTTP

The SDK takes its time to import, and a collector may be down or slow: nothing of either is felt by a turn. Only used,
and the SDK only imported, when there is an endpoint.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import queue
import threading
from collections import OrderedDict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from opentalking import __version__
from opentalking.store import Session
from workers.recorder import STAGES, Step, TurnTrace

if TYPE_CHECKING:
    from opentelemetry.context import Context
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Tracer

log = logging.getLogger(__name__)

_TURNS_WAITING = 256
_SPANS_WAITING = 2048
_BATCH = 256
_BATCH_EVERY_MS = 1000
_EXPORT_TIMEOUT_S = 3.0
_STOP_S = 1.0  # for what waits, at the end of the process
_ROOTS_KEPT = 256  # turns whose browser may still report

_Key = tuple[str, int]  # session, generation


class _Told(NamedTuple):
    """What the thread makes spans of. `attributes` is None when only `steps` are new."""

    turn: _Key
    began_at: float
    ended_at: float
    steps: Sequence[Step]
    attributes: dict[str, str | int | bool] | None
    error: str


class Spans:
    """`tell` is what a Recorder's `watch` expects; call it, and everything else, from the loop's thread."""

    def __init__(self, endpoint: str, worker: str) -> None:
        """`endpoint`: the collector's base URL. `worker`: whose turns these are."""
        self._endpoint = endpoint.rstrip("/").removesuffix("/v1/traces") + "/v1/traces"
        self._worker = worker
        self._told: queue.Queue[_Told | None] = queue.Queue(_TURNS_WAITING)
        self._thread = threading.Thread(target=self._run, name="spans", daemon=True)

    def start(self) -> None:
        """Begin to import; what is told meanwhile waits."""
        self._thread.start()

    def tell(self, session: Session, trace: TurnTrace, stages: Sequence[str]) -> None:
        """A turn that is over, whole or (the browser's figures came later) some stages of it."""
        steps = trace.steps(stages)
        whole = len(stages) == len(STAGES)
        told = _Told(
            (session.session_id, trace.generation),
            min([trace.zero, *(step.began_at for step in steps)]),
            max(trace.ended_at, *(step.ended_at for step in steps)),
            steps,
            _attributes(session, trace) if whole else None,
            trace.error,
        )
        with contextlib.suppress(queue.Full):
            self._told.put_nowait(told)

    async def stop(self) -> None:
        """Give what waits a moment to leave."""
        with contextlib.suppress(queue.Full):
            self._told.put_nowait(None)
        if self._thread.is_alive():
            await asyncio.to_thread(self._thread.join, _STOP_S)

    def _run(self) -> None:
        try:
            provider = self._provider()
        except ImportError as error:
            log.warning("no spans are sent: %s; pip install 'opentalking[otel]'", error)
            return
        writer = _Writer(provider.get_tracer("opentalking", __version__))
        while (told := self._told.get()) is not None:
            try:
                writer.write(told)
            except Exception:
                log.exception("a turn's spans are lost")
        provider.shutdown()

    def _provider(self) -> TracerProvider:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor

        about = {"service.name": "opentalking", "service.version": __version__, "service.instance.id": self._worker}
        provider = TracerProvider(resource=Resource.create(about), shutdown_on_exit=False)
        exporter = OTLPSpanExporter(self._endpoint, timeout=_EXPORT_TIMEOUT_S)
        provider.add_span_processor(
            BatchSpanProcessor(
                exporter,
                max_queue_size=_SPANS_WAITING,
                schedule_delay_millis=_BATCH_EVERY_MS,
                max_export_batch_size=_BATCH,
            )
        )
        return provider


class _Writer:
    """Values to spans, with the times that they had."""

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._roots: OrderedDict[_Key, Context] = OrderedDict()

    def write(self, told: _Told) -> None:
        if told.attributes is not None:
            self._write_root(told, told.attributes)
        if (root := self._roots.get(told.turn)) is None:
            return
        for step in told.steps:
            name = step.stage.removesuffix("_ms")
            span = self._tracer.start_span(name, context=root, start_time=_ns(step.began_at))
            span.end(_ns(step.ended_at))

    def _write_root(self, told: _Told, attributes: dict[str, Any]) -> None:
        from opentelemetry.context import Context
        from opentelemetry.trace import StatusCode, set_span_in_context

        root = self._tracer.start_span("turn", Context(), attributes=attributes, start_time=_ns(told.began_at))
        if told.error:
            root.set_status(StatusCode.ERROR, told.error)
        root.end(_ns(told.ended_at))
        self._roots[told.turn] = set_span_in_context(root, Context())
        if len(self._roots) > _ROOTS_KEPT:
            self._roots.popitem(last=False)


def _attributes(session: Session, trace: TurnTrace) -> dict[str, str | int | bool]:
    """How long what was heard is, never what it was."""
    found: dict[str, str | int | bool] = {
        "session_id": session.session_id,
        "generation": trace.generation,
        "kind": trace.kind,
        "spoken": trace.spoken,
        "outcome": trace.outcome or "",
        "interrupted": trace.interrupted,
        "heard_chars": len(trace.heard),
        "avatar": session.avatar_id,
        "model": session.model,
    }
    if trace.error:
        found["error"] = trace.error
    return {f"opentalking.{name}": value for name, value in found.items()}


def _ns(at: float) -> int:
    return round(at * 1e9)
