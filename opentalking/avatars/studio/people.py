"""Who stands before the camera: recipes of people who do not exist. No recipe is modelled on anybody."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Colour = tuple[float, float, float]  # linear light, 0..1, red first


@dataclass(frozen=True, slots=True, kw_only=True)
class Hair:
    """How the hair of the head grows and is worn. Lengths in decimetres."""

    style: Literal["combed", "crop"]
    length: float
    colour: Colour
    strands: int = 32_000
    lift: float = 0.10  # how far it stands off the scalp
    curl: float = 0.0  # radius of a curl
    parting: float = 0.25  # x of the parting
    grey: float = 0.0  # share of grey strands
    hairline: float = 0.0  # higher: a higher forehead
    thickness: float = 0.0058


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One person: build, complexion, hair, what is worn and how the person looks."""

    sex: Literal["female", "male"]
    age: float  # 0: about 25, 1: about 90
    ancestry: dict[str, float]
    skin: Colour
    lips: Colour
    iris: Colour
    hair: Hair | None = None
    brows: Colour = (0.02, 0.012, 0.008)
    brow_weight: float = 1.0
    beard: float = 0.0  # length in decimetres
    stubble: float = 0.0  # 0..1, the shadow of a shaved beard
    spectacles: Colour | None = None  # of the frame
    frame: float = 0.014  # half its thickness
    cloth: Colour = (0.03, 0.05, 0.12)
    neckline: Literal["crew", "vee"] = "crew"
    weight: float = 0.0
    shape: dict[str, float] = field(default_factory=dict)
    expression: dict[str, float] = field(default_factory=lambda: {"mouthSmile": 0.26, "eyeWide": 0.30})
    backdrop: tuple[Colour, Colour] = ((0.55, 0.58, 0.60), (0.26, 0.29, 0.32))  # upper and lower, display values
    seed: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Shot:
    """How a person is taken: sizes in pixels, angles in degrees."""

    width: int = 512
    height: int = 512
    eye_distance: float = 120.0
    eye_level: float = 0.43  # of the height, from above
    yaw: float = 0.0  # positive: turned to the person's left, which is the picture's right
    pitch: float = 0.0  # positive: looking up
    samples: int = 64


WOMAN = Person(
    sex="female",
    age=0.06,
    ancestry={"caucasian": 0.55, "asian": 0.3, "african": 0.15},
    skin=(0.56, 0.335, 0.225),
    lips=(0.42, 0.13, 0.12),
    iris=(0.16, 0.075, 0.03),
    hair=Hair(style="combed", length=2.35, colour=(0.030, 0.014, 0.007), lift=0.16, parting=0.22, curl=0.02),
    shape={
        "head/head-oval": 0.5,
        "eyes/eye-scale-incr": 0.35,
        "nose/nose-scale-horiz-decr": 0.2,
        "ears/ear-wing-decr": 1.0,
    },
    brow_weight=0.75,
    cloth=(0.035, 0.06, 0.15),
)

MAN = Person(
    sex="male",
    age=0.3,
    ancestry={"african": 0.85, "caucasian": 0.15},
    skin=(0.115, 0.052, 0.030),
    lips=(0.13, 0.045, 0.036),
    iris=(0.045, 0.018, 0.008),
    hair=Hair(
        style="crop",
        length=0.10,
        colour=(0.006, 0.005, 0.004),
        lift=0.09,
        curl=0.018,
        hairline=0.05,
        strands=60_000,
        thickness=0.0045,
        grey=0.06,
    ),
    brows=(0.008, 0.006, 0.005),
    stubble=0.5,
    cloth=(0.16, 0.17, 0.18),
    backdrop=((0.62, 0.58, 0.53), (0.36, 0.32, 0.29)),
    seed=2,
)

ELDER = Person(
    sex="female",
    age=0.8,
    ancestry={"caucasian": 0.9, "asian": 0.1},
    skin=(0.60, 0.37, 0.27),
    lips=(0.42, 0.17, 0.15),
    iris=(0.13, 0.17, 0.20),
    hair=Hair(style="combed", length=0.85, colour=(0.30, 0.29, 0.28), lift=0.20, parting=-0.25, curl=0.03),
    brows=(0.16, 0.13, 0.11),
    brow_weight=0.7,
    cloth=(0.16, 0.035, 0.045),
    neckline="vee",
    backdrop=((0.50, 0.57, 0.55), (0.24, 0.30, 0.29)),
    seed=3,
)

YOUTH = Person(
    sex="male",
    age=0.10,
    ancestry={"asian": 0.8, "caucasian": 0.2},
    skin=(0.53, 0.32, 0.205),
    lips=(0.38, 0.14, 0.12),
    iris=(0.06, 0.027, 0.012),
    hair=Hair(style="combed", length=0.36, colour=(0.010, 0.007, 0.006), lift=0.22, parting=0.35, curl=0.015),
    brows=(0.010, 0.007, 0.006),
    stubble=0.12,
    cloth=(0.05, 0.10, 0.075),
    backdrop=((0.58, 0.60, 0.64), (0.28, 0.30, 0.35)),
    shape={"ears/ear-wing-decr": 0.6},
    seed=4,
)
