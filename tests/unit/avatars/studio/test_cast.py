"""The packaged avatars are those of the studio's list, and each has the room that a moving head needs."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pytest

from opentalking.avatars import list_bundles
from opentalking.avatars.bundle import PACKAGED, Bundle
from opentalking.avatars.landmarks import LEFT_EYE_OUTER, RIGHT_EYE_OUTER, FaceFinder
from opentalking.avatars.studio.cast import CAST
from opentalking.models.portrait.adapter import PortraitAdapter
from opentalking.models.portrait.shapes import CHIN, FOREHEAD
from opentalking.types import UInt8, i420_shape

BUNDLES = list_bundles(PACKAGED)
MOST_BYTES = 450_000
each_bundle = pytest.mark.parametrize("bundle", BUNDLES, ids=[bundle.id for bundle in BUNDLES])


def picture(bundle: Bundle) -> UInt8:
    read = cv2.imread(str(bundle.reference))
    assert read is not None
    return np.asarray(read, np.uint8)


def test_the_bundles_are_those_of_the_list_and_made_by_its_recipes() -> None:
    on_disk = {bundle.id: json.loads((bundle.path / "manifest.json").read_bytes()) for bundle in BUNDLES}
    assert on_disk == {avatar.id: avatar.manifest() for avatar in CAST}


def test_there_are_people_of_both_sexes_several_ages_and_complexions_and_a_drawing() -> None:
    people = [avatar.person for avatar in CAST if avatar.person is not None]
    assert {person.sex for person in people} == {"female", "male"}
    assert len(CAST) > len(people) >= 3
    ages, skins = [person.age for person in people], [float(np.mean(person.skin)) for person in people]
    assert max(ages) - min(ages) > 0.5
    assert max(skins) > 4 * min(skins)


@each_bundle
def test_a_bundle_has_its_picture_a_square_preview_and_no_more_bytes_than_a_page_should_load(bundle: Bundle) -> None:
    manifest = bundle.manifest
    assert picture(bundle).shape == (manifest.height, manifest.width, 3)
    assert bundle.preview != bundle.reference
    preview = cv2.imread(str(bundle.preview))
    assert preview is not None and preview.shape[0] == preview.shape[1] >= 240
    assert max(path.stat().st_size for path in (bundle.reference, bundle.preview)) <= MOST_BYTES


@each_bundle
def test_a_face_is_large_enough_to_speak_and_has_room_on_every_side(bundle: Bundle) -> None:
    finder, shown = FaceFinder(), picture(bundle)
    box = finder.detect(shown)
    assert box is not None and box.score > 0.8
    points = finder.landmarks(shown, box)[:, :2]
    eyes = float(np.linalg.norm(points[LEFT_EYE_OUTER] - points[RIGHT_EYE_OUTER]))
    height, width = shown.shape[:2]
    assert eyes >= 90
    assert points[:, 0].min() > eyes and width - points[:, 0].max() > eyes
    assert points[FOREHEAD, 1] > 0.8 * eyes  # hair and the space over it
    assert height - points[CHIN, 1] > 0.9 * eyes  # neck and shoulders
    assert abs(float(points[:, 0].mean()) - width / 2) < 0.1 * eyes


@each_bundle
def test_an_idle_head_moves_and_blinks_without_moving_the_edges(bundle: Bundle, adapter: PortraitAdapter) -> None:
    avatar = adapter.load_avatar(bundle.path)
    height, width = avatar.height, avatar.width
    frame = np.empty(i420_shape(width, height), np.uint8)
    still = avatar.rest[:height]
    for pose in (20, 33, 75, 140):
        adapter.idle_frame(avatar, pose, frame)
        moved = np.abs(frame[:height].astype(int) - still)
        assert (moved > 2).mean() > 0.005
        edges = moved[:4], moved[-4:], moved[:, :4], moved[:, -4:]
        # in grey levels: a backdrop may slide along the upper edge, unseen
        assert max(int(edge.max()) for edge in edges) <= 2
