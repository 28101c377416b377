"""Good portraits pass, and each thing that spoils one is called by its name."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
import pytest

from opentalking.avatars.assess import Portrait, assess
from opentalking.avatars.faces import find_faces
from opentalking.avatars.landmarks import FaceFinder
from opentalking.types import UInt8
from tests import portraits
from tests.unit.avatars import coverings

Picture = Callable[[], UInt8]


def codes(portrait: Portrait, severity: str) -> list[str]:
    return [finding.code for finding in portrait.report.findings if finding.severity == severity]


def turned(bgr: UInt8, degrees: float) -> UInt8:
    height, width = bgr.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), -degrees, 0.8)
    return np.asarray(cv2.warpAffine(bgr, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def two_people() -> UInt8:
    small = [
        np.asarray(cv2.resize(picture, (400, 400)), np.uint8) for picture in (portraits.presenter(), portraits.hopper())
    ]
    return np.concatenate(small, axis=1)


@pytest.mark.parametrize("picture", [portraits.presenter, portraits.drawn])
def test_a_good_portrait_passes_without_a_word(finder: FaceFinder, picture: Picture) -> None:
    portrait = assess(finder, picture())
    assert portrait.report.findings == []
    assert portrait.report.verdict == "ok"
    face = portrait.report.face
    assert face is not None and face.width_px > 160 and max(map(abs, (face.yaw, face.pitch, face.roll))) < 6


def test_spectacles_are_warned_of(finder: FaceFinder) -> None:
    assert codes(assess(finder, portraits.hopper()), "warn") == ["spectacles"]


def test_a_small_smiling_face_is_taken_with_warnings(finder: FaceFinder) -> None:
    portrait = assess(finder, portraits.astronaut())
    assert portrait.report.verdict == "warn"
    assert codes(portrait, "warn") == ["face_too_small", "mouth_open", "smiling"]


@pytest.mark.parametrize(
    ("spoilt", "code"),
    [
        (portraits.no_face, "no_face"),
        (two_people, "several_faces"),
        (lambda: cv2.resize(portraits.presenter(), (160, 160), interpolation=cv2.INTER_AREA), "face_too_small"),
        (lambda: portraits.presenter()[:330], "face_cut_off"),
        (lambda: turned(portraits.hopper(), 35), "tilted"),
        (lambda: cv2.GaussianBlur(portraits.hopper(), (0, 0), 7), "blurred"),
        (lambda: (portraits.presenter() * 0.1).astype(np.uint8), "too_dark"),
        (lambda: np.clip(portraits.hopper() * 2.2, 0, 255).astype(np.uint8), "over_exposed"),
    ],
)
def test_a_spoilt_picture_is_refused_by_name(finder: FaceFinder, spoilt: Picture, code: str) -> None:
    portrait = assess(finder, np.asarray(spoilt(), np.uint8))
    assert portrait.report.verdict == "refuse"
    assert codes(portrait, "refuse") == [code]


@pytest.mark.parametrize("picture", [portraits.presenter, portraits.hopper])
@pytest.mark.parametrize("cover", ["blue mask", "skin-coloured mask", "hand", "microphone", "low microphone"])
def test_a_covered_mouth_is_refused(finder: FaceFinder, picture: Picture, cover: str) -> None:
    bgr = picture()
    face = find_faces(finder, bgr)[0]
    covered = {
        "blue mask": lambda: coverings.mask(bgr, face, (200, 170, 120)),
        "skin-coloured mask": lambda: coverings.mask(bgr, face, (150, 170, 215)),
        "hand": lambda: coverings.hand(bgr, face),
        "microphone": lambda: coverings.microphone(bgr, face),
        "low microphone": lambda: coverings.microphone(bgr, face, below=0.22),
    }[cover]()
    assert codes(assess(finder, covered), "refuse") == ["mouth_covered"]


@pytest.mark.parametrize("picture", [portraits.presenter, portraits.hopper, portraits.astronaut])
def test_grey_dim_warm_and_compressed_photos_are_not_taken_for_covered(finder: FaceFinder, picture: Picture) -> None:
    bgr = picture()
    grey = cv2.cvtColor(cv2.cvtColor(bgr, cv2.COLOR_BGR2GRAY), cv2.COLOR_GRAY2BGR)
    warm = np.clip(bgr * np.array([0.6, 0.85, 1.1]), 0, 255).astype(np.uint8)
    rough = cv2.imdecode(np.frombuffer(portraits.jpeg(bgr, 20), np.uint8), cv2.IMREAD_COLOR)
    for changed in (grey, warm, rough, (bgr * 0.4).astype(np.uint8)):
        assert codes(assess(finder, np.asarray(changed, np.uint8)), "refuse") == []


def test_a_head_that_leans_a_little_is_warned_of(finder: FaceFinder) -> None:
    assert "tilted" in codes(assess(finder, turned(portraits.hopper(), 14)), "warn")


def test_somebody_far_behind_is_no_second_person(finder: FaceFinder) -> None:
    picture = np.full((900, 1100, 3), 110, np.uint8)
    picture[100:700, 400:912] = portraits.hopper()
    picture[60:260, 60:260] = cv2.resize(portraits.astronaut(), (200, 200), interpolation=cv2.INTER_AREA)
    portrait = assess(finder, picture)
    assert codes(portrait, "refuse") == []
    assert codes(portrait, "warn") == ["background_faces", "spectacles"]
