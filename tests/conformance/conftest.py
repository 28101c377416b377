"""Which server is tested: --server, OPENTALKING_CONFORMANCE_URL, or a node of our own; and the report by item."""

from __future__ import annotations

import asyncio
import os
import re
import shlex
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.guest import Guest
from tests.conformance.server import Server, not_offered
from tests.support.llm_server import LLMServer

URL = "OPENTALKING_CONFORMANCE_URL"
ITEMS = {
    "01": "sessions and errors",
    "02": "offer and answer",
    "03": "speak",
    "04": "speak during speech",
    "05": "interrupt",
    "06": "sentences, however tokens are chopped",
    "07": "fades at the edges of sentences",
    "08": "wav2lip mel",
    "09": "AUDI/VIDX remote model",
    "10": "microphone",
    "11": "events",
    "12": "kill -9",
    "13": "both dialects",
}
UNSEEN = ("08", "09")
ROLES = ["api", "speech", "inference", "rtc"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("conformance")
    group.addoption("--server", default=os.environ.get(URL), help=f"server to test, http://host:port (or {URL})")
    group.addoption("--strict-server", action="store_true", help="what the server does not offer fails")
    group.addoption("--avatar", default="", help="avatar of the sessions; else the server's default")
    group.addoption("--model", default="", help="model of the sessions; else the server's default")
    group.addoption("--tones", action="store_true", help="the server's voice is a tone, see tests/support/tone.py")
    group.addoption("--llm-port", type=int, help="the server's language model is expected on this port of this machine")
    group.addoption("--kill-command", help="kills a process; {role}, {worker} and the session's fields are filled in")
    group.addoption("--kill-roles", default=",".join(ROLES), help="what {role} may be")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "role" in metafunc.fixturenames:
        roles = metafunc.config.getoption("--kill-roles", default=",".join(ROLES))
        metafunc.parametrize("role", roles.split(","))


@pytest.fixture(scope="package")
def server(request: pytest.FixtureRequest) -> Iterator[Server]:
    """Shared by all tests of the suite."""
    url = request.config.getoption("--server", default=os.environ.get(URL))
    found = _operators(request.config, url) if url else _our_own(request.config)
    for server in found:
        asyncio.run(server.look_around())
        yield server


def _operators(config: pytest.Config, url: str) -> Iterator[Server]:
    option = config.getoption
    command = option("--kill-command", default=None)

    async def kill(role: str, session: dict[str, str]) -> None:
        worker = session.get(f"{role}_worker", role).rpartition(":")[2]
        filled = [part.format(role=role, worker=worker, **session) for part in shlex.split(command)]
        process = await asyncio.create_subprocess_exec(*filled)
        assert await process.wait() == 0, f"{shlex.join(filled)} failed"

    yield Server(
        url.rstrip("/"),
        strict=option("--strict-server", default=False),
        tones=option("--tones", default=False),
        llm_port=option("--llm-port", default=None),
        kill=kill if command else None,
        roles=option("--kill-roles", default="").split(",") if command else [],
        avatar=option("--avatar", default=""),
        model=option("--model", default=""),
    )


def _our_own(config: pytest.Config) -> Iterator[Server]:
    """Two workers of each role, so that a session can be hurt while another is not."""
    from tests.integration.conftest import running
    from tests.support.node import TONE, Node, free_port

    llm_port = free_port()
    settings = {
        "OPENTALKING_LLM_BASE_URL": f"http://127.0.0.1:{llm_port}/v1",
        "OPENTALKING_TTS_PLUGINS": f"tone={TONE}",
        "OPENTALKING_TTS_PROVIDER": "tone",
        **{f"OPENTALKING_{role.upper()}_WORKERS": "2" for role in ROLES if role != "api"},
    }
    cache = config.cache
    assert cache is not None
    for node in running(Node(cache=cache.mkdir("opentalking-node"), **settings)):

        async def kill(role: str, session: dict[str, str], node: Node = node) -> None:
            name = "api" if role == "api" else session[f"{role}_worker"].rpartition(":")[2]
            node.processes()[name].kill()

        def leftovers(session_id: str, folder: Path = node.shm) -> list[Path]:
            return sorted(folder.rglob(f"*{session_id}*"))

        yield Server(
            node.base,
            strict=True,
            tones=True,
            llm_port=llm_port,
            llm_host="127.0.0.1",
            kill=kill,
            roles=ROLES,
            leftovers=leftovers,
        )


@pytest.fixture
async def guest(server: Server) -> AsyncIterator[Guest]:
    """A connected user."""
    async with Guest(server) as user:
        await user.create()
        await user.connect()
        yield user


@pytest.fixture
async def llm(server: Server) -> AsyncIterator[LLMServer]:
    """The server's language model, in the suite's hand."""
    if server.llm_port is None:
        not_offered("its language model in the suite's hand (--llm-port)")
    async with LLMServer(port=server.llm_port, host=server.llm_host) as model:
        yield model


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """A line an item: what passed, what failed, what this server does not offer and why."""
    outcomes = {number: Counter[str]() for number in ITEMS}
    for outcome, name in (("passed", "passed"), ("failed", "failed"), ("error", "failed"), ("skipped", "not offered")):
        for report in terminalreporter.stats.get(outcome, []):
            if item := re.search(r"tests/conformance/test_(\d\d)_", getattr(report, "nodeid", "")):
                reason = report.longrepr[2].rpartition("server: ")[2] if outcome == "skipped" else ""
                outcomes[item[1]][f"{name}: {reason}" if reason else name] += 1
    if not any(outcomes.values()):
        return
    terminalreporter.section("conformance")
    for number, title in ITEMS.items():
        told = ", ".join(f"{count} {name}" for name, count in outcomes[number].items())
        unseen = "a client cannot see it" if number in UNSEEN else "not run"
        terminalreporter.write_line(f"{int(number):2}  {title:40} {told or unseen}")
