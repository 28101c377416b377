"""Clients that come and go, well and badly: what the node occupies afterwards is what it occupied before.

`python -m tests.bench.leaks` is the same, a thousand times over; its figures are in docs/leaks.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.bench.leaks import SETTINGS, counts_above, growth_kb, visit_in_rounds
from tests.integration.conftest import TONES, running
from tests.support.llm_server import LLMServer
from tests.support.node import Node

pytestmark = pytest.mark.integration

ROUNDS, VISITS = 3, 40
MOST_GROWTH_KB = (
    60_000  # per 100 visits: allocators still settle; a picture or an encoder kept by each would be twice that
)


@pytest.fixture
def visited(models: Path) -> Iterator[Node]:
    yield from running(Node(cache=models, **SETTINGS, **TONES))


async def test_after_many_visits_every_count_is_back_and_memory_stays(visited: Node, llm: LLMServer) -> None:
    run = await visit_in_rounds(visited, ROUNDS, VISITS)
    assert counts_above(run.seen[0], run.seen[-1]) == []
    grown = {role: growth_kb(run, role) for role in run.seen[0].processes}
    assert max(grown.values()) < MOST_GROWTH_KB, grown
