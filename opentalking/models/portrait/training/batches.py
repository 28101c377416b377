"""Pieces of training speech, changed at random in what differs between voices, rooms and microphones.

Done on log-mel frames, where it costs little: another length of the vocal tract (a warp of the band axis), tempo, tone
and level, noise of several colours, a telephone's band, and bands struck out (SpecAugment, arXiv:1904.08779).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from opentalking.models.portrait.mel import BANDS, MelStream, band_edges
from opentalking.models.portrait.training.labelled import Clip
from opentalking.models.portrait.visemes import SILENCE
from opentalking.types import MODEL_RATE, Float32, UInt8

FLOOR = 1e-6  # mel.py adds it to a band's energy
_NOISE_SECONDS = 20


@dataclass(frozen=True)
class Strength:
    """How much pieces are changed; 0 switches one off."""

    warp: float = 0.08  # vocal tract up to so much longer or shorter
    tempo: float = 0.15
    tone: float = 0.7  # nepers, deviation of the power of low bands against high ones
    level: float = 1.5  # nepers of power, deviation
    noise: float = 0.6  # share of pieces
    narrow: float = 0.1  # share of pieces
    struck: float = 0.5  # share of pieces


class Pieces:
    """Draws pieces of `length` frames out of clips, evenly over all time. The same seed draws the same."""

    def __init__(self, clips: Sequence[Clip], length: int, seed: int, strength: Strength | None = None) -> None:
        self._clips, self._length, self._strength = clips, length, strength or Strength()
        self._rng = np.random.default_rng(seed)
        frames = np.array([len(clip.visemes) for clip in clips], float)
        self._share = frames / frames.sum()
        self._noises = _noises(self._rng)
        every = np.concatenate([clip.mel for clip in clips])
        self.mean: Float32 = every.mean(0).astype(np.float32)
        self.deviation: Float32 = every.std(0).astype(np.float32)

    def draw(self, count: int, ahead: int) -> tuple[Float32, UInt8]:
        """Normalised mel (count, 40, length + ahead) and visemes (count, length) of the first frames."""
        total = self._length + ahead
        mels = np.empty((count, BANDS, total), np.float32)
        visemes = np.empty((count, self._length), np.uint8)
        for row, index in enumerate(self._rng.choice(len(self._clips), count, p=self._share)):
            mel, labels = self._piece(self._clips[index], total)
            mels[row] = self._strike(((self._changed(mel) - self.mean) / self.deviation).T)
            visemes[row] = labels[: self._length]
        return mels, visemes

    def _piece(self, clip: Clip, frames: int) -> tuple[Float32, UInt8]:
        """Consecutive frames of a clip at another tempo, with silence where it has no more."""
        tempo = 1 + self._strength.tempo * self._rng.uniform(-1, 1)
        span = int(frames * tempo) + 1
        start = self._rng.integers(-20, max(1, len(clip.visemes) - span // 2))
        places = start + np.arange(frames) * tempo
        inside = (places >= 0) & (places < len(clip.visemes) - 1)
        low = np.clip(places.astype(int), 0, len(clip.visemes) - 2)
        part = (places - low).astype(np.float32)[:, None]
        mel = clip.mel[low] * (1 - part) + clip.mel[low + 1] * part
        mel[~inside] = np.log(FLOOR)
        labels = np.where(inside, clip.visemes[np.clip(np.rint(places).astype(int), 0, len(clip.visemes) - 1)], SILENCE)
        return mel.astype(np.float32), labels.astype(np.uint8)

    def _changed(self, mel: Float32) -> Float32:
        rng, strength = self._rng, self._strength
        warped = mel @ warp(1 + strength.warp * rng.uniform(-1, 1))
        tone = strength.tone * rng.standard_normal() * np.linspace(-1, 1, BANDS)
        ripple = 0.4 * strength.tone * np.interp(np.arange(BANDS), np.linspace(0, BANDS - 1, 7), rng.standard_normal(7))
        gain = tone + ripple + strength.level * (rng.standard_normal() - 0.3)
        if rng.random() < strength.narrow:
            bands = np.arange(BANDS)
            gain = gain - 8.0 * (bands >= rng.integers(28, BANDS)) - 4.0 * (bands < rng.integers(0, 5))
        power = np.maximum(np.exp(warped) - FLOOR, 0) * np.exp(gain)
        if rng.random() < strength.noise:
            noise = self._noises[rng.integers(len(self._noises))]
            start = rng.integers(len(noise) - len(mel))
            power += noise[start : start + len(mel)] * (power.mean() * 10 ** -rng.uniform(1.2, 4.5))
        changed: Float32 = np.log(power + FLOOR).astype(np.float32)
        return changed

    def _strike(self, normalised: Float32) -> Float32:
        if self._rng.random() < self._strength.struck:
            low = self._rng.integers(0, BANDS - 6)
            normalised[low : low + self._rng.integers(1, 7)] = 0
        return normalised


def warp(factor: float) -> Float32:
    """(40, 40): log-mel frames times this have their formants moved by `factor`."""
    edges = band_edges()
    places = np.interp(edges[1:-1] / factor, edges, np.arange(BANDS + 2) - 1.0).clip(
        0, BANDS - 1
    )  # where each came from
    low = np.minimum(places.astype(int), BANDS - 2)
    part = places - low
    matrix = np.zeros((BANDS, BANDS), np.float32)
    matrix[low, np.arange(BANDS)] = 1 - part
    matrix[low + 1, np.arange(BANDS)] += part
    return matrix


def _noises(rng: np.random.Generator) -> list[Float32]:
    """Mel power of white, pink and brown noise, each (frames, 40), mean 1."""
    white = np.fft.rfft(rng.standard_normal(_NOISE_SECONDS * MODEL_RATE))
    frequency = np.maximum(np.arange(len(white)) / _NOISE_SECONDS, 50.0)
    powers = []
    for slope in (0.0, 0.5, 1.0):
        sound = np.fft.irfft(white / frequency**slope)
        power = np.exp(MelStream().push((0.1 * sound / sound.std()).astype(np.float32))) - FLOOR
        powers.append((power / power.mean()).astype(np.float32))
    return powers
