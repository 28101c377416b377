"""Word error rate of the recogniser on recorded speech, spoken to it in real pieces with a pause before the end.

    python -m tests.bench.wer

The pause's transcript is what a turn begins with, so it is counted: it, and the final one after it.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from typing import Any

import numpy as np

from opentalking.config import Settings, load_settings
from opentalking.stt.base import Audio, Pause, STTAdapter
from opentalking.stt.registry import create_stt
from opentalking.types import MODEL_RATE, AudioChunk, Int16

from ..support.spoken import RECORDINGS, recorded

PIECE = MODEL_RATE // 50  # 20 ms, as a microphone's
_SILENCE = MODEL_RATE * 3 // 10  # that an ear has waited for before it takes a speaker to have paused
_WRITTEN = {"mr": ["mister"], "10": ["ten"], "metres": ["meters"]}


def words(text: str) -> list[str]:
    """Lower case, without punctuation, numbers and titles as they are said."""
    return [spoken for word in re.findall(r"[\w']+", text.lower()) for spoken in _WRITTEN.get(word, [word])]


def errors(reference: list[str], heard: list[str]) -> int:
    """Words to replace, leave out or put in: Levenshtein's distance."""
    row = list(range(len(heard) + 1))
    for taken, wanted in enumerate(reference, 1):
        diagonal, row[0] = row[0], taken
        for index, word in enumerate(heard, 1):
            diagonal, row[index] = row[index], min(row[index] + 1, row[index - 1] + 1, diagonal + (word != wanted))
    return row[-1]


async def _spoken(pcm: Int16) -> AsyncIterator[Audio]:
    for start in range(0, len(pcm), PIECE):
        yield AudioChunk(pcm[start : start + PIECE], MODEL_RATE)
        await asyncio.sleep(0.001)  # a speaker gives the loop time; how long does not matter
    yield AudioChunk(np.zeros(_SILENCE, np.int16), MODEL_RATE)
    yield Pause()


async def heard(stt: STTAdapter, pcm: Int16) -> tuple[str, str]:
    """What was understood at the pause, and in the end."""
    texts = [transcript.text async for transcript in stt.transcribe_stream(_spoken(pcm))]
    return texts[-2], texts[-1]


async def _measure(settings: Settings) -> dict[str, Any]:
    stt = create_stt("whisper", settings)
    references: dict[str, str] = json.loads((RECORDINGS / "references.json").read_text())
    wrong = wrong_at_pause = total = 0
    texts: dict[str, str] = {}
    try:
        await stt.warmup()
        for name, reference in references.items():
            at_pause, texts[name] = await heard(stt, recorded(name))
            wrong += errors(words(reference), words(texts[name]))
            wrong_at_pause += errors(words(reference), words(at_pause))
            total += len(words(reference))
    finally:
        await stt.aclose()
    return {
        "wer_percent": round(100 * wrong / total, 2),
        "wer_at_pause_percent": round(100 * wrong_at_pause / total, 2),
        "words": total,
        "clips": len(references),
        "texts": texts,
    }


def measure(settings: Settings) -> dict[str, Any]:
    """For the bench's `wer_offline`."""
    return asyncio.run(_measure(settings))


if __name__ == "__main__":
    print(json.dumps(measure(load_settings()), indent=2))
