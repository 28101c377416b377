"""Bundles for these tests, made of the packaged presenter."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from opentalking.avatars import Bundle, read_bundle
from opentalking.avatars.bundle import PACKAGED
from opentalking.types import UInt8

PRESENTER = PACKAGED / "presenter"


def picture() -> UInt8:
    return np.asarray(cv2.imread(str(PRESENTER / "reference.png")), np.uint8)


def copied(folder: Path, metadata: dict[str, Any] | None = None, **fields: Any) -> Bundle:
    """The presenter with other fields in its manifest."""
    path = folder / "presenter"
    shutil.copytree(PRESENTER, path)
    manifest = json.loads((path / "manifest.json").read_text())
    manifest.update(fields)
    manifest["metadata"].update(metadata or {})
    (path / "manifest.json").write_text(json.dumps(manifest))
    return read_bundle(path)


def clip(folder: Path, shifts: list[int], metadata: dict[str, Any] | None = None, **fields: Any) -> Bundle:
    """A clip in which the presenter moves to the right by so many pixels."""
    bundle = copied(folder, {"reference_mode": "frames", **(metadata or {})}, **fields)
    (bundle.path / "frames").mkdir()
    for index, shift in enumerate(shifts):
        frame = cv2.warpAffine(picture(), np.array([[1, 0, shift], [0, 1, 0]], np.float32), (512, 512), borderMode=1)
        cv2.imwrite(str(bundle.path / "frames" / f"frame_{index:05d}.jpg"), frame)
    return bundle
