"""The network on its device: what is black, what is whole, and in which arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from opentalking.config import Settings
from opentalking.models.wav2lip.synthesis import Synthesis
from tests.unit.models.wav2lip.bundles import picture

SILENCE = np.full((80, 16), -4, np.float32)


class Listening(nn.Module):
    """In the network's place: keeps what it was given, and paints the last three channels."""

    def forward(self, mels: torch.Tensor, faces: torch.Tensor) -> torch.Tensor:
        self.given = mels, faces
        self.arithmetic = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32
        return faces[:, 3:]


def synthesis(**settings: Any) -> tuple[Synthesis, Listening]:
    network: Any = Listening()
    return Synthesis(network, 96, "cpu", Settings(wav2lip_cpu_threads=1, **settings)), network


def test_the_network_sees_the_face_without_its_lower_half_and_the_face() -> None:
    under_test, network = synthesis()
    face = picture()[100:196, 100:196]
    faces = under_test.faces([face])
    painted = under_test.paint([SILENCE], [faces[0]])
    mels, seen = network.given
    assert mels.shape == (1, 1, 80, 16) and seen.shape == (1, 6, 96, 96)
    np.testing.assert_array_equal(painted[0], face)  # BGR as it came, through 0..1 and back
    masked, whole = (seen[0, part].permute(1, 2, 0).numpy() for part in (slice(3), slice(3, 6)))
    np.testing.assert_allclose(whole * 255, face, atol=1e-3)
    np.testing.assert_array_equal(masked[:48], whole[:48])
    assert not masked[48:].any()


@pytest.mark.parametrize(
    ("wish", "expected"),
    [("auto", torch.float32), ("float32", torch.float32), ("bfloat16", torch.bfloat16)],
)
def test_arithmetic_is_as_set_and_single_on_the_cpu(wish: str, expected: torch.dtype) -> None:
    under_test, network = synthesis(wav2lip_precision=wish)
    under_test.paint([SILENCE], [under_test.faces([picture()[:96, :96]])[0]])
    assert network.arithmetic == expected


def test_threads_are_as_set() -> None:
    synthesis()
    assert torch.get_num_threads() == 1
