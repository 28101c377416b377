"""One loaded adapter and the packaged avatars for all portrait tests."""

from __future__ import annotations

import numpy as np
import pytest

from opentalking.avatars.bundle import PACKAGED
from opentalking.models.portrait.adapter import PortraitAdapter, PortraitAvatar
from opentalking.types import UInt8, i420_shape


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> PortraitAdapter:
    adapter = PortraitAdapter(cache_dir=tmp_path_factory.mktemp("cache"))
    adapter.load_model("cpu")
    return adapter


@pytest.fixture(scope="session")
def presenter(adapter: PortraitAdapter) -> PortraitAvatar:
    return adapter.load_avatar(PACKAGED / "presenter")


@pytest.fixture(scope="session")
def drawn(adapter: PortraitAdapter) -> PortraitAvatar:
    return adapter.load_avatar(PACKAGED / "drawn")


@pytest.fixture
def frame(presenter: PortraitAvatar) -> UInt8:
    return np.zeros(i420_shape(presenter.width, presenter.height), np.uint8)
