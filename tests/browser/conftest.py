"""Fixtures of the browser tests: a real node with the defaults that a newcomer gets and Chromium in front of it, or the
page's files alone."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio
from aiohttp import web
from playwright.async_api import Browser, Page, async_playwright

from tests.browser.guest import CHROMIUM_ARGS, Guest
from tests.browser.wav_microphone import WavMicrophone
from tests.support.node import Node
from tests.support.spoken import pause

STATIC = Path(__file__).parents[2] / "api" / "static"
MODULE_ARGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]


@pytest.fixture(scope="session")
def node(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """One node with the real voice, language model and face, shared by every test that leaves it whole. It is
    set up for a speech server, too, which does not run."""
    cache: pytest.Cache | None = request.config.cache
    kept = cache.mkdir("opentalking-node") if cache is not None else tmp_path_factory.mktemp("models")
    running = Node(cache=Path(kept), OPENTALKING_TTS_OPENAI_BASE_URL="http://127.0.0.1:9/v1")
    asyncio.run(running.__aenter__())
    try:
        yield running
    finally:
        asyncio.run(running.__aexit__())


@asynccontextmanager
async def chromium_with(*arguments: str) -> AsyncIterator[Browser]:
    executable = shutil.which("chromium") or shutil.which("chromium-browser")
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=executable, args=arguments)
        yield opened
        await opened.close()


@asynccontextmanager
async def somebody(node: Node, browser: Browser) -> AsyncIterator[Guest]:
    """Who has opened the page; the browser must not have complained by the end."""
    context = await browser.new_context(base_url=node.base, viewport={"width": 1280, "height": 800})
    someone = Guest(await context.new_page())
    await someone.open()
    yield someone
    session = await someone.page.evaluate("opentalking.sessionId")
    if session:
        await context.request.delete(f"/sessions/{session}")
    await context.close()
    assert someone.complaints == []


@pytest_asyncio.fixture
async def chromium() -> AsyncIterator[Browser]:
    async with chromium_with(*CHROMIUM_ARGS) as browser:
        yield browser


@pytest_asyncio.fixture
async def guest(node: Node, chromium: Browser) -> AsyncIterator[Guest]:
    async with somebody(node, chromium) as someone:
        yield someone


@pytest_asyncio.fixture
async def microphone(tmp_path: Path) -> AsyncIterator[WavMicrophone]:
    sound = WavMicrophone(tmp_path / "microphone.wav")
    sound.plays(pause(1000))
    yield sound


@pytest_asyncio.fixture
async def speaker(node: Node, microphone: WavMicrophone) -> AsyncIterator[Guest]:
    """A guest with a microphone, on a node that understands speech; the browser asks, and is not answered yet."""
    arguments = [one for one in CHROMIUM_ARGS if one != "--use-fake-ui-for-media-stream"]
    async with chromium_with(*arguments, microphone.argument) as browser, somebody(node, browser) as someone:
        await someone.until("async () => (await (await fetch('/health')).json()).stt.whisper.available")
        yield someone


@pytest_asyncio.fixture
async def base_url() -> AsyncIterator[str]:
    """The page and its files; every API call gets the 404 of a server that is not one."""
    app = web.Application()

    async def index(request: web.Request) -> web.FileResponse:
        return web.FileResponse(STATIC / "index.html")

    app.add_routes([web.get("/", index), web.static("/static", STATIC)])
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}/"
    await runner.cleanup()


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    async with chromium_with(*MODULE_ARGS) as opened:
        yield opened


@pytest_asyncio.fixture
async def page(browser: Browser, base_url: str) -> AsyncIterator[Page]:
    context = await browser.new_context(base_url=base_url, viewport={"width": 1280, "height": 800})
    opened = await context.new_page()
    await opened.goto("/")
    yield opened
    await context.close()
