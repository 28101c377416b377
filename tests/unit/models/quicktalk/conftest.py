"""A loaded adapter of stand-in files, and the packaged presenter."""

from __future__ import annotations

from pathlib import Path

import pytest

from opentalking.avatars.bundle import PACKAGED
from opentalking.config import Settings
from opentalking.models.quicktalk.adapter import QuickTalkAdapter, QuickTalkAvatar


@pytest.fixture(scope="session")
def adapter(quicktalk_root: Path) -> QuickTalkAdapter:
    adapter = QuickTalkAdapter(Settings(quicktalk_asset_root=str(quicktalk_root)))
    adapter.load_model("cpu")
    return adapter


@pytest.fixture(scope="session")
def presenter(adapter: QuickTalkAdapter) -> QuickTalkAvatar:
    return adapter.load_avatar(PACKAGED / "presenter")
