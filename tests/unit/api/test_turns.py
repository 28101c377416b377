"""What speech workers counted, as the text Prometheus reads; of several processes, and of one that came back."""

from __future__ import annotations

import time

import pytest
from prometheus_client.parser import text_string_to_metric_families

from api.instruments import Instruments
from opentalking.store import Session, WorkerBeat
from tests.unit.store.sessions import beat, new_session
from workers.recorder import BOUNDS, Recorder, TurnTrace

SESSION = Session.from_hash(new_session().to_hash())
STAGE = "opentalking_turn_stage_seconds"


def recorded(*first_rtp_s: float) -> Recorder:
    """A process that spoke so many texts."""
    recorder = Recorder()
    for number, seconds in enumerate(first_rtp_s, 1):
        trace = TurnTrace(number, "speak", time.time())
        trace.note("first_rtp_ms", trace.zero + seconds)
        trace.end("", interrupted=number == 1)
        recorder.over(SESSION, trace)
    return recorder


def told(worker: str, recorder: Recorder) -> WorkerBeat:
    """Its heartbeat, as it comes back from Redis."""
    return WorkerBeat.from_hash(beat(worker, info=recorder.info()).to_hash())


def scraped(instruments: Instruments, *workers: WorkerBeat) -> dict[tuple[str, ...], float]:
    text = instruments.scrape([], workers).decode()
    return {
        (sample.name, *(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_each_workers_turns_are_its_own_and_their_sum_is_all() -> None:
    one, other = told("a:speech-0", recorded(0.2, 0.12)), told("a:speech-1", recorded(0.31))
    found = scraped(Instruments(), one, other, beat("a:rtc-0"))
    counts = {key[-1]: value for key, value in found.items() if key[0] == f"{STAGE}_count"}
    assert counts == {"a:speech-0": 2, "a:speech-1": 1}
    assert found[(f"{STAGE}_sum", "speak", "first_rtp", "a:speech-0")] == pytest.approx(0.32)
    assert found[("opentalking_turns_total", "speak", "interrupted", "a:speech-0")] == 1
    assert found[("opentalking_turns_total", "speak", "ended", "a:speech-0")] == 1


async def test_buckets_are_cumulative_and_end_with_all() -> None:
    found = scraped(Instruments(), told("a:speech-0", recorded(0.2, 0.12, 99.0)))
    buckets = {key[2]: value for key, value in found.items() if key[0] == f"{STAGE}_bucket"}
    assert list(buckets) == [*map(str, BOUNDS), "+Inf"]
    assert (buckets["0.1"], buckets["0.15"], buckets["0.2"], buckets["30.0"], buckets["+Inf"]) == (0, 1, 2, 2, 3)


async def test_a_process_that_came_back_counts_anew_and_one_that_is_gone_is_not_shown() -> None:
    instruments = Instruments()
    scraped(instruments, told("a:speech-0", recorded(0.2, 0.2)))
    again = scraped(instruments, told("a:speech-0", recorded(0.2)))
    assert again[(f"{STAGE}_count", "speak", "first_rtp", "a:speech-0")] == 1
    assert not [key for key in scraped(instruments) if key[0].startswith(STAGE)]


async def test_counts_that_cannot_be_read_do_not_take_the_others_with_them() -> None:
    strange = beat("a:speech-0", info={"recorder": {"bounds": "wide"}})
    found = scraped(Instruments(), strange, told("a:speech-1", recorded(0.2)))
    assert [key[-1] for key in found if key[0] == f"{STAGE}_count"] == ["a:speech-1"]


async def test_how_often_the_avatar_was_spoken_over_and_what_it_did() -> None:
    recorder = Recorder()
    recorder.barge_in("resumed", "cough")
    recorder.barge_in("cut", "barge_in")
    recorder.barge_in("cut", "barge_in")
    found = scraped(Instruments(), told("a:speech-0", recorder))
    assert found[("opentalking_barge_ins_total", "cut", "barge_in", "a:speech-0")] == 2
    assert found[("opentalking_barge_ins_total", "resumed", "cough", "a:speech-0")] == 1
