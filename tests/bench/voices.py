"""What each voice elsewhere costs beside its own time, against stand-ins on this machine that speak its protocol.

    python -m tests.bench.voices [--quick]

*Overhead*: from the call to the first PCM, minus the delay that was injected before the service's first piece: request,
the client library, decoding, and the stand-in's own work, which runs in this process. Fragments follow one another, as
in a turn, so what can be kept (a connection, a socket) is kept. `bare` is a plain request to the stand-in of
openai_compatible until its first bytes: what is more than that is ours, or a library's. *Abort*: a fragment is closed
after its first PCM; until its iterator is closed, which a turn waits for, and until the stand-in has seen the end of
the request.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch

import aiohttp
import numpy as np

from opentalking.config import Settings
from opentalking.tts.base import TTSAdapter
from opentalking.tts.registry import available, create_tts

from ..support.dashscope_voices import DashScopeVoices, QwenRealtime
from ..support.voice_servers import KEY, Edge, ElevenLabs, Fault, OpenAISpeech, VoiceServer

DELAY_S = 0.05
TEXT = "A sentence of a usual length."
WARM_UPS = 2


@dataclass(frozen=True)
class Elsewhere:
    """A provider in one of its ways; `settings` makes its settings from the stand-in that it is to talk to."""

    provider: str
    server: Callable[[], VoiceServer]
    settings: Callable[[Any], dict[str, Any]]


def _openai(audio_format: str) -> Elsewhere:
    return Elsewhere(
        "openai_compatible",
        OpenAISpeech,
        lambda server: {
            "tts_openai_base_url": f"{server.base_url}/v1",
            "tts_openai_api_key": KEY,
            "tts_openai_response_format": audio_format,
        },
    )


def _elevenlabs(transport: str, output_format: str) -> Elsewhere:
    return Elsewhere(
        "elevenlabs",
        ElevenLabs,
        lambda server: {
            "tts_elevenlabs_base_url": server.base_url,
            "tts_elevenlabs_api_key": KEY,
            "tts_elevenlabs_transport": transport,
            "tts_elevenlabs_output_format": output_format,
        },
    )


def _task(provider: str) -> Elsewhere:
    return Elsewhere(
        provider, DashScopeVoices, lambda server: {"dashscope_base_url": server.url, "dashscope_api_key": KEY}
    )


VOICES = {
    "edge": Elsewhere("edge", Edge, lambda server: {}),
    "openai_compatible": _openai("pcm"),
    "openai_compatible_mp3": _openai("mp3"),
    "openai_compatible_opus": _openai("opus"),
    "elevenlabs": _elevenlabs("http", "mp3_44100_128"),
    "elevenlabs_websocket": _elevenlabs("websocket", "pcm_24000"),
    "dashscope": Elsewhere(
        "dashscope",
        QwenRealtime,
        lambda server: {"tts_dashscope_service_url": server.url, "dashscope_api_key": KEY},
    ),
    "cosyvoice": _task("cosyvoice"),
    "sambert": _task("sambert"),
}


@asynccontextmanager
async def speaking(voice: Elsewhere) -> AsyncIterator[tuple[TTSAdapter, VoiceServer]]:
    """The adapter, warm, and its stand-in."""
    async with voice.server() as server:
        with patch("edge_tts.communicate.WSS_URL", getattr(server, "url", "")):
            tts = create_tts(voice.provider, Settings(**voice.settings(server)))
            await tts.warmup()
            yield tts, server
            await tts.aclose()


async def first_pcm_ms(tts: TTSAdapter, server: VoiceServer) -> float:
    """Of a fragment that is heard to its end, without the injected delay as it really was."""
    server.faults = [Fault(delay_s=DELAY_S)]
    began = time.perf_counter()
    async with aclosing(tts.synthesize_stream(TEXT)) as chunks:
        await anext(chunks)
        first_s = time.perf_counter() - began
        async for _ in chunks:
            pass
    return (first_s - server.delayed_s) * 1000


async def bare_ms(pool: aiohttp.ClientSession, server: VoiceServer) -> float:
    """As `first_pcm_ms`, of a request without an adapter."""
    server.faults = [Fault(delay_s=DELAY_S)]
    asked, key = {"input": TEXT, "response_format": "pcm"}, {"Authorization": f"Bearer {KEY}"}
    began = time.perf_counter()
    async with pool.post(f"{server.base_url}/v1/audio/speech", json=asked, headers=key) as response:
        await response.content.readany()
        first_s = time.perf_counter() - began
        await response.read()
    return (first_s - server.delayed_s) * 1000


async def abort_ms(tts: TTSAdapter, server: VoiceServer) -> tuple[float, float]:
    """(until the iterator is closed, until the stand-in knows)."""
    server.faults = [Fault(endless=True, drip_s=0.005)]
    chunks = tts.synthesize_stream(TEXT)
    await anext(chunks)
    began = time.perf_counter()
    await chunks.aclose()
    closed_s = time.perf_counter() - began
    async with asyncio.timeout(10):
        await server.idle.wait()
    return closed_s * 1000, (time.perf_counter() - began) * 1000


def overhead(name: str, ms: list[float]) -> dict[str, Any]:
    """Flat keys, the warm-ups left out."""
    shares = np.percentile(ms[WARM_UPS:], (0, 50, 95)).round(2).tolist()
    return {f"tts_overhead_{what}_ms.{name}": share for what, share in zip(("min", "p50", "p95"), shares, strict=True)}


async def figures(name: str, voice: Elsewhere, rounds: int) -> dict[str, Any]:
    """Flat keys of one voice."""
    async with speaking(voice) as (tts, server):
        firsts = [await first_pcm_ms(tts, server) for _ in range(WARM_UPS + rounds)]
        closed, known = zip(*[await abort_ms(tts, server) for _ in range(rounds)], strict=True)
    return overhead(name, firsts) | {
        f"tts_abort_p95_ms.{name}": round(float(np.percentile(closed, 95)), 2),
        f"tts_abort_service_p95_ms.{name}": round(float(np.percentile(known, 95)), 2),
    }


async def bare(rounds: int) -> dict[str, Any]:
    async with OpenAISpeech() as server, aiohttp.ClientSession() as pool:
        return overhead("bare", [await bare_ms(pool, server) for _ in range(WARM_UPS + rounds)])


async def measure(quick: bool) -> dict[str, Any]:
    """All figures, of the voices whose libraries are installed."""
    rounds = 3 if quick else 60
    found: dict[str, Any] = {"conditions.voice_delay_ms": DELAY_S * 1000, **await bare(rounds)}
    usable = available(Settings(dashscope_api_key=KEY, tts_openai_api_key=KEY, tts_elevenlabs_api_key=KEY))
    for name, voice in VOICES.items():
        if usable[voice.provider] is None or voice.provider == "openai_compatible":  # it wants an address
            found |= await figures(name, voice, rounds)
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="a few seconds")
    print(json.dumps(asyncio.run(measure(parser.parse_args().quick)), indent=2))
