"""The three published wav2lip networks, as tables: module names and shapes are those of the published checkpoints.

    mel (80 x 16) ── audio_encoder ──> 1 x 1
    face, 6 channels ── face_encoder_blocks, each half as wide ──> 1 x 1
                              │ skip              face_decoder_blocks: from the sound's 1 x 1, each twice as wide,
                              └──────────────────> the encoder's output of that size set beside ── output_block ──> BGR

The six channels are the face with its lower half blacked out, and the same face whole. A layer is stored as
`<list>.<block>.<layer>.conv_block.0` (convolution) and `.1` (batch norm). The 384 network weighs what goes up by
where the face's features are (`sam`) and stores an `audio_refine` that it does not use.

The layouts are facts of the files; sources are named in docs/models.md.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

Size = int | tuple[int, int]


@dataclass(frozen=True, slots=True)
class Layer:
    """A convolution, batch norm and ReLU; `residual` adds its input before the ReLU, `up` is a transposed one."""

    inputs: int
    outputs: int
    kernel: int = 3
    stride: Size = 1
    padding: int = 1
    residual: bool = False
    up: bool = False


Block = tuple[Layer, ...]


@dataclass(frozen=True, slots=True)
class Layout:
    """One network. `side` of its pictures, pixels."""

    side: int
    face_encoder: tuple[Block, ...]
    audio_encoder: Block
    face_decoder: tuple[Block, ...]
    attends: bool = False
    audio_refine: Block = ()


def _same(channels: int, count: int) -> Block:
    return (Layer(channels, channels, residual=True),) * count


def _down(inputs: int, outputs: int, residuals: int) -> Block:
    return (Layer(inputs, outputs, stride=2), *_same(outputs, residuals))


def _up(inputs: int, outputs: int, residuals: int = 2) -> Block:
    return (Layer(inputs, outputs, stride=2, up=True), *_same(outputs, residuals))


def _first_up(inputs: int, outputs: int, kernel: int) -> Block:
    """From 1 x 1 to kernel x kernel."""
    return (Layer(inputs, outputs, kernel, padding=0, up=True), *_same(outputs, 1))


def _point(channels: int, outputs: int | None = None) -> Layer:
    return Layer(channels, outputs or channels, kernel=1, padding=0)


_LOOK = Layer(6, 16, kernel=7, padding=3)
_HEAR: Block = (
    Layer(1, 32),
    *_same(32, 2),
    Layer(32, 64, stride=(3, 1)),
    *_same(64, 2),
    Layer(64, 128, stride=3),
    *_same(128, 2),
    Layer(128, 256, stride=(3, 2)),
)
_HEAR_512: Block = (*_HEAR, *_same(256, 1), Layer(256, 512, padding=0), _point(512))
_UP_FROM_12: tuple[Block, ...] = (_up(512, 256), _up(320, 128), _up(160, 64))

LAYOUTS = {
    96: Layout(
        side=96,
        face_encoder=(
            (_LOOK,),
            _down(16, 32, 2),
            _down(32, 64, 3),
            _down(64, 128, 2),
            _down(128, 256, 2),
            _down(256, 512, 1),
            (Layer(512, 512, padding=0), _point(512)),
        ),
        audio_encoder=_HEAR_512,
        face_decoder=((_point(512),), _first_up(1024, 512, 3), _up(1024, 512), _up(768, 384), *_UP_FROM_12),
    ),
    256: Layout(
        side=256,
        face_encoder=(
            (_LOOK,),
            _down(16, 32, 2),
            _down(32, 64, 3),
            _down(64, 128, 2),
            _down(128, 256, 2),
            _down(256, 512, 1),
            _down(512, 512, 1),
            (Layer(512, 512, kernel=4, padding=0), _point(512)),
        ),
        audio_encoder=_HEAR_512,
        face_decoder=(
            (_point(512),),
            _first_up(1024, 512, 4),
            _up(1024, 512, 1),
            _up(1024, 512),
            _up(768, 384),
            *_UP_FROM_12,
        ),
    ),
    384: Layout(
        side=384,
        face_encoder=(
            (_LOOK, *_same(16, 3)),
            _down(16, 32, 3),
            _down(32, 64, 3),
            _down(64, 128, 3),
            _down(128, 256, 3),
            _down(256, 512, 3),
            _down(512, 1024, 3),
            (Layer(1024, 1024, padding=0), _point(1024), _point(1024)),
        ),
        audio_encoder=(
            *_HEAR,
            *_same(256, 2),
            Layer(256, 512),
            *_same(512, 2),
            Layer(512, 1024, padding=0),
            _point(1024),
        ),
        face_decoder=(
            (_point(1024),),
            _first_up(2048, 1024, 3),
            _up(2048, 1024),
            _up(1536, 768),
            _up(1024, 512),
            _up(640, 256),
            _up(320, 128),
            _up(160, 64),
        ),
        attends=True,
        audio_refine=(_point(1024), _point(1024)),
    ),
}


class _Convolution(nn.Module):
    """One layer of the table."""

    def __init__(self, layer: Layer) -> None:
        super().__init__()
        shape = layer.inputs, layer.outputs, layer.kernel, layer.stride, layer.padding
        widening = layer.up and layer.stride != 1  # twice the size exactly: one row more than a stride of 2 gives
        convolution = nn.ConvTranspose2d(*shape, output_padding=int(widening)) if layer.up else nn.Conv2d(*shape)
        self.conv_block = nn.Sequential(convolution, nn.BatchNorm2d(layer.outputs))
        self._residual = layer.residual

    def forward(self, features: Tensor) -> Tensor:
        passed: Tensor = self.conv_block(features)
        return torch.relu(passed + features if self._residual else passed)


class _Where(nn.Module):
    """How much each place counts, 0..1: a 7 x 7 convolution over the channels' mean and maximum."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(2, 1, 7, padding=3, bias=False)

    def forward(self, features: Tensor) -> Tensor:
        summary = torch.cat([features.mean(1, keepdim=True), features.amax(1, keepdim=True)], 1)
        return torch.sigmoid(self.conv1(summary))


