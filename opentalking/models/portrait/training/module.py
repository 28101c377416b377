"""The viseme net as torch trains it, and how it becomes the NumPy net of net.py."""

from __future__ import annotations

import numpy as np
from torch import Tensor, nn
from torch.nn import functional

from opentalking.models.portrait.mel import BANDS
from opentalking.models.portrait.net import BLOCK_KERNEL, DILATIONS, INPUT_KERNEL, VisemeNet
from opentalking.models.portrait.visemes import VISEMES
from opentalking.types import Float32

CHANNELS = 80
LOOKAHEAD = 8  # frames of 10 ms; MouthTrack's LOOKAHEAD_MS counts on it


class _Block(nn.Module):
    def __init__(self, dilation: int) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(CHANNELS, CHANNELS, BLOCK_KERNEL, dilation=dilation)
        self.norm = nn.BatchNorm1d(CHANNELS)
        self._reach = (BLOCK_KERNEL - 1) * dilation

    def forward(self, x: Tensor) -> Tensor:
        return x + functional.relu(self.norm(self.convolution(functional.pad(x, (self._reach, 0)))))


class CausalNet(nn.Module):
    """(batch, 40, frames) of normalised mel -> (batch, 15, frames) of scores, late by the look-ahead."""

    def __init__(self) -> None:
        super().__init__()
        self.input = nn.Conv1d(BANDS, CHANNELS, INPUT_KERNEL)
        self.blocks = nn.ModuleList(_Block(dilation) for dilation in DILATIONS)
        self.output = nn.Conv1d(CHANNELS, len(VISEMES), 1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = functional.relu(self.input(functional.pad(x, (INPUT_KERNEL - 1, 0))))
        for block in self.blocks:
            hidden = block(hidden)
        scores: Tensor = self.output(hidden)
        return scores


def fold(module: CausalNet, mean: Float32, deviation: Float32) -> VisemeNet:
    """The NumPy net equal to the module in evaluation mode: batch norm becomes part of each block's convolution.

    `mean` and `deviation` (40,) are those that the module's input was normalised by.
    """
    state = {name: np.asarray(tensor.detach(), np.float32) for name, tensor in module.state_dict().items()}
    kernels, biases = [], []
    for block in range(len(DILATIONS)):
        norm, convolution = f"blocks.{block}.norm.", f"blocks.{block}.convolution."
        gain = state[norm + "weight"] / np.sqrt(state[norm + "running_var"] + 1e-5)
        kernels.append(_as_matrix(state[convolution + "weight"] * gain[:, None, None]))
        biases.append((state[convolution + "bias"] - state[norm + "running_mean"]) * gain + state[norm + "bias"])
    return VisemeNet(
        mean=mean,
        deviation=deviation,
        input_kernel=_as_matrix(state["input.weight"]),
        input_bias=state["input.bias"],
        block_kernels=np.stack(kernels),
        block_biases=np.stack(biases),
        output_kernel=_as_matrix(state["output.weight"]),
        output_bias=state["output.bias"],
        lookahead=LOOKAHEAD,
    )


def _as_matrix(kernel: Float32) -> Float32:
    """(outputs, inputs, taps) as torch keeps it -> (taps * inputs, outputs)."""
    outputs = kernel.shape[0]
    return np.ascontiguousarray(kernel.transpose(2, 1, 0).reshape(-1, outputs), np.float32)
