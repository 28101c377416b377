"""From sound to the mouth of each frame.

    net frames, 10 ms     … 4f-2 ────────────── 4f+2 ────────────── 4f+6 …   Gaussian around the middle of frame f
    sound needed          up to net frame 4f+6, plus 80 ms of the net's look-ahead and half a mel window
                          = 2440 samples after the frame's start, so frame f exists once chunk f+3 is here

A turn begins and ends with the mouth of the picture: net frames before and after it count as silence, and the first two
and last three frames are drawn toward the closed mouth. So that p, b and m close the lips even when they are shorter
than a frame, a clear bilabial within 20 ms of a frame's middle outweighs the average.
"""

from __future__ import annotations

import numpy as np

from opentalking.models.portrait.net import NetStream, VisemeNet
from opentalking.models.portrait.visemes import BILABIAL, JAW_OPEN, MOUTHS, SILENCE, VISEMES
from opentalking.types import FRAME_MS, MODEL_SAMPLES, Float32

NET_FRAMES = 4  # net frames (10 ms) a video frame
LOOKAHEAD_CHUNKS = 3  # chunks beyond a frame's own that must be heard
LOOKAHEAD_MS = LOOKAHEAD_CHUNKS * FRAME_MS

_CENTRE = NET_FRAMES // 2
_REACH = 4  # net frames to either side of the centre
_SIGMA = 2.3  # net frames
_BILABIAL_REACH = 2
_BILABIAL_SURE = 0.5
_DEAD_ZONE = 0.015  # less of a viseme than this is the net's noise, not speech
_JAW_RISE = 0.3  # most a jaw opens in one frame: a person takes some 80 ms to open wide
_ONSET = (0.4, 0.8)  # weight of a turn's first frames
_RELEASE = (0.75, 0.5, 0.25)  # weight of a turn's last frames
_FLUSH_SAMPLES = 2 * MODEL_SAMPLES + 200  # silence that drives the last net frames out of net and mel window
_QUIET = 3e-4  # peak of a chunk below which it is silence whatever the net says, about -70 dBFS

_WINDOW = np.exp(-0.5 * (np.arange(-_REACH, _REACH + 1) / _SIGMA) ** 2).astype(np.float32)
_WINDOW /= _WINDOW.sum()
_CLOSED = np.eye(len(VISEMES), dtype=np.float32)[SILENCE]


class MouthTrack:
    """One turn: chunks of 640 samples in, one mouth of twelve parameters out for each, three chunks later."""

    def __init__(self, net: VisemeNet) -> None:
        self._stream = NetStream(net)
        self._chunks = 0
        self._frames = 0
        self._before = _REACH - _CENTRE  # silent net frames before the turn that frame 0's window reaches
        self._visemes = np.tile(_CLOSED, (self._before, 1))  # probabilities from net frame 4 * _frames - before
        self._quiet: list[bool] = []
        self._jaw = 0.0  # of the last frame

    def push(self, samples: Float32) -> list[Float32]:
        """Add a chunk, float32 (640,) in -1..1; the mouths that became due."""
        if samples.shape != (MODEL_SAMPLES,):
            raise ValueError(f"a chunk has {MODEL_SAMPLES} samples, not {samples.shape}")
        self._chunks += 1
        self._quiet.append(bool(np.abs(samples).max() < _QUIET))
        self._take(_softmax(self._stream.push(samples)))
        return self._due(self._chunks - LOOKAHEAD_CHUNKS)

    def finish(self) -> list[Float32]:
        """End the turn: the mouths still owed, so that there was one for each chunk."""
        self._take(_softmax(self._stream.push(np.zeros(_FLUSH_SAMPLES, np.float32))))
        known = NET_FRAMES * (self._chunks - self._frames) + self._before
        self._visemes = np.concatenate([self._visemes[:known], np.tile(_CLOSED, (2 * _REACH, 1))])
        return self._due(self._chunks)

    def _take(self, visemes: Float32) -> None:
        self._visemes = np.concatenate([self._visemes, visemes])

    def _due(self, end: int) -> list[Float32]:
        mouths = []
        while self._frames < end:
            window = self._visemes[: 2 * _REACH + 1]
            mouth = _mouth(window) * self._weight(self._frames)
            self._jaw = mouth[JAW_OPEN] = min(mouth[JAW_OPEN], self._jaw + _JAW_RISE)
            mouths.append(mouth)
            self._visemes = self._visemes[NET_FRAMES:]
            self._frames += 1
        return mouths

    def _weight(self, frame: int) -> np.float32:
        """How much of the mouth shows: less at both ends of a turn, nothing in silence.

        The last frames are always made by finish(), when the number of chunks is final."""
        if self._quiet[frame]:
            return np.float32(0)
        from_end = self._chunks - frame  # 1 for the last frame; at least 4 while the turn goes on
        onset = _ONSET[frame] if frame < len(_ONSET) else 1.0
        release = _RELEASE[-from_end] if from_end <= len(_RELEASE) else 1.0
        return np.float32(min(onset, release))


def _softmax(scores: Float32) -> Float32:
    exponentials = np.exp(scores - scores.max(axis=1, keepdims=True)) if len(scores) else scores
    probabilities: Float32 = exponentials / exponentials.sum(axis=1, keepdims=True)
    return probabilities


def _mouth(window: Float32) -> Float32:
    """Viseme probabilities around a frame, (9, 15), to its mouth, float32 (12,)."""
    visemes = _WINDOW @ window
    bilabial = float(window[_REACH - _BILABIAL_REACH : _REACH + _BILABIAL_REACH + 1, BILABIAL].max())
    if bilabial > _BILABIAL_SURE:
        visemes = visemes * (1 - bilabial)
        visemes[BILABIAL] += bilabial
    mouth: Float32 = np.maximum(visemes - _DEAD_ZONE, 0) @ MOUTHS
    return mouth
