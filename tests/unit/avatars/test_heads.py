"""People of several ages, sexes and complexions, rendered: each is judged as somebody who looks at it would."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from opentalking.avatars.assess import assess
from opentalking.avatars.landmarks import FaceFinder
from tests import portraits

HEADS = json.loads((Path(portraits.__file__).parent / "data" / "heads" / "heads.json").read_text())
EXPECTED = {  # besides face_too_small, which is said of all: they are 135 pixels wide
    "bearded": {"refuse": ["mouth_covered"], "warn": ["beard"]},
    "spectacles": {"warn": ["spectacles"]},
    "dark-spectacles": {"warn": ["spectacles"]},
    "laughing": {"warn": ["mouth_open", "smiling"]},
    "laughing-dark": {"warn": ["mouth_open", "smiling"]},
    "yaw-15": {"warn": ["turned_away"]},
    "yaw-30": {"refuse": ["turned_away"]},
    "looking-up": {"warn": ["looks_up_or_down"]},
    "roll-20": {"warn": ["tilted"]},
    "covered": {"refuse": ["mouth_covered"]},
    "two": {"refuse": ["several_faces"]},
    "blurred": {"warn": ["blurred"]},
}


@pytest.mark.parametrize("name", HEADS)
def test_each_head_is_judged_for_what_it_shows_and_its_pose_told_within_five_degrees(
    finder: FaceFinder, name: str
) -> None:
    told = assess(finder, portraits.head(name)).report
    found: dict[str, list[str]] = {}
    for finding in told.findings:
        if finding.code != "face_too_small":
            found.setdefault(finding.severity, []).append(finding.code)
    assert found == EXPECTED.get(name, {})
    if HEADS[name]["people"] == 1:
        assert told.face is not None
        truth = HEADS[name]["yaw"], HEADS[name]["roll"]
        assert (told.face.yaw, told.face.roll) == pytest.approx(truth, abs=5)