class _Attention(nn.Module):
    """What goes up, more of it where the face's features say."""

    def __init__(self) -> None:
        super().__init__()
        self.sa = _Where()

    def forward(self, features: Tensor, rising: Tensor) -> Tensor:
        where: Tensor = self.sa(features)
        return rising * (1 + where)


class Wav2LipNet(nn.Module):
    """A network of `LAYOUTS`."""

    def __init__(self, layout: Layout) -> None:
        super().__init__()
        self.sam = _Attention() if layout.attends else None
        self.face_encoder_blocks = nn.ModuleList(map(_sequence, layout.face_encoder))
        self.audio_encoder = _sequence(layout.audio_encoder)
        if layout.audio_refine:
            self.audio_refine = _sequence(layout.audio_refine)
        self.face_decoder_blocks = nn.ModuleList(map(_sequence, layout.face_decoder))
        self.output_block = nn.Sequential(_Convolution(Layer(80, 32)), nn.Conv2d(32, 3, 1), nn.Sigmoid())

    def forward(self, mels: Tensor, faces: Tensor) -> Tensor:
        """Mels (n, 1, 80, 16) and faces (n, 6, side, side) in 0..1 to pictures (n, 3, side, side) in 0..1."""
        seen: list[Tensor] = []
        for block in self.face_encoder_blocks:
            seen.append(block(seen[-1] if seen else faces))
        rising: Tensor = self.audio_encoder(mels)
        for block, features in zip(self.face_decoder_blocks, reversed(seen), strict=True):
            rising = block(rising)
            if self.sam is not None:
                rising = self.sam(features, rising)
            rising = torch.cat([rising, features], 1)
        pictures: Tensor = self.output_block(rising)
        return pictures


def _sequence(block: Block) -> nn.Sequential:
    return nn.Sequential(*map(_Convolution, block))
