"""Every turn leaves one trace on a real node of two speech workers: event, hash, counts and spans say the same."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from opentalking.store import Chat, Heard, Store
from tests.integration.conftest import TONES, running
from tests.integration.tones import duration_ms, eventually, spoken
from tests.support.client import Client
from tests.support.collector import Collector, collecting
from tests.support.llm_server import LLMServer
from tests.support.node import Node
from workers.recorder import BROWSER_STAGES, STAGES

pytestmark = pytest.mark.integration

HISTOGRAM = "opentalking_turn_stage_seconds"


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture(scope="module")
def recorded(models: Path, collector: Collector) -> Iterator[Node]:
    doubled = {f"OPENTALKING_{role}_WORKERS": "2" for role in ("SPEECH", "INFERENCE", "RTC")}
    yield from running(Node(cache=models, OPENTALKING_OTLP_ENDPOINT=collector.url, **doubled, **TONES))


@pytest.fixture
async def pair_of_users(recorded: Node) -> AsyncIterator[list[Client]]:
    """Each on a speech worker of its own."""
    async with AsyncExitStack() as stack:
        clients = [await stack.enter_async_context(Client(recorded.base)) for _ in range(2)]
        for client in clients:
            await client.create()
            await client.connect()
        assert len({(await client.call("GET", ""))["speech_worker"] for client in clients}) == 2
        yield clients


@pytest.fixture
async def user(pair_of_users: list[Client]) -> Client:
    return pair_of_users[0]


async def ended(client: Client, generation: int) -> dict[str, Any]:
    """The turn's last `speech.timing`, told after its end."""
    timing = await client.events.wait(
        "speech.timing", lambda data: data["generation"] == generation and "outcome" in data
    )
    return {name: value for name, value in timing.items() if name != "session_id"}


async def begin(client: Client, action: str, **body: str) -> int:
    return int((await client.call("POST", action, body))["generation"])


async def kept(client: Client) -> dict[str, Any]:
    return dict(json.loads((await client.call("GET", ""))["last_turn"]))


async def counts(client: Client, name: str) -> dict[tuple[str, ...], float]:
    """Samples of /metrics by the values of their labels, those in the order of their names."""
    async with client.http.get(client.base + "/metrics") as response:
        families = list(text_string_to_metric_families(await response.text()))
    samples = [sample for family in families for sample in family.samples if sample.name == name]
    return {tuple(value for _, value in sorted(sample.labels.items())): sample.value for sample in samples}


async def until(asked: Callable[[], Awaitable[Any]], wanted: Any) -> None:
    """For what only the API can be asked; heartbeats come once a second."""
    async with asyncio.timeout(60):
        while True:
            if await asked() == wanted:
                return
            await asyncio.sleep(0.1)


async def test_every_turn_is_counted_once_whatever_becomes_of_it_and_whoever_made_it(
    pair_of_users: list[Client], llm: LLMServer, collector: Collector
) -> None:
    """They end, are cut while they sound and before they do, and fail. The first test of this node: counts are 0."""
    workers = [(await client.call("GET", ""))["speech_worker"] for client in pair_of_users]
    for client, rounds in zip(pair_of_users, (1, 2), strict=True):
        for _ in range(rounds):
            await ended(client, await begin(client, "/speak", text="[440] Hi."))
        cut = await begin(client, "/speak", text=spoken(440))
        await client.events.wait("speech.media_started", lambda data, g=cut: data["generation"] == g)
        await client.call("POST", "/interrupt")
        assert (await ended(client, cut))["outcome"] == "interrupted"
        failed = await begin(client, "/speak", text="...")
        told = await ended(client, failed)
        assert (told["outcome"], told["error"]) == ("failed", "NOTHING_TO_SAY")
    llm.delay_s = 60
    unheard = await begin(pair_of_users[0], "/chat", prompt="Think.")
    await eventually(lambda: len(llm.requests) == 1, "the model is asked")
    await pair_of_users[0].call("POST", "/interrupt")
    assert (await ended(pair_of_users[0], unheard))["outcome"] == "interrupted"
    expected = {
        ("speak", "ended", workers[0]): 1,
        ("speak", "ended", workers[1]): 2,
        **{("speak", outcome, worker): 1 for outcome in ("interrupted", "failed") for worker in workers},
        ("chat", "interrupted", workers[0]): 1,
    }
    await until(lambda: counts(pair_of_users[0], "opentalking_turns_total"), expected)
    stages = await counts(pair_of_users[0], f"{HISTOGRAM}_count")
    for worker, turns, heard in ((workers[0], 3, 2), (workers[1], 4, 3)):
        assert stages[("speak", "dispatched", worker)] == turns
        assert stages[("speak", "first_rtp", worker)] == heard
    assert stages[("chat", "dispatched", workers[0])] == 1
    assert not [labels for labels in stages if labels[:2] == ("chat", "first_rtp")]

    def roots() -> list[tuple[str, int]]:
        found = (one.attributes for one in collector.spans if one.name == "turn")
        return [(one["opentalking.session_id"], one["opentalking.generation"]) for one in found]

    await eventually(lambda: len(roots()) == sum(expected.values()), "a root span a turn")
    assert len(set(roots())) == len(roots())


