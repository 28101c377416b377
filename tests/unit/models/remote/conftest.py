"""A bundle of the stand-in servers' size, and what is seen in the pictures that come back."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from opentalking.config import Settings
from opentalking.models.remote.adapter import RemoteAdapter
from opentalking.models.remote.stream import Prediction
from tests.support.late import LateDriver
from tests.support.mirror import pitch_distance, reading
from tests.support.strict_server import StrictServer

SIDE = 64
MANIFEST = {
    "id": "grey",
    "model_type": "wav2lip",
    "fps": 25,
    "sample_rate": 16000,
    "width": SIDE,
    "height": SIDE,
    "version": "1.0",
    "metadata": {"face_box": [0, 0, 1, 1], "source_video": "/srv/secret/place.mp4"},
}


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    folder = tmp_path / "grey"
    folder.mkdir()
    (folder / "manifest.json").write_text(json.dumps(MANIFEST))
    cv2.imwrite(str(folder / "reference.png"), np.full((SIDE, SIDE, 3), 90, np.uint8))
    return folder


@pytest.fixture
def server() -> Iterator[StrictServer]:
    """Eight pictures a message of 320 ms, as the smallest of the original's."""
    strict = StrictServer()
    strict.start()
    yield strict
    strict.stop()


@pytest.fixture
def drivers(bundle: Path) -> Iterator[Callable[..., LateDriver]]:
    """Makes a driver of wav2lip's stream on a server; keywords are settings."""
    opened: list[LateDriver] = []

    def make(server: StrictServer, model: str = "wav2lip", backend: str = "omnirt", **changes: object) -> LateDriver:
        config = Settings(omnirt_endpoint=server.base, **changes)  # type: ignore[arg-type]
        adapter = RemoteAdapter(model, backend, config)
        driver = LateDriver(adapter, adapter.load_avatar(bundle))
        opened.append(driver)
        return driver

    yield make
    for driver in opened:
        driver.close()


def heard_in(predictions: Sequence[Prediction]) -> list[float | None]:
    """The pitch that each picture shows."""
    return [reading(prediction.picture).hertz for prediction in predictions]


def shows(predictions: Sequence[Prediction], hertz: Sequence[int]) -> bool:
    """Whether the pictures show these pitches, in this order."""
    seen = heard_in(predictions)
    return len(seen) == len(hertz) and all(
        shown is not None and pitch_distance(shown, wanted) < 140 for shown, wanted in zip(seen, hertz, strict=True)
    )
