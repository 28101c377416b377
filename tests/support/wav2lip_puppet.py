"""A wav2lip checkpoint by construction: the 96 network as a puppet whose mouth opens as wide as the sound is loud.

No training: nearly all weights are zero, and the rest compute, in the published layout and nothing else,

    sound    loudness: the mean of the first 5 columns of the window, over all bands
    decoder  from 1 x 1 up: loudness, one, row and column. A transposed convolution tells even places from odd ones, so
             each level doubles the coordinates and adds one to the odd
    picture  the whole face as it came; where loudness - |row - mouth| - flatness * |column - mouth| > 0, dark

Random weights show that everything has its place; this shows that it means the right thing: which half is masked, which
channel is blue, which axis of the mel is time, which frame a sound belongs to. It puts its mouth where the packaged
presenter has hers.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from opentalking.models.wav2lip.networks import LAYOUTS, Wav2LipNet

ROW, COLUMN = 73, 48  # of the presenter's mouth in her crop
_FLATNESS = 0.5
_QUIET = 1.4  # mean mel above its floor at which the mouth begins to open
_PIXELS = 5.0  # half the opening's height for each further unit of it
_DARK = 7.0  # taken off the logit
_KNOTS = np.array(
    [0.0, 0.03, 0.08, 0.16, 0.3, 0.5, 0.7, 0.84, 0.92, 0.97]
)  # of the sigmoid's inverse, in straight pieces
_LOUDNESS, _ONE, _ROWS, _COLUMNS, _BELOW, _ABOVE, _RIGHT, _LEFT, _OPEN = range(9)  # the decoder's channels


def puppet() -> Wav2LipNet:
    network: Any = Wav2LipNet(LAYOUTS[96]).eval()
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.zeros_(module.weight)
            nn.init.zeros_(module.bias)
    with torch.no_grad():
        _hear(network)
        _spread(network)
        _open_mouth(network)
        _show(network)
    return network  # type: ignore[no-any-return]


def write_puppet(path: Path) -> Path:
    torch.save({"state_dict": puppet().state_dict()}, path)
    return path


def _convolution(block: Any) -> Any:
    return block.conv_block[0]


def _hear(network: Any) -> None:
    layers = [_convolution(block) for block in network.audio_encoder]
    layers[0].weight[0, 0, 1, 1], layers[0].bias[0] = 1, 4  # above the floor
    layers[3].weight[0, 0, :, 1] = 1 / 3  # over bands
    layers[6].weight[0, 0] = 1 / 9  # over bands and columns: 0..1, then 2..4
    layers[9].weight[0, 0, :, 1:] = 1 / 6  # those two
    layers[11].weight[0, 0, :, 0] = 1 / 3  # the first of the three moments left
    layers[11].bias[_ONE] = 1
    layers[12].weight[_LOUDNESS, 0] = _PIXELS
    layers[12].bias[_LOUDNESS] = -_PIXELS * _QUIET
    layers[12].weight[_ONE, _ONE] = 1


def _spread(network: Any) -> None:
    point, first, *doubling = (_convolution(block[0]).weight for block in network.face_decoder_blocks)
    for channel in (_LOUDNESS, _ONE):
        point[channel, channel] = 1
        first[channel, channel] = 1
    first[_ONE, _ROWS] = torch.arange(3.0)[:, None]
    first[_ONE, _COLUMNS] = torch.arange(3.0)
    for weight in doubling:  # taps 1 and 2 make the even and the odd places
        for channel, factor in ((_LOUDNESS, 1), (_ONE, 1), (_ROWS, 2), (_COLUMNS, 2)):
            weight[channel, channel, 1:, 1:] = factor
        weight[_ONE, _ROWS, 2, 1:] = 1
        weight[_ONE, _COLUMNS, 1:, 2] = 1


def _open_mouth(network: Any) -> None:
    _, distances, opening = (_convolution(block) for block in network.face_decoder_blocks[-1])
    for channel, coordinate, sign, middle in (
        (_BELOW, _ROWS, 1, ROW),
        (_ABOVE, _ROWS, -1, ROW),
        (_RIGHT, _COLUMNS, 1, COLUMN),
        (_LEFT, _COLUMNS, -1, COLUMN),
    ):
        distances.weight[channel, coordinate, 1, 1] = sign
        distances.bias[channel] = -sign * middle
    opening.weight[_OPEN, _LOUDNESS, 1, 1] = 1
    for channel, factor in ((_BELOW, 1), (_ABOVE, 1), (_RIGHT, _FLATNESS), (_LEFT, _FLATNESS)):
        opening.weight[_OPEN, channel, 1, 1] = -factor


def _show(network: Any) -> None:
    look = _convolution(network.face_encoder_blocks[0][0])
    pieces, colours = _convolution(network.output_block[0]), network.output_block[1]
    logits = np.log(np.clip(_KNOTS, 0.005, 1)) - np.log(1 - _KNOTS)
    slopes = np.append(np.diff(logits) / np.diff(_KNOTS), 60.0)
    bends = np.diff(slopes, prepend=0)
    for colour in range(3):
        look.weight[colour, 3 + colour, 3, 3] = 1  # the whole face, not the masked
        for knot, (start, bend) in enumerate(zip(_KNOTS, bends, strict=True)):
            channel = colour * len(_KNOTS) + knot
            pieces.weight[channel, 64 + colour, 1, 1], pieces.bias[channel] = 1, -start
            colours.weight[colour, channel] = bend
        colours.bias[colour] = logits[0]
        colours.weight[colour, 30], colours.weight[colour, 31] = -_DARK, _DARK  # full after one pixel
    for channel, start in ((30, 0), (31, 1)):
        pieces.weight[channel, _OPEN, 1, 1], pieces.bias[channel] = 1, -start
