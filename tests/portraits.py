"""Pictures of faces for the tests: packaged avatars, and two portraits that come with well-known packages.

The portraits show real, named persons (NASA, US Navy; public domain). They are read where the packages have them, used
here only, and never shipped.
"""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import cv2
import numpy as np

from opentalking.avatars.bundle import PACKAGED
from opentalking.types import UInt8


def _packaged(package: str, path: str) -> Path:
    spec = find_spec(package)
    assert spec is not None and spec.origin is not None, f"pip install {package}"
    return Path(spec.origin).parent / path


def read(path: Path) -> UInt8:
    picture = cv2.imread(str(path), cv2.IMREAD_COLOR)
    assert picture is not None, path
    return np.asarray(picture, np.uint8)


def presenter() -> UInt8:
    """A woman of 240 pixels, mouth closed, rendered; 512x512."""
    return read(PACKAGED / "presenter" / "reference.png")


def drawn() -> UInt8:
    return read(PACKAGED / "drawn" / "reference.png")


def astronaut() -> UInt8:
    """A woman of 92 pixels who smiles, her teeth showing; 512x512."""
    return read(_packaged("skimage", "data/astronaut.png"))


def hopper() -> UInt8:
    """An old woman of 184 pixels with spectacles; 512x600."""
    return read(_packaged("matplotlib", "mpl-data/sample_data/grace_hopper.jpg"))


def no_face() -> UInt8:
    """A cat."""
    return read(_packaged("skimage", "data/chelsea.png"))


def head(name: str) -> UInt8:
    """A rendered person who does not exist, from data/heads; `heads.json` there says what each shows."""
    return read(next((Path(__file__).parent / "data" / "heads").glob(f"{name}.[jp][pn]g")))


def png(bgr: UInt8) -> bytes:
    return cv2.imencode(".png", bgr)[1].tobytes()


def jpeg(bgr: UInt8, quality: int = 95) -> bytes:
    return cv2.imencode(".jpg", bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
