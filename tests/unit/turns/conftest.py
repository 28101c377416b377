"""Real speech, spoken once a test run, and the real network."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest

from opentalking.config import Settings
from opentalking.turns.vad import SileroModel
from opentalking.types import Int16
from tests.support.spoken import said_by_piper


@pytest.fixture(scope="session")
def turn_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    return Settings(run_dir=str(tmp_path_factory.mktemp("run")))


@pytest.fixture(scope="session")
def silero(turn_settings: Settings) -> SileroModel:
    return SileroModel(turn_settings)


@pytest.fixture(scope="session")
def say(turn_settings: Settings) -> Callable[[str], Int16]:
    """A sentence by the packaged voice, int16 at 16 kHz."""
    said: dict[str, Int16] = {}

    def speak(text: str) -> Int16:
        if text not in said:
            said[text] = asyncio.run(said_by_piper(text, turn_settings))
        return said[text]

    return speak


def room(seconds: float) -> Int16:
    """A quiet one: noise at -72 dBFS."""
    return np.random.default_rng(7).normal(0, 8, int(seconds * 16_000)).astype(np.int16)
