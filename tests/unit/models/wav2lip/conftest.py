"""One random checkpoint, loaded once, for all wav2lip tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from opentalking.avatars.bundle import PACKAGED
from opentalking.config import Settings
from opentalking.models.wav2lip.adapter import Wav2LipAdapter, Wav2LipAvatar
from tests.support.wav2lip_weights import write_random_checkpoint


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = write_random_checkpoint(tmp_path_factory.mktemp("wav2lip") / "wav2lip.pth")
    yield path
    path.unlink()  # 140 MB, and pytest keeps folders


@pytest.fixture(scope="session")
def configured(checkpoint: Path) -> Settings:
    return Settings(wav2lip_checkpoint=str(checkpoint), wav2lip_cpu_threads=1, wav2lip_batch_size=4)


@pytest.fixture(scope="session")
def adapter(configured: Settings) -> Wav2LipAdapter:
    adapter = Wav2LipAdapter(configured)
    adapter.load_model("cpu")
    return adapter


@pytest.fixture(scope="session")
def presenter(adapter: Wav2LipAdapter) -> Wav2LipAvatar:
    return adapter.load_avatar(PACKAGED / "presenter")
