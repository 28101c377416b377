"""The NumPy net is the torch net, in pieces as in one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from opentalking.models.adapter import ModelError
from opentalking.models.portrait.adapter import PortraitAdapter
from opentalking.models.portrait.mel import BANDS, HOP, MelStream
from opentalking.models.portrait.net import WEIGHTS, NetStream, VisemeNet
from opentalking.models.portrait.training.module import CausalNet, fold
from opentalking.models.portrait.visemes import MOUTHS, PARAMETERS, SILENCE, VISEMES
from opentalking.types import Float32

NOISE = (0.1 * np.random.default_rng(1).standard_normal(16_000)).astype(np.float32)


@pytest.fixture(scope="module")
def net() -> VisemeNet:
    """Random weights, with batch-norm statistics that are nothing like the neutral ones, folded."""
    return fold(random_module(), *normalisation())


def random_module() -> CausalNet:
    torch.manual_seed(3)
    module = CausalNet()
    for name, tensor in module.state_dict().items():
        if "running_var" in name:
            tensor.uniform_(0.5, 2.0)
        elif "running_mean" in name or (".norm." in name and tensor.is_floating_point()):
            tensor.normal_(0.3, 0.5)
    module.eval()
    return module


def normalisation() -> tuple[Float32, Float32]:
    rng = np.random.default_rng(0)
    return rng.normal(-5, 2, BANDS).astype(np.float32), rng.uniform(1, 4, BANDS).astype(np.float32)


def test_the_folded_net_equals_the_torch_module(net: VisemeNet) -> None:
    mel = np.random.default_rng(2).standard_normal((300, BANDS)).astype(np.float32)
    with torch.no_grad():
        expected = random_module()(torch.from_numpy(mel.T[None]))[0].numpy().T
    assert expected.std() > 0.1
    np.testing.assert_allclose(NetStream(net).outputs(mel), expected, atol=2e-4)


def test_storing_in_half_precision_moves_no_probability_by_more_than_a_hundredth(
    net: VisemeNet, tmp_path: Path
) -> None:
    net.save(tmp_path / "net.npz")
    stored = VisemeNet.load(tmp_path / "net.npz")
    assert stored.lookahead == net.lookahead
    exact, rough = (torch.softmax(torch.from_numpy(NetStream(n).push(NOISE)), 1) for n in (net, stored))
    assert 0 < (exact - rough).abs().max() < 0.01


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, len(NOISE)), max_size=12).map(sorted))
def test_pieces_of_any_size_give_what_the_whole_gives(cuts: list[int]) -> None:
    net = VisemeNet.load()
    whole, pieces = NetStream(net), NetStream(net)
    expected = whole.push(NOISE)
    found = np.concatenate([pieces.push(part) for part in np.split(NOISE, cuts)])
    np.testing.assert_allclose(found, expected, atol=1e-4)


def test_mel_frames_are_ten_milliseconds_apart_and_see_a_tone_in_its_band() -> None:
    seconds = np.arange(16_000, dtype=np.float32) / 16_000
    bands = [
        MelStream().push(np.sin(2 * np.pi * hz * seconds).astype(np.float32))[50].argmax() for hz in (200, 1000, 4000)
    ]
    assert bands == sorted(set(bands))
    assert len(MelStream().push(np.zeros(HOP * 100, np.float32))) == 99


def test_the_shipped_net_calls_silence_silence() -> None:
    scores = NetStream(VisemeNet.load()).push(np.zeros(16_000, np.float32))
    assert (scores.argmax(1) == SILENCE).all()


def test_every_viseme_has_a_mouth_within_range_and_silence_moves_nothing() -> None:
    assert MOUTHS.shape == (len(VISEMES), len(PARAMETERS))
    assert MOUTHS.min() >= 0
    assert MOUTHS.max() <= 1
    assert not MOUTHS[SILENCE].any()
    assert MOUTHS[[i for i in range(len(VISEMES)) if i != SILENCE]].any(1).all()


def test_missing_or_damaged_weights_are_an_error_of_the_model(tmp_path: Path) -> None:
    weights = tmp_path / "viseme_net.npz"
    with pytest.raises(ModelError, match=r"viseme_net\.npz: .*No such file.*; reinstall the package"):
        PortraitAdapter(weights=weights).load_model("cpu")
    weights.write_bytes(WEIGHTS.read_bytes()[:5000])
    with pytest.raises(ModelError, match=r"viseme_net\.npz: .*; reinstall the package"):
        PortraitAdapter(weights=weights).load_model("cpu")
