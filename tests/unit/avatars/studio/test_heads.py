"""The heads of the tests are those of the studio's list, and their facts are written beside them."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import pytest

from opentalking.avatars.landmarks import FaceFinder
from opentalking.avatars.studio.heads import HEADS, Head

FOLDER = Path(__file__).parents[3] / "data/heads"
MOST_BYTES = 60_000


def test_pictures_and_facts_are_those_of_the_list() -> None:
    assert sorted(path.stem for path in FOLDER.glob("*.jpg")) == sorted(head.name for head in HEADS)
    assert json.loads((FOLDER / "heads.json").read_bytes()) == {head.name: head.facts() for head in HEADS}
    assert max(path.stat().st_size for path in FOLDER.glob("*.jpg")) <= MOST_BYTES


@pytest.mark.parametrize("head", [head for head in HEADS if not head.roll], ids=lambda head: head.name)
def test_a_face_is_found_in_each_upright_head(head: Head) -> None:
    picture = cv2.imread(str(FOLDER / f"{head.name}.jpg"))
    assert picture is not None and FaceFinder().detect(picture) is not None
