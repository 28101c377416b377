"""The plug-in that docs/models-elsewhere.md shows, as a newcomer would try it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import subprocess
import sys
from contextlib import aclosing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from aiohttp import web

from opentalking.config import Settings
from opentalking.tts.base import TTSAdapter, TTSError
from opentalking.tts.policy import TurnVoice, VoiceChain, Wanted
from opentalking.tts.registry import available, create_tts
from tests.support.tone import ToneTTS
from tests.support.voice_servers import KEY, MS_PER_CHARACTER, Fault, VoiceServer, encoded

DOCS = Path(__file__).parents[3] / "docs" / "models-elsewhere.md"
SETTINGS = Settings(tts_plugins="parrot=parrot:ParrotTTS", tts_provider="parrot")
TEXT = "Polly wants a cracker, and she wants it now."


class Parrot(VoiceServer):
    """`POST {"text", "voice"}`: an MP3."""

    def routes(self) -> list[web.RouteDef]:
        return [web.post("/say", self._say)]

    async def _say(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        fault = self.asked(body)
        if request.headers.get("Authorization") != f"Bearer {KEY}":
            fault = Fault(status=401)
        return await self.answer(request, encoded(body["text"], "mp3", 24_000), fault)


@pytest.fixture
def written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder where the newcomer has put the file."""
    (shown,) = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    (tmp_path / "parrot.py").write_text(shown)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "parrot", raising=False)
    return tmp_path


def test_it_is_short_and_without_its_key_the_reason_is_told(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert len((written / "parrot.py").read_text().splitlines()) < 150
    monkeypatch.delenv("PARROT_API_KEY", raising=False)
    assert available(SETTINGS)["parrot"] == "set PARROT_API_KEY"


async def test_it_speaks_and_fails_as_the_packaged_ones_do(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Parrot() as server:
        monkeypatch.setenv("PARROT_URL", f"{server.base_url}/say")
        monkeypatch.setenv("PARROT_API_KEY", KEY)
        tts = create_tts("parrot", SETTINGS)
        heard = [chunk async for chunk in tts.synthesize_stream(TEXT)]
        seconds = sum(len(chunk.data) for chunk in heard) / 24_000
        assert abs(seconds - len(TEXT) * MS_PER_CHARACTER / 1000) < 0.15
        assert server.requests == [{"text": TEXT, "voice": "polly"}]

        server.faults = [Fault(status=429, retry_after="7")]
        with pytest.raises(TTSError, match="parrot: its rate limit") as caught:
            _ = [chunk async for chunk in tts.synthesize_stream(TEXT)]
        assert (caught.value.code, caught.value.retry_after_s) == ("rate_limited", 7.0)

        server.faults = [Fault(endless=True, drip_s=0.005)]
        async with aclosing(tts.synthesize_stream(TEXT)) as chunks:
            await anext(chunks)
        async with asyncio.timeout(10):
            await server.idle.wait()

        async def load(name: str) -> TTSAdapter:
            return tts if name == "parrot" else ToneTTS(SETTINGS)

        told: list[dict[str, Any]] = []
        server.faults = [Fault(reset=True, parts=5), Fault(status=503)]
        turn = TurnVoice(VoiceChain(SETTINGS, load, "parrot"), Wanted("parrot"), lambda _, data: told.append(data))
        assert np.concatenate([chunk.data async for chunk in turn.speak(TEXT)]).any()
        assert [data["stage"] for data in told] == ["retry", "fallback"] and KEY not in repr(told)
        await tts.aclose()


def test_the_command_of_the_page_finds_it(written: Path) -> None:
    """What `make run` is told by it, asked of the doctor's own question: which voices can be used here."""
    (told,) = re.findall(r"^(PYTHONPATH=.*) make run$", DOCS.read_text(), re.MULTILINE)
    environment = dict(part.split("=", 1) for part in told.replace("/folder/of/parrot", str(written)).split())
    probe = (
        "import json; from opentalking.config import load_settings; from opentalking.tts.registry import available, "
        "pick_tts; settings = load_settings(); print(json.dumps([available(settings)['parrot'], pick_tts(settings)]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [None, "parrot"]
