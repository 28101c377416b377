"""The fifteen visemes of the Oculus set and the mouth that goes with each.

A mouth is twelve numbers in 0..1: ten weights of face shapes (names of the ARKit set; `mouthFunnel` alone is that of
both lips) and two of the tongue. Values were set by eye on rendered and warped faces.
"""

from __future__ import annotations

import numpy as np

from opentalking.types import Float32

VISEMES = ("sil", "PP", "FF", "TH", "DD", "kk", "CH", "SS", "nn", "RR", "aa", "E", "I", "O", "U")
SILENCE = VISEMES.index("sil")
BILABIAL = VISEMES.index("PP")

SHAPES = (
    "jawOpen",
    "mouthFunnel",
    "mouthPucker",
    "mouthStretch",
    "mouthSmile",
    "mouthLowerDown",
    "mouthUpperUp",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthPress",
)
TONGUE = ("tongueUp", "tongueOut")
PARAMETERS = SHAPES + TONGUE
JAW_OPEN, FUNNEL = PARAMETERS.index("jawOpen"), PARAMETERS.index("mouthFunnel")
TONGUE_UP, TONGUE_OUT = PARAMETERS.index("tongueUp"), PARAMETERS.index("tongueOut")

_MOUTHS: dict[str, dict[str, float]] = {
    "sil": {},
    "PP": {"mouthRollLower": 0.35, "mouthRollUpper": 0.3, "mouthPress": 0.15},
    "FF": {"jawOpen": 0.02, "mouthRollLower": 0.6, "mouthUpperUp": 0.22},
    "TH": {"jawOpen": 0.17, "mouthLowerDown": 0.25, "mouthUpperUp": 0.1, "tongueOut": 0.6},
    "DD": {"jawOpen": 0.14, "mouthLowerDown": 0.35, "mouthUpperUp": 0.12, "mouthStretch": 0.1, "tongueUp": 0.8},
    "kk": {"jawOpen": 0.2, "mouthLowerDown": 0.25, "mouthUpperUp": 0.12, "mouthStretch": 0.12},
    "CH": {"jawOpen": 0.1, "mouthFunnel": 0.5, "mouthPucker": 0.1, "mouthLowerDown": 0.15, "mouthUpperUp": 0.1},
    "SS": {"jawOpen": 0.05, "mouthStretch": 0.4, "mouthLowerDown": 0.45, "mouthUpperUp": 0.2},
    "nn": {"jawOpen": 0.15, "mouthLowerDown": 0.3, "mouthUpperUp": 0.1, "tongueUp": 1.0},
    "RR": {"jawOpen": 0.14, "mouthFunnel": 0.35, "mouthPucker": 0.12, "tongueUp": 0.4},
    "aa": {"jawOpen": 0.55, "mouthLowerDown": 0.3, "mouthUpperUp": 0.2, "mouthStretch": 0.05},
    "E": {"jawOpen": 0.3, "mouthStretch": 0.35, "mouthLowerDown": 0.35, "mouthUpperUp": 0.2, "mouthSmile": 0.15},
    "I": {"jawOpen": 0.14, "mouthStretch": 0.5, "mouthSmile": 0.25, "mouthLowerDown": 0.4, "mouthUpperUp": 0.2},
    "O": {"jawOpen": 0.38, "mouthFunnel": 0.6, "mouthPucker": 0.2},
    "U": {"jawOpen": 0.14, "mouthPucker": 0.75, "mouthFunnel": 0.35},
}

MOUTHS: Float32 = np.array([[_MOUTHS[v].get(p, 0.0) for p in PARAMETERS] for v in VISEMES], np.float32)
"""(15, 12): the parameters of each viseme at full strength; silence is the mouth of the picture."""


def mouth_of(viseme: str) -> Float32:
    """Parameters of one viseme by name, float32 (12,)."""
    mouth: Float32 = MOUTHS[VISEMES.index(viseme)]
    return mouth
