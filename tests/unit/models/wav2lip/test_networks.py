"""The networks have the published checkpoints' names and shapes, and keep one picture apart from the next."""

from __future__ import annotations

import pytest
import torch

from opentalking.models.wav2lip.networks import LAYOUTS, Wav2LipNet
from tests.support.wav2lip_weights import random_network


def on_meta(side: int) -> Wav2LipNet:
    """Names and shapes alone, no numbers."""
    with torch.device("meta"):
        return Wav2LipNet(LAYOUTS[side]).eval()


@pytest.mark.parametrize(("side", "millions"), [(96, 36.3), (256, 53.6), (384, 172.7)])
def test_it_has_as_many_parameters_as_the_published_one(side: int, millions: float) -> None:
    count = sum(parameter.numel() for parameter in on_meta(side).parameters())
    assert round(count / 1e6, 1) == millions


@pytest.mark.parametrize("side", [96, 256, 384])
def test_mel_and_six_channels_become_a_picture_of_the_same_side(side: int) -> None:
    mels, faces = (torch.zeros(*shape, device="meta") for shape in ((2, 1, 80, 16), (2, 6, side, side)))
    assert on_meta(side)(mels, faces).shape == (2, 3, side, side)


@pytest.mark.parametrize(
    ("side", "name", "shape"),
    [
        (96, "face_encoder_blocks.0.0.conv_block.0.weight", (16, 6, 7, 7)),
        (96, "face_encoder_blocks.2.3.conv_block.1.running_var", (64,)),
        (96, "face_encoder_blocks.6.1.conv_block.0.weight", (512, 512, 1, 1)),
        (96, "audio_encoder.12.conv_block.0.bias", (512,)),
        (96, "face_decoder_blocks.1.0.conv_block.0.weight", (1024, 512, 3, 3)),
        (96, "face_decoder_blocks.6.2.conv_block.1.num_batches_tracked", ()),
        (96, "output_block.0.conv_block.0.weight", (32, 80, 3, 3)),
        (96, "output_block.1.weight", (3, 32, 1, 1)),
        (256, "face_encoder_blocks.7.0.conv_block.0.weight", (512, 512, 4, 4)),
        (256, "face_decoder_blocks.1.0.conv_block.0.weight", (1024, 512, 4, 4)),
        (256, "face_decoder_blocks.7.0.conv_block.0.weight", (160, 64, 3, 3)),
        (384, "sam.sa.conv1.weight", (1, 2, 7, 7)),
        (384, "audio_refine.1.conv_block.0.weight", (1024, 1024, 1, 1)),
        (384, "audio_encoder.16.conv_block.0.weight", (1024, 1024, 1, 1)),
        (384, "face_encoder_blocks.0.3.conv_block.0.weight", (16, 16, 3, 3)),
        (384, "face_encoder_blocks.7.2.conv_block.0.weight", (1024, 1024, 1, 1)),
        (384, "face_decoder_blocks.3.0.conv_block.0.weight", (1536, 768, 3, 3)),
    ],
)
def test_names_and_shapes_are_the_published_ones(side: int, name: str, shape: tuple[int, ...]) -> None:
    assert on_meta(side).state_dict()[name].shape == shape


def test_nothing_else_is_stored() -> None:
    lists = {"face_encoder_blocks", "audio_encoder", "face_decoder_blocks", "output_block"}
    assert {name.partition(".")[0] for name in on_meta(96).state_dict()} == lists
    assert {name.partition(".")[0] for name in on_meta(256).state_dict()} == lists
    assert {name.partition(".")[0] for name in on_meta(384).state_dict()} == {*lists, "sam", "audio_refine"}
    assert [len(on_meta(side).state_dict()) for side in (96, 256, 384)] == [352, 380, 507]


def test_attention_weighs_what_goes_up_by_where_the_face_is() -> None:
    attention = on_meta(384).sam
    assert attention is not None
    attention = attention.to_empty(device="cpu")
    torch.nn.init.zeros_(attention.sa.conv1.weight)
    rising = torch.rand(1, 4, 8, 8)
    torch.testing.assert_close(attention(torch.rand(1, 6, 8, 8), rising), rising * 1.5)  # sigmoid(0) more


def test_pictures_of_one_pass_do_not_touch_each_other() -> None:
    network = random_network(96, seed=2)
    mels, faces = torch.rand(3, 1, 80, 16), torch.rand(3, 6, 96, 96)
    with torch.inference_mode():
        together = network(mels, faces)
        alone = torch.cat([network(mels[row : row + 1], faces[row : row + 1]) for row in range(3)])
    torch.testing.assert_close(together, alone, atol=1e-4, rtol=0)
    assert (together[0] - together[1]).abs().max() > 0.1
