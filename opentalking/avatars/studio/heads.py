"""The heads of the tests: people who do not exist, taken the ways that pictures of users come.

They are pictures to test on, not avatars. Each says what is known of it, in degrees and in words, for `heads.json`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
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
    """One picture: who, how taken, and what is done to it afterwards."""

    name: str
    says: str
    people: tuple[Person, ...]
    shot: Shot = _SHOT
    covered: bool = False  # a grey block before the mouth
    shrunk: int = 0  # pixels of width it went through: 0 for none
    around: int = 0  # pixels of backdrop added on each side

    def facts(self) -> dict[str, Any]:
        """What a test may rely on."""
        person = self.people[0]
        return {
            "says": self.says,
            "people": len(self.people),
            "yaw": self.shot.yaw,
            "pitch": self.shot.pitch,
            "roll": self.shot.roll,
            "beard": bool(person.beard),
            "spectacles": person.spectacles is not None,
            "bald": person.hair is None,
            "mouth_open": person.expression.get("jawOpen", 0) > 0,
            "mouth_covered": self.covered,
            "low_resolution": bool(self.shrunk),
        }


HEADS = (
    Head(name="young-woman", says="light skin, long dark hair", people=(WOMAN,)),
    Head(name="dark-skinned-man", says="dark skin, short hair, frontal", people=(MAN,)),
    Head(name="old-woman", says="light skin, grey hair, lined", people=(ELDER,)),
    Head(name="old-man", says="light skin, short white hair, high forehead", people=(_OLD_MAN,)),
    Head(name="bearded", says="brown skin, full beard and moustache", people=(_BEARDED,)),
    Head(name="bald", says="brown skin, no hair", people=(_BALD,)),
    Head(name="spectacles", says="thin metal frame", people=(replace(ELDER, spectacles=_WIRE, seed=14),)),
    Head(
        name="dark-spectacles",
        says="thick dark frame",
        people=(replace(YOUTH, spectacles=_DARK, frame=0.024, seed=15),),
    ),
    Head(name="laughing", says="mouth open, teeth showing", people=(replace(WOMAN, expression=_LAUGH),)),
    Head(name="laughing-dark", says="dark skin, teeth showing", people=(replace(MAN, expression=_LAUGH),)),
    Head(
        name="yaw-15", says="turned to the picture's right by 15 degrees", people=(YOUTH,), shot=replace(_SHOT, yaw=15)
    ),
    Head(
        name="yaw-30", says="turned to the picture's left by 30 degrees", people=(WOMAN,), shot=replace(_SHOT, yaw=-30)
    ),
    Head(
        name="roll-20", says="leaning to the picture's right by 20 degrees", people=(MAN,), shot=replace(_SHOT, roll=20)
    ),
    Head(name="looking-up", says="chin raised by 20 degrees", people=(YOUTH,), shot=replace(_SHOT, pitch=20)),
    Head(name="covered", says="a hand-sized block hides the mouth", people=(WOMAN,), covered=True),
    Head(
        name="small",
        says="a face of about 100 pixels in a large picture",
        people=(YOUTH,),
        shot=replace(_SHOT, eye_distance=46),
        around=208,
    ),
    Head(name="two", says="two people side by side", people=(WOMAN, MAN), shot=replace(_SHOT, eye_distance=70)),
    Head(name="blurred", says="went through 72 pixels of width", people=(ELDER,), shrunk=72),
)


def take(head: Head, photograph: Callable[[Person, Shot], UInt8]) -> bytes:
    """The picture as JPEG; `photograph` gives each person alone, BGRA."""
    parts = []
    for person in head.people:
        alone = photograph(person, head.shot)
        behind = backdrop(alone.shape[1], alone.shape[0], head.people[0].backdrop, head.people[0].seed)
        parts.append(laid_over(alone, behind))
    picture = np.hstack(parts)
    if head.around:
        wide = head.around
        picture = np.asarray(cv2.copyMakeBorder(picture, wide, 0, wide, wide, cv2.BORDER_REPLICATE), np.uint8)
        picture[:wide] = cv2.GaussianBlur(picture[:wide], (0, 0), 9)
    if head.covered:
        _cover(picture)
    if head.shrunk:
        height = round(picture.shape[0] * head.shrunk / picture.shape[1])
        small = cv2.resize(picture, (head.shrunk, height), interpolation=cv2.INTER_AREA)
        picture = np.asarray(cv2.resize(small, picture.shape[1::-1], interpolation=cv2.INTER_CUBIC), np.uint8)
    _, jpeg = cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    return jpeg.tobytes()


def _cover(picture: UInt8) -> None:
    """A block in the colour of a glove, as wide as a hand, where the mouth of a frontal head is."""
    height, width = picture.shape[:2]
    left, right = int(0.36 * width), int(0.66 * width)
    top, bottom = int(0.52 * height), int(0.66 * height)
    cv2.rectangle(picture, (left, top), (right, bottom), (92, 110, 128), -1)
    cv2.rectangle(picture, (left, top), (right, bottom), (70, 84, 98), 3)
