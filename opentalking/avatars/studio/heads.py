"""The heads of the tests: people who do not exist, taken the ways that pictures of users come.

They are pictures to test on, not avatars. Each says what is known of it, in degrees and in words, for `heads.json`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from opentalking.avatars.studio.backdrop import backdrop, laid_over
from opentalking.avatars.studio.people import ELDER, MAN, WOMAN, YOUTH, Hair, Person, Shot
from opentalking.types import UInt8

SIDE = 384
_SHOT = Shot(width=SIDE, height=SIDE, eye_distance=92, samples=20)
_JPEG_QUALITY = 88

_BEARDED = replace(
    YOUTH,
    beard=0.16,
    skin=(0.42, 0.235, 0.15),
    hair=Hair(style="combed", length=0.6, colour=(0.02, 0.011, 0.006)),
    seed=11,
)
_BALD = replace(MAN, hair=None, age=0.45, skin=(0.25, 0.125, 0.075), lips=(0.24, 0.085, 0.07), stubble=0.25, seed=12)
_OLD_MAN = replace(
    ELDER,
    sex="male",
    age=0.8,
    hair=Hair(style="crop", length=0.12, colour=(0.5, 0.49, 0.47), lift=0.1, hairline=0.16, strands=26_000),
    stubble=0.2,
    seed=13,
)
_LAUGH = {"mouthSmile": 0.75, "jawOpen": 0.16, "mouthUpperUp": 0.45, "cheekSquint": 0.5, "eyeWide": 0.1}
_WIRE, _DARK = (0.45, 0.36, 0.22), (0.012, 0.012, 0.014)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """One picture: a person as taken, or what became of the pictures of others."""

    name: str
    says: str
    person: Person | None = None
    shot: Shot = _SHOT
    of: tuple[str, ...] = ()  # made from these pictures
    roll: int = 0  # degrees by which it was turned clockwise
    covered: bool = False  # a block before the mouth
    shrunk: int = 0  # pixels of width it went through
    margin: int = 0  # pixels of backdrop around it, after it was made smaller

    def facts(self) -> dict[str, Any]:
        """What a test may rely on."""
        person, *_ = who = [self.person] if self.person else [_NAMED[name].person for name in self.of]
        assert person is not None
        return {
            "says": self.says,
            "people": len(who),
            "yaw": self.shot.yaw,
            "pitch": self.shot.pitch,
            "roll": self.roll,
            "beard": bool(person.beard),
            "spectacles": person.spectacles is not None,
            "bald": person.hair is None,
            "mouth_open": "jawOpen" in person.expression,
            "mouth_covered": self.covered,
            "low_resolution": bool(self.shrunk),
            "small": bool(self.margin),
        }


TAKEN = (
    Head(name="young-woman", says="light skin, long dark hair", person=WOMAN),
    Head(name="dark-skinned-man", says="dark skin, short hair", person=MAN),
    Head(name="old-woman", says="light skin, grey hair", person=ELDER),
    Head(name="old-man", says="light skin, short white hair, high forehead, lined", person=_OLD_MAN),
    Head(name="bearded", says="full beard and moustache", person=_BEARDED),
    Head(name="bald", says="brown skin, no hair", person=_BALD),
    Head(name="spectacles", says="light frame", person=replace(ELDER, spectacles=_WIRE, seed=14)),
    Head(name="dark-spectacles", says="dark frame", person=replace(YOUTH, spectacles=_DARK, frame=0.024, seed=15)),
    Head(name="laughing", says="mouth open", person=replace(WOMAN, expression=_LAUGH)),
    Head(name="laughing-dark", says="dark skin, mouth open", person=replace(MAN, expression=_LAUGH)),
    Head(name="yaw-15", says="turned to the picture's right", person=YOUTH, shot=replace(_SHOT, yaw=15)),
    Head(name="yaw-30", says="turned to the picture's left", person=WOMAN, shot=replace(_SHOT, yaw=-30)),
    Head(name="looking-up", says="chin raised", person=YOUTH, shot=replace(_SHOT, pitch=20)),
)
MADE = (
    Head(name="roll-20", says="leaning to the picture's right", of=("dark-skinned-man",), roll=20),
    Head(name="covered", says="a block as wide as a hand hides the mouth", of=("young-woman",), covered=True),
    Head(name="small", says="a face of about 100 pixels in a large picture", of=("bald",), margin=260),
    Head(name="two", says="two people side by side", of=("young-woman", "dark-skinned-man")),
    Head(name="blurred", says="went through 72 pixels of width", of=("old-woman",), shrunk=72),
)
HEADS = (*TAKEN, *MADE)
_NAMED = {head.name: head for head in HEADS}


def take(head: Head, photograph: Callable[[Person, Shot], UInt8]) -> UInt8:
    """A person before the backdrop, BGR; `photograph` gives the person alone, BGRA."""
    assert head.person is not None
    alone = photograph(head.person, head.shot)
    return laid_over(alone, backdrop(alone.shape[1], alone.shape[0], head.person.backdrop, head.person.seed))


def make(head: Head, pictures: list[UInt8]) -> UInt8:
    """What becomes of the pictures `head.of`."""
    quarter = SIDE // 8
    picture = pictures[0] if len(pictures) == 1 else np.hstack([each[:, quarter:-quarter] for each in pictures])
    if head.margin:
        small = cv2.resize(picture, None, fx=0.66, fy=0.66, interpolation=cv2.INTER_AREA)
        edges = head.margin, 0, head.margin, head.margin
        around = cv2.copyMakeBorder(small, *edges, cv2.BORDER_REPLICATE)
        soft = cv2.GaussianBlur(around, (0, 0), 12)
        soft[head.margin :, head.margin : -head.margin] = small
        picture = np.asarray(soft, np.uint8)
    if head.roll:
        turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), -head.roll, 1.0)
        picture = np.asarray(cv2.warpAffine(picture, turn, (SIDE, SIDE), borderMode=cv2.BORDER_REPLICATE), np.uint8)
    if head.covered:
        picture = picture.copy()
        corners = (int(0.36 * SIDE), int(0.54 * SIDE)), (int(0.66 * SIDE), int(0.68 * SIDE))
        cv2.rectangle(picture, *corners, (92, 110, 128), -1)
        cv2.rectangle(picture, *corners, (70, 84, 98), 3)
    if head.shrunk:
        height = round(picture.shape[0] * head.shrunk / picture.shape[1])
        small = cv2.resize(picture, (head.shrunk, height), interpolation=cv2.INTER_AREA)
        picture = np.asarray(cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_CUBIC), np.uint8)
    return picture


def write(folder: Path, name: str, picture: UInt8) -> None:
    cv2.imwrite(str(folder / f"{name}.jpg"), picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])


def read(folder: Path, name: str) -> UInt8:
    picture = cv2.imread(str(folder / f"{name}.jpg"))
    if picture is None:
        raise SystemExit(f"{folder}: take {name} first")
    return np.asarray(picture, np.uint8)
