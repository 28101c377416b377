"""Random weights in the published layout, such that the picture depends on the sound and on the face.

Batch norms are set by one pass over noise, else forty layers would leave nothing of either, or everything saturated.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from opentalking.models.wav2lip.networks import LAYOUTS, Wav2LipNet


def random_network(side: int, seed: int = 1) -> Wav2LipNet:
    """Takes a second or two at 96 pixels, ten at 384."""
    generator = torch.Generator().manual_seed(seed)
    network = Wav2LipNet(LAYOUTS[side])
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            fan_in = module.weight.numel() / module.out_channels
            nn.init.normal_(module.weight, std=(2 / fan_in) ** 0.5, generator=generator)
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 1.0
    count = max(2, 768 // side)  # of two, a spread can be so small that norms make noise of rounding
    mels = torch.rand(count, 1, 80, 16, generator=generator) * 8 - 4
    faces = torch.rand(count, 6, side, side, generator=generator)
    with torch.no_grad():
        network.train()(mels, faces)
    return network.eval()


def write_random_checkpoint(path: Path, side: int = 96, seed: int = 1) -> Path:
    """As the published files are: under `state_dict`, names begun with `module.`."""
    state = {f"module.{name}": weight for name, weight in random_network(side, seed).state_dict().items()}
    torch.save({"state_dict": state, "global_step": 0}, path)
    return path
