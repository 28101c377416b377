"""Turn a trained torch checkpoint of the viseme net into the `data/viseme_net.npz` that net.py reads.

    python -m opentalking.models.portrait.convert checkpoint.pt [viseme_net.npz]

A checkpoint is a dict: `sd` the state dict of the module below, `mu` and `sdv` mean and deviation of the mel bands in
the training set, `LA` the look-ahead in frames. Only this module needs torch; nothing imports it when the face runs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np

from opentalking.models.portrait.net import DILATIONS, WEIGHTS, VisemeNet
from opentalking.types import Float32


def torch_module(channels: int = 80, bands: int = 40, outputs: int = 21) -> Any:
    """The net as it was trained: torch.nn.Module, (batch, 40, frames) -> (batch, 21, frames)."""
    from torch import Tensor, nn
    from torch.nn import functional

    class Block(nn.Module):
        def __init__(self, dilation: int) -> None:
            super().__init__()
            self.c = nn.Conv1d(channels, channels, 3, dilation=dilation)
            self.n = nn.BatchNorm1d(channels)
            self.reach = 2 * dilation

        def forward(self, x: Tensor) -> Tensor:
            return x + functional.relu(self.n(self.c(functional.pad(x, (self.reach, 0)))))

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.i = nn.Conv1d(bands, channels, 5)
            self.b = nn.Sequential(*[Block(dilation) for dilation in DILATIONS])
            self.o = nn.Conv1d(channels, outputs, 1)

        def forward(self, x: Tensor) -> Tensor:
            hidden: Tensor = self.o(self.b(functional.relu(self.i(functional.pad(x, (4, 0))))))
            return hidden

    return Net()


def fold(checkpoint: dict[str, Any]) -> VisemeNet:
    """The NumPy net equal to the checkpoint in evaluation mode: batch norm becomes part of each block's convolution."""
    state = {name: np.asarray(tensor, np.float32) for name, tensor in checkpoint["sd"].items()}
    kernels, biases = [], []
    for block in range(len(DILATIONS)):
        norm = f"b.{block}.n."
        gain = state[norm + "weight"] / np.sqrt(state[norm + "running_var"] + 1e-5)
        kernels.append(_as_matrix(state[f"b.{block}.c.weight"] * gain[:, None, None]))
        biases.append((state[f"b.{block}.c.bias"] - state[norm + "running_mean"]) * gain + state[norm + "bias"])
    return VisemeNet(
        mean=np.asarray(checkpoint["mu"], np.float32),
        deviation=np.asarray(checkpoint["sdv"], np.float32),
        input_kernel=_as_matrix(state["i.weight"]),
        input_bias=state["i.bias"],
        block_kernels=np.stack(kernels),
        block_biases=np.stack(biases),
        output_kernel=_as_matrix(state["o.weight"]),
        output_bias=state["o.bias"],
        lookahead=int(checkpoint["LA"]),
    )


def _as_matrix(kernel: Float32) -> Float32:
    """(outputs, inputs, taps) as torch keeps it -> (taps * inputs, outputs)."""
    outputs = kernel.shape[0]
    return np.ascontiguousarray(kernel.transpose(2, 1, 0).reshape(-1, outputs), np.float32)


def main(arguments: list[str]) -> None:
    import torch
    from numpy._core.multiarray import _reconstruct

    source, target = Path(arguments[0]), Path(arguments[1]) if len(arguments) > 1 else WEIGHTS
    allowed: list[Any] = [_reconstruct, np.ndarray, np.dtype, np.dtypes.Float32DType, np.dtypes.Float64DType]
    with torch.serialization.safe_globals(allowed):
        checkpoint = torch.load(source, weights_only=True)
    fold(checkpoint).save(target)


if __name__ == "__main__":
    main(sys.argv[1:])