async def test_a_typed_turn_is_told_kept_and_traced_alike(user: Client, llm: LLMServer, collector: Collector) -> None:
    llm.reply = "[440] Hello there."
    generation = await begin(user, "/chat", prompt="Say hello.")
    told = await ended(user, generation)
    assert [name for name in told if name in STAGES] == list(STAGES[4:10])
    assert (told["kind"], told["outcome"], told["interrupted"]) == ("chat", "ended", False)
    assert "speech_ended_at" not in told
    started = await user.events.wait("speech.media_started")
    last_turn = await kept(user)
    assert last_turn == told | {"accepted_at": last_turn["accepted_at"], "heard": llm.reply}
    assert started["first_rtp_ms"] == told["first_rtp_ms"]
    assert started["first_rtp_at"] == pytest.approx(last_turn["accepted_at"] + told["first_rtp_ms"] / 1000, abs=1e-4)
    await eventually(lambda: collector.turn(user.session_id, generation) is not None, "its root span")
    found = collector.turn(user.session_id, generation)
    assert found is not None
    root, children = found
    assert {child.name: round((child.end - root.start) / 1e6, 1) for child in children} == {
        stage.removesuffix("_ms"): told[stage] for stage in STAGES if stage in told
    }
    assert root.attributes["opentalking.heard_chars"] == len(llm.reply)
    assert "hello" not in repr(found).lower()


async def test_a_spoken_turn_keeps_what_its_listener_knew(recorded: Node, user: Client, llm: LLMServer) -> None:
    llm.reply = "[440] Yes."
    store = await Store.connect(f"redis://127.0.0.1:{recorded.redis().connection_pool.connection_kwargs['port']}/0")
    session, zero = await user.call("GET", ""), time.time() - 1
    generation = await store.next_generation(user.session_id)
    heard = Heard(zero, zero + 0.2, zero + 0.4, zero + 0.45)
    await store.send(session["speech_worker"], Chat(user.session_id, generation, "Really?", zero + 0.46, heard=heard))
    told = await ended(user, generation)
    await store.close()
    assert [name for name in told if name in STAGES] == list(STAGES[:10])
    assert [told[stage] for stage in STAGES[:4]] == pytest.approx([0, 200, 400, 450], abs=0.11)
    assert (told["speech_ended_at"], told["kind"]) == (zero, "chat")
    assert told["dispatched_ms"] > 900
    assert (await kept(user))["accepted_at"] == zero + 0.46


