"""How soon a voice is heard and how fast it speaks: `python -m tests.bench.voice [engine] [repeats]`."""

from __future__ import annotations

import asyncio
import statistics
import sys
import time

from opentalking.config import settings
from opentalking.tts.base import TTSAdapter
from opentalking.tts.registry import create_tts

SENTENCES = (
    "Hello there.",
    "The quick brown fox jumps over the lazy dog today.",
    "I would like to tell you a little about the weather in the mountains, which changes quickly and without much "
    "warning at this time of year.",
)


async def measure(tts: TTSAdapter, text: str) -> tuple[float, float, float]:
    """(first chunk ms, whole ms, audio ms) of one sentence."""
    started = time.perf_counter()
    first_ms, audio_ms = 0.0, 0.0
    async for chunk in tts.synthesize_stream(text):
        first_ms = first_ms or (time.perf_counter() - started) * 1000
        audio_ms += chunk.duration_ms
    return first_ms, (time.perf_counter() - started) * 1000, audio_ms


async def main(engine: str, repeats: int) -> None:
    tts = create_tts(engine, settings())
    started = time.perf_counter()
    await tts.warmup()
    print(f"{engine}: warm-up {time.perf_counter() - started:.2f} s; medians of {repeats}")
    for text in SENTENCES:
        runs = [await measure(tts, text) for _ in range(repeats)]
        first_ms, whole_ms, audio_ms = (statistics.median(column) for column in zip(*runs, strict=True))
        slowest = max(run[0] for run in runs)
        print(
            f"{len(text):4d} characters: first chunk {first_ms:6.1f} ms (slowest {slowest:.1f}), "
            f"audio {audio_ms / 1000:.2f} s, RTF {whole_ms / audio_ms:.3f}"
        )
    await tts.aclose()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "piper", int(sys.argv[2]) if len(sys.argv) > 2 else 9))
