"""Checkpoints: where they are found, that no code of theirs runs, and what is said of those that do not fit."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from opentalking.config import Settings
from opentalking.models.adapter import ModelError
from opentalking.models.wav2lip.checkpoint import find_checkpoint, load_network, side_of
from opentalking.models.wav2lip.networks import LAYOUTS, Wav2LipNet

State = dict[str, Any]


@pytest.fixture(scope="module")
def weights() -> State:
    return Wav2LipNet(LAYOUTS[96]).state_dict()


def refusal(path: Path) -> str:
    with pytest.raises(ModelError) as refused:
        load_network(path)
    assert refused.value.reason == "not_configured"
    assert str(refused.value).startswith(f"{path}: ")
    return str(refused.value).removeprefix(f"{path}: ")


def test_the_best_network_of_the_models_folder_is_taken(tmp_path: Path) -> None:
    settings = Settings(models_dir=str(tmp_path))
    (tmp_path / "wav2lip").mkdir()
    in_order = ["wav2lip.pth", "wav2lip/wav2lip.pth", "wav2lip_gan.pth", "wav2lip256.pth", "wav2lip/wav2lip384.pth"]
    for name in in_order:
        (tmp_path / name).touch()
        assert find_checkpoint(settings) == tmp_path / name


def test_the_setting_comes_first_and_must_be_a_file(tmp_path: Path) -> None:
    named = tmp_path / "mine.pth"
    settings = Settings(models_dir=str(tmp_path), wav2lip_checkpoint=str(named))
    (tmp_path / "wav2lip384.pth").touch()
    with pytest.raises(ModelError, match=r"OPENTALKING_WAV2LIP_CHECKPOINT=.*mine\.pth: there is no such file"):
        find_checkpoint(settings)
    named.touch()
    assert find_checkpoint(settings) == named


def test_without_a_checkpoint_it_says_what_to_put_where_and_imports_no_torch(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from opentalking.config import Settings\n"
        "from opentalking.models.adapter import ModelError\n"
        "from opentalking.models.registry import create_adapter\n"
        f"adapter = create_adapter('wav2lip', Settings(models_dir={str(tmp_path)!r}))\n"
        "try:\n"
        "    adapter.load_model('cpu')\n"
        "except ModelError as error:\n"
        "    print(error.reason, error, 'torch' in sys.modules)\n"
    )
    environment = {"OPENTALKING_MODELS_DIR": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == (
        "not_configured no wav2lip checkpoint: put one of wav2lip384.pth, wav2lip256.pth, wav2lip_gan.pth, wav2lip.pth "
        f"into {tmp_path}/wav2lip/ or name one in OPENTALKING_WAV2LIP_CHECKPOINT False"
    )


def bare(weights: State) -> Any:
    return weights


def nested(weights: State) -> Any:
    return {"state_dict": weights, "optimizer": None, "global_step": 3}


def trained_on_several(weights: State) -> Any:
    return {"state_dict": {f"module.{name}": weight for name, weight in weights.items()}}


def halves(weights: State) -> Any:
    return {name: weight.half() if weight.is_floating_point() else weight for name, weight in weights.items()}


@pytest.mark.parametrize("kept", [bare, nested, trained_on_several, halves])
@pytest.mark.parametrize("zipped", [True, False], ids=["archive", "as of old"])
def test_weights_are_found_however_they_are_kept(
    tmp_path: Path, weights: State, kept: Callable[[State], Any], zipped: bool
) -> None:
    path = tmp_path / "wav2lip.pth"
    torch.save(kept(weights), path, _use_new_zipfile_serialization=zipped)
    network, side = load_network(path)
    assert side == 96 and not network.training
    name = "face_decoder_blocks.3.0.conv_block.0.weight"
    assert network.state_dict()[name].dtype == torch.float32
    torch.testing.assert_close(network.state_dict()[name], weights[name], atol=1e-3, rtol=0)
    path.unlink()


@pytest.mark.parametrize("side", [96, 256, 384])
def test_names_tell_which_network_it_is(side: int) -> None:
    with torch.device("meta"):
        assert side_of(Wav2LipNet(LAYOUTS[side]).state_dict()) == side


class RunsCode:
    """What unpickling it would do."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.marker,)


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value, protocol=2))])
def test_code_in_a_checkpoint_is_not_run(tmp_path: Path, save: Callable[[Any, Path], Any]) -> None:
    path, marker = tmp_path / "wav2lip.pth", tmp_path / "was here"
    save({"state_dict": {"sam": RunsCode(marker)}}, path)
    assert refusal(path).startswith("not a checkpoint that can be read without running its code: ")
    assert not marker.exists()


@pytest.mark.parametrize("content", [b"", b"<html>not found</html>", b"PK\x03\x04 cut off"])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "wav2lip.pth"
    path.write_bytes(content)
    assert refusal(path).startswith("not a checkpoint that can be read without running its code: ")


def test_a_file_without_weights_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "wav2lip.pth"
    torch.save({"state_dict": {"epoch": 3}}, path)
    assert refusal(path) == "holds no weights by name, neither bare nor under state_dict"


FIRST = "face_encoder_blocks.0.0.conv_block.0.weight"


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda state: state.pop(FIRST), f"{FIRST} is missing"),
        (
            lambda state: state.update({FIRST: torch.zeros(16, 6, 3, 3)}),
            f"{FIRST} is (16, 6, 3, 3) instead of (16, 6, 7, 7)",
        ),
        (lambda state: state.update(more=torch.zeros(1)), "more does not belong to it"),
    ],
    ids=["missing", "ill-shaped", "unexpected"],
)
def test_what_does_not_fit_is_named(tmp_path: Path, weights: State, change: Callable[[State], None], said: str) -> None:
    path, changed = tmp_path / "wav2lip.pth", dict(weights)
    change(changed)
    torch.save(changed, path)
    assert refusal(path) == f"by its names the wav2lip network of 96 pixels, but {said}"
    path.unlink()
