from __future__ import annotations

from pathlib import Path

import pytest

from opentalking.models.portrait.adapter import PortraitAdapter


@pytest.fixture(scope="session")
def adapter(tmp_path_factory: pytest.TempPathFactory) -> PortraitAdapter:
    loaded = PortraitAdapter(cache_dir=Path(tmp_path_factory.mktemp("rigs")))
    loaded.load_model("cpu")
    return loaded
