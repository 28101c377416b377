"""A person at the page, in Chromium: does what a person does, and notices what a person notices (`onlooker.js`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
from playwright.async_api import ConsoleMessage, Page

CHROMIUM_ARGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--autoplay-policy=no-user-gesture-required",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
]
ONLOOKER = (Path(__file__).parent / "onlooker.js").read_text()


class Guest:
    """`complaints` are the errors in the browser's console; a test that provokes one takes it out of the list."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.complaints: list[str] = []
        self._loud_before = 0
        page.on("console", self._on_console)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _on_console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    async def open(self) -> None:
        await self.page.goto("/")
        await self.page.wait_for_selector("body:not(.loading)")

    async def connect(self) -> None:
        await self.page.click("#connect")
        await self.watch()

    async def watch(self) -> None:
        """Wait for the picture, then look and listen from now on."""
        await self.page.wait_for_selector("body[data-phase=live] #video.seen", state="attached")
        await self.page.evaluate(ONLOOKER)
        self._loud_before = 0
        await self.frames(10)

    async def until(self, condition: str, argument: Any = None) -> None:
        """Wait until a JavaScript condition holds."""
        await self.page.wait_for_function(condition, arg=argument, polling=50)

    async def frames(self, count: int) -> None:
        """Wait until `count` more pictures were shown."""
        before = await self.noticed("frames")
        await self.until("(wanted) => onlooker.frames >= wanted", before + count)

    async def state(self, name: str) -> None:
        """Wait until the page shows this state."""
        await self.page.wait_for_selector(f'#state[data-state="{name}"]')

    async def say(self, text: str) -> None:
        await self._send("say", text)

    async def ask(self, text: str) -> None:
        await self._send("ask", text)

    async def _send(self, mode: Literal["say", "ask"], text: str) -> None:
        await self.page.locator(f"#mode label:has([value={mode}])").click()
        await self.page.fill("#line", text)
        self._loud_before = (await self.noticed("sound"))["loud"]
        await self.page.press("#line", "Enter")

    async def until_heard(self, text: str) -> None:
        """Wait until the last turn is over and was heard to its end."""
        await self.until("(text) => opentalking.turns.at(-1).heard === text && opentalking.state === 'listening'", text)

    async def until_it_speaks(self) -> None:
        """Wait until a third of a second of the line just sent was heard, and the state said so."""
        await self.until("(wanted) => onlooker.sound.loud >= wanted", self._loud_before + 33)
        assert "speaking" in await self.noticed("states")

    async def noticed(self, what: str) -> Any:
        return await self.page.evaluate("(what) => onlooker[what]", what)

    async def motion(self, state: str) -> float:
        """How much the mouth's region changes from picture to picture in this state, on average (grey levels)."""
        changes = [one["change"] for one in await self.noticed("motion") if one["state"] == state]
        assert len(changes) >= 10, f"only {len(changes)} pictures while {state}"
        return float(np.mean(changes))

    async def turns(self) -> list[dict[str, Any]]:
        turns: list[dict[str, Any]] = await self.page.evaluate("opentalking.turns")
        return turns

    async def received(self, kind: Literal["audio", "video"]) -> dict[str, Any]:
        """The inbound stream's figures in getStats, with its codec's `mimeType`."""
        stats: dict[str, Any] = await self.page.evaluate(
            """async (kind) => {
                const report = await opentalking.pc.getStats();
                const inbound = [...report.values()].find((one) => one.type === "inbound-rtp" && one.kind === kind);
                return { ...inbound, mimeType: report.get(inbound.codecId)?.mimeType };
            }""",
            kind,
        )
        return stats

    async def looks_like(self, faces: dict[str, np.ndarray]) -> str:
        """Which of these pictures (BGR, as large as the video) what is received now is most alike."""
        sent = await self.page.evaluate(
            """() => {
                const video = document.getElementById("video");
                const context = new OffscreenCanvas(64, 64).getContext("2d");
                context.drawImage(video, 0, 0, 64, 64);
                return [...context.getImageData(0, 0, 64, 64).data];
            }"""
        )
        received = np.array(sent, np.uint8).reshape(64, 64, 4)[..., 2::-1].astype(float)

        def distance(name: str) -> float:
            seen = cv2.resize(faces[name], (64, 64), interpolation=cv2.INTER_AREA)
            return float(np.abs(received - seen).mean())

        return min(faces, key=distance)

    async def picture(self) -> np.ndarray:
        """What the screen shows where the video is, BGR."""
        png = await self.page.locator("#stage").screenshot()
        return cv2.imdecode(np.frombuffer(png, np.uint8), cv2.IMREAD_COLOR)
