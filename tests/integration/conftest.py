"""Fixtures of the tests on a real node: all processes under supervisord, a stand-in model, a voice of tones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from opentalking.config import Settings
from tests.support.client import Client
from tests.support.llm_server import LLMServer
from tests.support.node import MIRROR, SLOW, TONE, Node, free_port
from tests.support.speaker import Speaker
from tests.support.spoken import Voice

LLM_PORT = free_port()
TONES = {
    "OPENTALKING_LLM_BASE_URL": f"http://127.0.0.1:{LLM_PORT}/v1",
    "OPENTALKING_TTS_PLUGINS": f"tone={TONE}",
    "OPENTALKING_TTS_PROVIDER": "tone",
    "OPENTALKING_MODEL_PLUGINS": f"mirror={MIRROR},slow={SLOW},absent=no_such_module:Absent",
    "OPENTALKING_BARGE_IN_WAIT_MS": "20000",  # however slow the recogniser is here
    "OPENTALKING_STT_LANGUAGE": "en",  # a cough is "uh" in it, and may be a word in others
}


@pytest.fixture(scope="session")
def models(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where nodes keep what they build once: kept from one run of the tests to the next."""
    cache: pytest.Cache | None = request.config.cache
    return cache.mkdir("opentalking-node") if cache is not None else tmp_path_factory.mktemp("models")


def running(node: Node) -> Iterator[Node]:
    """The node, up; down at the end, and nothing in its logs that nobody foresaw. For fixtures of many tests."""
    asyncio.run(node.__aenter__())
    try:
        yield node
        raised = [line for log in node.logs() for line in tracebacks(log)]
    finally:
        asyncio.run(node.__aexit__())
    assert not raised, "\n\n".join(raised)


def tracebacks(log: Path) -> list[str]:
    """Each with the line before it, and its first ten."""
    lines = log.read_text().splitlines()
    starts = [number for number, line in enumerate(lines) if line.startswith("Traceback")]
    return ["\n".join([log.name, *lines[max(0, start - 1) : start + 30]]) for start in starts]


@pytest.fixture(scope="session")
def node(models: Path) -> Iterator[Node]:
    """One worker of each role, shared by every test that leaves it whole."""
    yield from running(Node(cache=models, **TONES))


@pytest.fixture
async def llm() -> AsyncIterator[LLMServer]:
    """The language model of every node here, fresh for each test; without it, it is unreachable."""
    async with LLMServer(port=LLM_PORT) as server:
        yield server


@pytest.fixture
async def client(node: Node) -> AsyncIterator[Client]:
    """A connected user."""
    async with Client(node.base) as user:
        await user.create()
        await user.connect()
        yield user


@pytest.fixture(scope="session")
def person(models: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Voice]:
    """Whose voice is recorded once for all tests."""
    folder = tmp_path_factory.mktemp("person")
    (folder / "cache").symlink_to(models)
    voice = Voice(Settings(run_dir=str(folder)))
    yield voice
    asyncio.run(voice.close())


@pytest.fixture
async def speaker(node: Node, llm: LLMServer) -> AsyncIterator[Speaker]:
    """A connected user with an open microphone, and a node that hears."""
    async with Speaker(node.base) as user:
        await hearing(user)
        await user.create()
        await user.connect()
        yield user


async def hearing(user: Client) -> None:
    """Until the recogniser is loaded, which is after everything else."""
    async with asyncio.timeout(60):
        while True:
            health = await user.request("GET", "/health", allow=(200, 503))
            if health["ready"] and health["stt"]["whisper"]["available"]:
                return
            await asyncio.sleep(0.1)


@pytest.fixture(scope="session")
def pair(models: Path) -> Iterator[Node]:
    """Two workers of each role, so that of two sessions each has three workers of its own."""
    doubled = {f"OPENTALKING_{role}_WORKERS": "2" for role in ("SPEECH", "INFERENCE", "RTC")}
    yield from running(Node(cache=models, **TONES, **doubled))


@pytest.fixture
async def hurt(pair: Node) -> AsyncIterator[Client]:
    """Whose process is going to be killed."""
    async with Client(pair.base) as client:
        await client.create()
        await client.connect()
        yield client


@pytest.fixture
async def other(pair: Node, hurt: Client) -> AsyncIterator[Client]:
    """Who is not to notice."""
    async with Client(pair.base) as client:
        await client.create()
        await client.connect()
        yield client
