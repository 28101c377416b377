"""The networks, loaded once for all tests here, and a place where people's avatars are kept."""

from __future__ import annotations

from pathlib import Path

import pytest

from opentalking.avatars.landmarks import FaceFinder
from opentalking.config import Settings


@pytest.fixture(scope="session")
def finder() -> FaceFinder:
    return FaceFinder()


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(run_dir=str(tmp_path))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where avatars go that people make, with these settings."""
    (tmp_path / "avatars").mkdir()
    return tmp_path / "avatars"
