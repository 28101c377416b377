"""How well a net hears visemes in voices that it does not know, and what loudness alone would give.

Measured on what the face uses: probabilities, averaged over time as `track.py` does, through the table of mouths.

    accuracy           share of the 10 ms frames whose most probable viseme is the label
    jaw, wide, round   correlation of three curves of the mouth with those of the labels
    closures           share of the labelled p, b, m in which the net is sure enough of one to close the lips
    false              share of the net's own closures that are nowhere near a labelled one
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from opentalking.models.portrait.net import NetStream, VisemeNet
from opentalking.models.portrait.training.labelled import Clip
from opentalking.models.portrait.visemes import BILABIAL, MOUTHS, PARAMETERS, VISEMES
from opentalking.types import Float32, UInt8

_SIGMA = 2.3  # frames of 10 ms, that of track.py
_REACH = 8
_SURE = 0.5  # track.py closes the lips from here on
_FULL_BAND_DB_FLOOR = 1e-4

_CURVES = {
    "jaw": {"jawOpen": 1.0},
    "wide": {"mouthStretch": 1.0, "mouthSmile": 1.0},
    "round": {"mouthFunnel": 1.0, "mouthPucker": 1.0},
}
CURVES: Float32 = MOUTHS @ np.array(
    [[weights.get(name, 0.0) for weights in _CURVES.values()] for name in PARAMETERS], np.float32
)
"""(15, 3): how far each viseme opens the jaw, widens and rounds the lips."""

WINDOW = np.exp(-0.5 * (np.arange(-_REACH, _REACH + 1) / _SIGMA) ** 2)
WINDOW /= WINDOW.sum()

Hearing = Callable[[Clip], Float32]
"""A clip to the probability of each viseme in each frame, (frames, 15)."""


@dataclass(frozen=True)
class Score:
    accuracy: float
    jaw: float
    wide: float
    round: float
    closures: float
    false: float


def hearing(net: VisemeNet) -> Hearing:
    def hear(clip: Clip) -> Float32:
        silence = np.full((net.lookahead, clip.mel.shape[1]), np.log(1e-6), np.float32)
        normalised = (np.concatenate([clip.mel, silence]) - net.mean) / net.deviation
        scores = NetStream(net).outputs(normalised)[net.lookahead :, : len(VISEMES)]  # weights of 2026-11-22 had more
        exponentials = np.exp(scores - scores.max(1, keepdims=True))
        probabilities: Float32 = exponentials / exponentials.sum(1, keepdims=True)
        return probabilities

    return hear


def score(hear: Hearing, clips: Sequence[Clip]) -> Score:
    """Over all clips together."""
    heard = [hear(clip) for clip in clips]
    labels = np.concatenate([clip.visemes for clip in clips])
    right = np.concatenate([probabilities.argmax(1) for probabilities in heard]) == labels
    found = np.concatenate([smoothed(probabilities) @ CURVES for probabilities in heard])
    true = np.concatenate([smoothed(one_hot(clip.visemes)) @ CURVES for clip in clips])
    jaw, wide, round_ = (float(np.corrcoef(found[:, i], true[:, i])[0, 1]) for i in range(3))
    closures, false = _closures(heard, clips)
    return Score(float(right.mean()), jaw, wide, round_, closures, false)


def loudness_jaw(clips: Sequence[Clip]) -> float:
    """Correlation of the jaw with loudness in dB, the mouth that opens with the noise: the least a net must beat."""
    power = [np.log(np.exp(clip.mel).sum(1) + _FULL_BAND_DB_FLOOR) for clip in clips]
    loud = np.concatenate([smoothed(p[:, None].astype(np.float32))[:, 0] for p in power])
    true = np.concatenate([smoothed(one_hot(clip.visemes)) @ CURVES[:, 0] for clip in clips])
    return float(np.corrcoef(loud, true)[0, 1])


def smoothed(values: Float32) -> Float32:
    """(frames, n) averaged over time by track.py's Gaussian; the ends are held."""
    held = np.pad(values, ((_REACH, _REACH), (0, 0)), mode="edge")
    averaged = [np.convolve(column, WINDOW, "valid") for column in held.T]
    return np.stack(averaged, axis=1).astype(np.float32)


def one_hot(visemes: UInt8) -> Float32:
    hot: Float32 = np.eye(len(VISEMES), dtype=np.float32)[visemes]
    return hot


def _closures(heard: Sequence[Float32], clips: Sequence[Clip]) -> tuple[float, float]:
    """(share of labelled closures found, share of the net's closures that are false)."""
    found, labelled, false, claimed = 0, 0, 0, 0
    for probabilities, clip in zip(heard, clips, strict=True):
        sure = probabilities[:, BILABIAL] > _SURE
        truth = clip.visemes == BILABIAL
        for start, end in _runs(truth):
            labelled += 1
            found += bool(sure[max(0, start - 1) : end + 1].any())
        for start, end in _runs(sure):
            claimed += 1
            false += not truth[max(0, start - 3) : end + 3].any()
    return found / max(labelled, 1), false / max(claimed, 1)


def _runs(where: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> list[tuple[int, int]]:
    """Spans [start, end) that are true."""
    steps = np.diff(np.concatenate([[0], where.astype(np.int8), [0]]))
    return list(zip(np.flatnonzero(steps == 1), np.flatnonzero(steps == -1), strict=True))
