"""The networks, loaded once for all tests here."""

from __future__ import annotations

import pytest

from opentalking.avatars.landmarks import FaceFinder


@pytest.fixture(scope="session")
def finder() -> FaceFinder:
    return FaceFinder()
