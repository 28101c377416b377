"""Fixtures of the browser tests on a real node: the defaults that a newcomer gets, and Chromium in front of them."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from tests.browser.guest import CHROMIUM_ARGS, Guest
from tests.support.node import Node


@pytest.fixture(scope="session")
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One node with the real voice, language model and face, shared by every test that leaves it whole."""
    cache: pytest.Cache | None = request.config.cache
    kept = cache.mkdir("opentalking-node") if cache is not None else tmp_path_factory.mktemp("models")
    running = Node(cache=Path(kept))
    asyncio.run(running.__aenter__())
    try:
        yield running
    finally:
        asyncio.run(running.__aexit__())


@pytest_asyncio.fixture
async def chromium() -> AsyncIterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGS)
        yield opened
        await opened.close()


@pytest_asyncio.fixture
async def guest(node: Node, chromium: Browser) -> AsyncIterator[Guest]:
    """Somebody who has opened the page; the browser must not have complained by the end."""
    context = await chromium.new_context(base_url=node.base, viewport={"width": 1280, "height": 800})
    someone = Guest(await context.new_page())
    await someone.open()
    yield someone
    session = await someone.page.evaluate("opentalking.sessionId")
    if session:
        await context.request.delete(f"/sessions/{session}")
    await context.close()
    assert someone.complaints == []
