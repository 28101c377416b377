"""Turns as spans: the real SDK sends them to a real server, which decodes the real messages."""

from __future__ import annotations

import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from opentalking.store import Heard, Seen, Session
from tests.integration.tones import eventually
from tests.support.collector import Collector, collecting
from tests.unit.store.sessions import SID, new_session
from workers.recorder import BROWSER_STAGES, STAGES, Recorder, TurnTrace
from workers.spans import _TURNS_WAITING, Spans

NOON = 1_784_112_042.0
SESSION = Session.from_hash(new_session().to_hash())


def ns(after_s: float) -> int:
    return int((NOON + after_s) * 1e9)


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


def turn(generation: int = 7, error: str = "") -> TurnTrace:
    trace = TurnTrace(generation, "chat", NOON + 0.5, Heard(NOON, NOON + 0.125, NOON + 0.375, NOON + 0.5))
    trace.note("dispatched_ms", NOON + 0.5)
    trace.note("llm_first_token_ms", NOON + 0.25)
    if error:
        trace.fail(error)
    else:
        trace.note("first_rtp_ms", NOON + 0.75)
    trace.end("Four words were heard.", interrupted=bool(error))
    return trace


async def test_a_turn_is_one_trace_with_a_child_a_stage(collector: Collector) -> None:
    spans = Spans(collector.url, "a:speech-1")
    spans.start()
    spans.tell(SESSION, turn(), STAGES)
    await spans.stop()
    await eventually(lambda: len(collector.spans) == 8, "all spans")
    found = collector.turn(SID, 7)
    assert found is not None
    root, children = found
    assert root.start == ns(0) and root.end > ns(0.75)
    assert {(child.name, child.start, child.end) for child in children} == {
        ("end_of_speech", ns(0), ns(0)),
        ("vad_decision", ns(0), ns(0.125)),
        ("stt_final", ns(0.125), ns(0.375)),
        ("turn_committed", ns(0.375), ns(0.5)),
        ("dispatched", ns(0.5), ns(0.5)),
        ("llm_first_token", ns(0.25), ns(0.25)),
        ("first_rtp", ns(0.5), ns(0.75)),
    }
    assert all(child.parent == root.id for child in children)
    assert root.attributes == {
        "opentalking.session_id": SID,
        "opentalking.generation": 7,
        "opentalking.kind": "chat",
        "opentalking.spoken": True,
        "opentalking.outcome": "ended",
        "opentalking.interrupted": False,
        "opentalking.heard_chars": 22,
        "opentalking.avatar": "presenter",
        "opentalking.model": "portrait",
    }
    assert root.resource["service.name"] == "opentalking"
    assert root.resource["service.instance.id"] == "a:speech-1"
    assert "Four" not in repr(collector.spans)


async def test_the_browsers_stages_join_the_trace_of_their_turn_when_they_come(collector: Collector) -> None:
    spans, recorder, trace = Spans(collector.url, "a:speech-1"), Recorder(), turn()
    recorder.watch = spans.tell
    recorder.over(SESSION, trace)
    recorder.over(SESSION, turn(8))
    assert trace.see(Seen(SID, 7, NOON + 0.875, NOON + 1))
    recorder.seen(SESSION, trace)
    spans.start()  # what was told before waits
    await spans.stop()
    await eventually(lambda: len(collector.spans) == 8 + 8 + 2, "all spans")
    found = collector.turn(SID, 7)
    assert found is not None
    late = {(child.name, child.start, child.end) for child in found[1] if f"{child.name}_ms" in BROWSER_STAGES}
    assert late == {
        ("browser_first_sound", ns(0.75), ns(0.875)),
        ("browser_first_frame", ns(0.875), ns(1)),
    }


async def test_a_turn_that_failed_says_so_and_why(collector: Collector) -> None:
    spans = Spans(collector.url + "/v1/traces", "a:speech-1")
    spans.start()
    spans.tell(SESSION, turn(error="LLM_FAILED"), STAGES)
    await spans.stop()
    await eventually(lambda: collector.turn(SID, 7) is not None, "the turn")
    found = collector.turn(SID, 7)
    assert found is not None and found[0].failed
    assert found[0].attributes["opentalking.error"] == "LLM_FAILED"


async def test_what_is_told_faster_than_it_can_be_sent_is_dropped_and_nobody_waits() -> None:
    spans = Spans("http://127.0.0.1:9", "a:speech-1")  # its thread, not begun, takes nothing
    for generation in range(2 * _TURNS_WAITING):
        spans.tell(SESSION, turn(generation), STAGES)
    assert spans._told.qsize() == _TURNS_WAITING


def test_a_collector_that_never_answers_does_not_hold_up_the_end_of_the_process() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # it takes connections, and says nothing
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        code = f"""if True:
            import asyncio
            from tests.unit.workers.test_spans import SESSION, STAGES, Spans, turn
            async def live():
                spans = Spans({url!r}, "a:speech-1")
                spans.start()
                spans.tell(SESSION, turn(), STAGES)
                await spans.stop()
            asyncio.run(live())
            print("ended")
        """
        ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stdout) == (0, "ended\n")


def test_without_an_endpoint_no_part_that_makes_or_sends_spans_is_loaded() -> None:
    code = "import sys, workers.speech; print({'opentelemetry.sdk.trace', 'opentelemetry.exporter'} & set(sys.modules))"
    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert shown.stdout == "set()\n"
