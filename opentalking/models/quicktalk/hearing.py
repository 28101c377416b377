"""Speech features of a turn while it is being heard: chinese-hubert-large, 50 vectors a second.

    turn      ▕████████████████████████████████████████████▏ heard so far
    window                 ▕░░░░░░░░░░░░░░░░░░▓▓▓▓▓▓▓▓▓▒▒▒▒▏
                            left context      kept     right context

The encoder looks in both directions, so no window gives exactly what the whole turn would. Each step therefore sees
LEFT_MS of what came before and RIGHT_FRAMES of what comes after, and only the middle is kept: where two steps meet,
either side was seen with both its neighbours. The convolutions in front have no padding and begin at whole frames, so
what they give is the same to rounding; what attention gives differs by what lies beyond the window.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from opentalking.models.adapter import ModelError
from opentalking.types import MODEL_RATE, Float32

FEATURES = 1024  # of one vector
HOP = 320  # samples between vectors
FIELD = 400  # samples that a vector's convolutions see, from its own start on
LEFT_MS = 1600
RIGHT_FRAMES = 3

_LEFT = LEFT_MS * MODEL_RATE // 1000 // HOP  # vectors
_PRIOR_SAMPLES = MODEL_RATE // 2  # how much the level that is assumed weighs against what was heard
_PRIOR_POWER = 0.05**2  # of speech, about -26 dBFS


class Encoder(Protocol):
    """What a turn is heard with."""

    normalises: bool  # whether the encoder was trained on sound of zero mean and unit variance

    def __call__(self, samples: Float32) -> Float32:
        """Vectors (n, 1024) of samples (…,), n = (samples - FIELD) // HOP + 1."""


class HubertEncoder:
    """The encoder of a local folder, in torch."""

    def __init__(self, folder: Path, device: str, threads: int) -> None:
        """Raises ModelError if a package is missing or the folder cannot be read."""
        try:
            import torch
            from transformers import HubertModel
        except ImportError as error:
            raise ModelError(f"quicktalk needs {error.name}: pip install 'opentalking[quicktalk]'") from error
        try:
            model: Any = HubertModel.from_pretrained(str(folder), local_files_only=True)
            self.normalises = _normalises(folder)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise ModelError(f"{folder} cannot be loaded: {error}") from error
        if model.config.hidden_size != FEATURES or int(np.prod(model.config.conv_stride)) != HOP:
            raise ModelError(f"{folder} is not chinese-hubert-large: quicktalk takes {FEATURES} features, 50 a second")
        if device == "cpu":
            torch.set_num_threads(threads)  # of the process: whichever model is loaded last has its way
        self._torch = torch
        self._device = device
        self._model = model.eval().to(device)

    def __call__(self, samples: Float32) -> Float32:
        with self._torch.inference_mode():
            heard = self._torch.from_numpy(np.ascontiguousarray(samples)).to(self._device)
            found: Float32 = self._model(heard[None]).last_hidden_state[0].float().cpu().numpy()
        return found


def _normalises(folder: Path) -> bool:
    """As the folder's preprocessor says; those of large encoders do."""
    described = folder / "preprocessor_config.json"
    return bool(json.loads(described.read_bytes()).get("do_normalize", True)) if described.is_file() else True


class Hearing:
    """One turn: samples in, vectors out once what they need of the future has been heard."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder = encoder
        self._samples: Float32 = np.zeros(0, np.float32)  # from vector `_first` on
        self._first = 0  # the vector at which `_samples` begin
        self._made = 0  # vectors given
        self._heard = 0
        self._sum = 0.0
        self._power = _PRIOR_SAMPLES * _PRIOR_POWER

    def push(self, samples: Float32) -> None:
        """Hear more: float32 (n,) in -1..1."""
        self._samples = np.concatenate([self._samples, samples])
        self._heard += len(samples)
        self._sum += float(samples.sum(dtype=np.float64))
        self._power += float(np.square(samples, dtype=np.float64).sum())

    def take(self, count: int) -> Float32:
        """The next `count` vectors, float32 (count, 1024); they and RIGHT_FRAMES more must have been heard."""
        skip = self._made - self._first
        end = (skip + count + RIGHT_FRAMES - 1) * HOP + FIELD
        if end > len(self._samples):
            raise ValueError(f"{count} vectors need {end - len(self._samples)} more samples")
        found = self._encoder(self._normalised(self._samples[:end]))[skip : skip + count]
        self._made += count
        forgotten = max(0, self._made - _LEFT - self._first)
        self._samples = self._samples[forgotten * HOP :]
        self._first += forgotten
        return found

    def _normalised(self, samples: Float32) -> Float32:
        """To zero mean and unit variance, as far as the turn is known; its beginning counts as speech of usual level.

        An utterance is otherwise normalised whole: silence before it must not be blown up to full level."""
        if not self._encoder.normalises:
            return samples
        known = self._heard + _PRIOR_SAMPLES
        mean = self._sum / known
        deviation = float(np.sqrt(self._power / known - mean**2 + 1e-7))
        return (samples - np.float32(mean)) / np.float32(deviation)
