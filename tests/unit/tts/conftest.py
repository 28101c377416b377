"""Voices are prepared once per test run."""

from __future__ import annotations

from pathlib import Path

import pytest

from opentalking.config import Settings


@pytest.fixture(scope="session")
def voice_settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    run_dir: Path = tmp_path_factory.mktemp("run")
    return Settings(run_dir=str(run_dir))
