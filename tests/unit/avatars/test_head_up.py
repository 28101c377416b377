"""Pictures that were turned without a word in EXIF: every head is put upright, and judged as if it had been so."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from opentalking.avatars.assess import assess
from opentalking.avatars.bundle import PACKAGED, list_bundles
from opentalking.avatars.landmarks import FaceFinder
from tests import portraits

HEADS = json.loads((Path(portraits.__file__).parent / "data" / "heads" / "heads.json").read_text())
PICTURES = (
    {name: lambda name=name: portraits.head(name) for name in HEADS}
    | {bundle.id: lambda path=bundle.reference: portraits.read(path) for bundle in list_bundles(PACKAGED)}
    | {"hopper": portraits.hopper}
)
TURNS = {90: cv2.ROTATE_90_CLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_COUNTERCLOCKWISE}


def leaning(name: str, degrees: float) -> np.ndarray:
    picture = PICTURES[name]()
    height, width = picture.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 0.8)
    return np.asarray(cv2.warpAffine(picture, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


@pytest.mark.parametrize("name", PICTURES)
def test_however_a_picture_was_turned_its_head_is_put_up_and_judged_as_upright(finder: FaceFinder, name: str) -> None:
    picture = PICTURES[name]()
    upright = assess(finder, picture)
    assert upright.bgr is picture  # not turned itself
    for turn in TURNS.values():
        portrait = assess(finder, np.asarray(cv2.rotate(picture, turn), np.uint8))
        assert portrait.report.verdict == {"ok": "warn"}.get(upright.report.verdict, upright.report.verdict)
        if upright.report.verdict == "refuse":
            continue  # of a mouth that is covered, nobody can tell which way up it is
        assert np.array_equal(portrait.bgr, picture)
        first, *others = portrait.report.findings
        assert first.code == "turned_picture"
        assert others == upright.report.findings


@pytest.mark.parametrize("degrees", [-55, -40, 35, 45, 60])
@pytest.mark.parametrize("name", ["old-man", "looking-up", "presenter"])
def test_a_head_that_leans_far_is_refused_for_it_and_never_taken_for_one_that_lies(
    finder: FaceFinder, name: str, degrees: int
) -> None:
    told = assess(finder, leaning(name, degrees)).report
    assert told.refusal is not None and told.refusal.code == "tilted"
