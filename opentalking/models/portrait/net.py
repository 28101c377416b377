"""The net that hears visemes: a causal convolution stack over log-mel frames, streaming, in NumPy alone.

    mel 40 ─ conv 5, ReLU ─ 80 ─┬─ 6 x [ x + ReLU(conv 3, dilation d) ]  d = 1 2 4 8 4 1 ─┬─ 15
                                └───────────── batch norm is folded ─────────────────────┘

The outputs are viseme scores, before softmax. It was trained (by `training/`) to answer `lookahead` frames late: output
i + lookahead speaks of frame i. Between pushes each layer keeps the inputs that its kernel reaches back to, so pieces
give what the whole would.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from opentalking.models.portrait.mel import BANDS, MelStream
from opentalking.types import Float32

WEIGHTS = Path(__file__).parent / "data" / "viseme_net.npz"
INPUT_KERNEL = 5
BLOCK_KERNEL = 3
DILATIONS = (1, 2, 4, 8, 4, 1)


@dataclass(frozen=True)
class VisemeNet:
    """Weights, shared by all streams. A convolution's kernel is (taps * inputs, outputs), oldest tap first."""

    mean: Float32  # (40,)
    deviation: Float32  # (40,)
    input_kernel: Float32  # (5 * 40, 80)
    input_bias: Float32  # (80,)
    block_kernels: Float32  # (6, 3 * 80, 80)
    block_biases: Float32  # (6, 80)
    output_kernel: Float32  # (80, 15)
    output_bias: Float32  # (15,)
    lookahead: int  # frames of 10 ms

    @classmethod
    def load(cls, path: Path = WEIGHTS) -> VisemeNet:
        with np.load(path, allow_pickle=False) as stored:
            arrays = {name: stored[name].astype(np.float32) for name in stored.files if name != "lookahead"}
            return cls(**arrays, lookahead=int(stored["lookahead"]))

    def save(self, path: Path) -> None:
        """Store in half precision: it halves the file and moves no score by more than a hundredth."""
        stored = {name: np.asarray(value) for name, value in vars(self).items()}
        halves = {name: value.astype(np.float16) if value.ndim > 1 else value for name, value in stored.items()}
        np.savez_compressed(path, allow_pickle=False, **halves)


class NetStream:
    """One turn's way through the net."""

    def __init__(self, net: VisemeNet) -> None:
        self._net = net
        self._mel = MelStream()
        channels = len(net.input_bias)
        self._input_past = np.zeros((INPUT_KERNEL - 1, BANDS), np.float32)
        self._pasts = [np.zeros(((BLOCK_KERNEL - 1) * d, channels), np.float32) for d in DILATIONS]
        self._to_skip = net.lookahead

    def push(self, samples: Float32) -> Float32:
        """Add float32 samples at 16 kHz; viseme scores that became known, (frames, 15), frame 0 of the turn first."""
        scores = self.outputs((self._mel.push(samples) - self._net.mean) / self._net.deviation)
        skipped = min(self._to_skip, len(scores))
        self._to_skip -= skipped
        return scores[skipped:]

    def outputs(self, normalised_mel: Float32) -> Float32:
        """Scores for frames of normalised mel, (frames, 40) -> (frames, 15), still late by the look-ahead."""
        net, frames = self._net, len(normalised_mel)
        if frames == 0:
            return np.zeros((0, len(net.output_bias)), np.float32)
        reach = np.concatenate([self._input_past, normalised_mel])
        self._input_past = reach[frames:]
        hidden = np.maximum(_taps(reach, INPUT_KERNEL, 1, frames) @ net.input_kernel + net.input_bias, 0)
        for block, dilation in enumerate(DILATIONS):
            reach = np.concatenate([self._pasts[block], hidden])
            self._pasts[block] = reach[frames:]
            moved = _taps(reach, BLOCK_KERNEL, dilation, frames) @ net.block_kernels[block] + net.block_biases[block]
            hidden = hidden + np.maximum(moved, 0)
        outputs: Float32 = hidden @ net.output_kernel + net.output_bias
        return outputs


def _taps(reach: Float32, kernel: int, dilation: int, frames: int) -> Float32:
    """The inputs each output frame sees, side by side: (frames, kernel * channels)."""
    return np.concatenate([reach[tap * dilation : tap * dilation + frames] for tap in range(kernel)], axis=1)