@pytest.mark.parametrize("when", ["while it sounds", "after its end"])
async def test_the_browsers_figures_are_told_again_kept_and_traced(
    user: Client, collector: Collector, when: str
) -> None:
    generation = await begin(user, "/speak", text="[440] Hi." if when == "after its end" else spoken(440))
    started = await user.events.wait("speech.media_started")
    if when == "after its end":
        await ended(user, generation)
    sound_at = started["first_rtp_at"] + 0.05
    report = {"first_sound_at": sound_at, "first_frame_at": sound_at + 0.02, "jitter_buffer_ms": 30.5}
    await user.call("POST", f"/turns/{generation}/seen", report)
    again = await user.events.wait("speech.timing", lambda data: "browser_first_sound_ms" in data)
    assert again["browser_first_sound_ms"] == pytest.approx(started["first_rtp_ms"] + 50, abs=0.2)
    assert again["browser_first_frame_ms"] == pytest.approx(started["first_rtp_ms"] + 70, abs=0.2)
    assert again["jitter_buffer_ms"] == 30.5
    await user.call("POST", f"/turns/{generation}/seen", {"first_sound_at": sound_at + 1})
    following = await begin(user, "/speak", text="[440] Next.")
    await ended(user, following)  # whatever was said of the one before has arrived
    told = [data for _, name, data in user.events.seen if name == "speech.timing" and data["generation"] == generation]
    assert [one.get("browser_first_sound_ms") for one in told if "browser_first_sound_ms" in one] == [
        again["browser_first_sound_ms"]
    ] * (2 if when == "while it sounds" else 1)
    late = {stage.removesuffix("_ms") for stage in BROWSER_STAGES}

    def traced() -> bool:
        found = collector.turn(user.session_id, generation)
        return found is not None and late <= {child.name for child in found[1]}

    await eventually(traced, "the browser's spans, in the turn's trace")


async def test_a_late_report_does_not_end_the_turn_in_progress(user: Client) -> None:
    first = await begin(user, "/speak", text="[440] Short.")
    started = await user.events.wait("speech.media_started")
    await ended(user, first)
    second = await begin(user, "/speak", text=spoken(660))
    await user.events.wait("speech.media_started", lambda data: data["generation"] == second)
    await user.call("POST", f"/turns/{first}/seen", {"first_sound_at": started["first_rtp_at"] + 0.04})
    await user.events.wait("speech.timing", lambda data: "browser_first_sound_ms" in data)
    await user.call("POST", f"/turns/{second}/seen", {"first_sound_at": time.time()})  # the first is kept before this
    await user.events.wait(
        "speech.timing", lambda data: data["generation"] == second and "browser_first_sound_ms" in data
    )
    shown = await user.call("GET", "")
    assert (shown["turn"], json.loads(shown["last_turn"])["generation"]) == (str(second), first)
    assert "browser_first_sound_ms" in json.loads(shown["last_turn"])


async def test_the_history_is_what_was_heard_and_says_what_was_cut(user: Client, llm: LLMServer) -> None:
    llm.reply = spoken(440)
    generation = await begin(user, "/chat", prompt="Talk.")
    await user.receiver.until(lambda: duration_ms(user.receiver.samples(), 440) > 2800)
    await user.call("POST", "/interrupt")
    cut = await user.events.wait("speech.ended", lambda data: data["generation"] == generation)
    llm.reply = "[440] Fine."
    whole = await begin(user, "/chat", prompt="Go on.")
    await ended(user, whole)
    assert 0 < len(cut["text"]) < len(spoken(440))
    assert msgspec.json.decode((await user.call("GET", ""))["history"]) == [
        {"role": "user", "content": "Talk.", "interrupted": False},
        {"role": "assistant", "content": cut["text"], "interrupted": True},
        {"role": "user", "content": "Go on.", "interrupted": False},
        {"role": "assistant", "content": "[440] Fine.", "interrupted": False},
    ]


async def test_a_turn_that_its_process_takes_with_it_is_counted_as_lost_and_counts_begin_anew(
    recorded: Node, user: Client
) -> None:
    worker = (await user.call("GET", ""))["speech_worker"]
    await ended(user, await begin(user, "/speak", text="[440] Hi."))
    turn = await begin(user, "/speak", text=spoken(440))
    await user.events.wait("speech.media_started", lambda data: data["generation"] == turn)
    recorded.processes()[worker.rpartition(":")[2]].kill()
    await user.events.wait("speech.ended", lambda data: data["generation"] == turn)

    async def mine() -> dict[tuple[str, ...], float]:
        return {key: value for key, value in (await counts(user, "opentalking_turns_total")).items() if worker in key}

    await until(mine, {("speak", "lost", worker): 1})
    last_turn = await kept(user)
    assert (last_turn["generation"], last_turn["outcome"], last_turn["interrupted"]) == (turn, "lost", True)
    assert (await user.call("POST", f"/turns/{turn}/seen", {"first_sound_at": time.time()}, allow=(409,)))["code"] == (
        "turn_over"
    )
