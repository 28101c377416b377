"""One loaded adapter, the packaged avatars and avatars of photos for all portrait tests.

The photos are of real people and come with scikit-image and matplotlib; they are used here and nowhere else."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import matplotlib
import numpy as np
import pytest
import skimage

from opentalking.avatars.bundle import PACKAGED
from opentalking.avatars.landmarks import FaceFinder
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


SIDE = 512  # pixels of the avatars made from photos


def bundle_of(folder: Path, picture: UInt8, framed: float, pixels: int = SIDE) -> Path:
    """A bundle of the square around the picture's face, `framed` times the face's size, seen with that many pixels."""
    found = FaceFinder().detect(picture)
    assert found is not None
    side = min(int(framed * max(found.size)), *picture.shape[:2])
    height, width = picture.shape[:2]
    x = int(min(max(0, found.centre[0] - side / 2), width - side))
    y = int(min(max(0, found.centre[1] - side / 2), height - side))
    cut = cv2.resize(picture[y : y + side, x : x + side], (pixels, pixels), interpolation=cv2.INTER_AREA)
    folder.mkdir(parents=True)
    cv2.imwrite(str(folder / "reference.png"), cv2.resize(cut, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC))
    manifest = {"id": folder.name, "model_type": "portrait", "fps": 25, "sample_rate": 16000, "version": "1.0"}
    (folder / "manifest.json").write_text(json.dumps({**manifest, "width": SIDE, "height": SIDE}))
    return folder


def read(path: Path) -> UInt8:
    picture = cv2.imread(str(path))
    assert picture is not None
    return np.asarray(picture, np.uint8)


@pytest.fixture(scope="session")
def smiling(adapter: PortraitAdapter, tmp_path_factory: pytest.TempPathFactory) -> PortraitAvatar:
    """A broad smile that shows the upper teeth."""
    photo = read(Path(skimage.__file__).parent / "data" / "astronaut.png")
    return adapter.load_avatar(bundle_of(tmp_path_factory.mktemp("photo") / "smiling", photo, 2.6))


@pytest.fixture(scope="session")
def spectacled(adapter: PortraitAdapter, tmp_path_factory: pytest.TempPathFactory) -> PortraitAvatar:
    """Dark-rimmed spectacles, strong colours, mouth closed."""
    photo = read(Path(matplotlib.get_data_path()) / "sample_data" / "grace_hopper.jpg")
    return adapter.load_avatar(bundle_of(tmp_path_factory.mktemp("photo") / "spectacled", photo, 2.4))


@pytest.fixture(scope="session")
def soft(adapter: PortraitAdapter, tmp_path_factory: pytest.TempPathFactory) -> PortraitAvatar:
    """The presenter from a picture of 150 pixels."""
    picture = read(PACKAGED / "presenter" / "reference.png")
    return adapter.load_avatar(bundle_of(tmp_path_factory.mktemp("photo") / "soft", picture, 1.8, pixels=150))
