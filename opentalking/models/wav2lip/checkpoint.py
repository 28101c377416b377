"""A published checkpoint on disk: where it is looked for, and how it is read without running any code of its own.

    <models_dir>/wav2lip/wav2lip384.pth, <models_dir>/wav2lip384.pth, the same of wav2lip256, wav2lip_gan, wav2lip

A file holds the weights by name, bare or under `state_dict`, names perhaps begun with `module.` (a network that was
trained on several devices). Which network it is, its names tell; then every name and shape must fit.
"""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from opentalking.config import Settings, env_name
from opentalking.models.adapter import ModelError

if TYPE_CHECKING:
    from torch import Tensor

    from opentalking.models.wav2lip.networks import Wav2LipNet

NAMES = ("wav2lip384.pth", "wav2lip256.pth", "wav2lip_gan.pth", "wav2lip.pth")


def find_checkpoint(settings: Settings) -> Path:
    """The file that the setting names, or the first of the known places. Raises ModelError: not_configured."""
    setting = env_name("wav2lip_checkpoint")
    if settings.wav2lip_checkpoint:
        chosen = Path(settings.wav2lip_checkpoint).expanduser()
        if not chosen.is_file():
            raise ModelError(f"{setting}={settings.wav2lip_checkpoint}: there is no such file", "not_configured")
        return chosen
    folder = Path(settings.models_dir).expanduser()
    places = (place / name for name in NAMES for place in (folder / "wav2lip", folder))
    found = next((path for path in places if path.is_file()), None)
    if found is None:
        raise ModelError(
            f"no wav2lip checkpoint: put one of {', '.join(NAMES)} into {folder / 'wav2lip'}/ or name one in {setting}",
            "not_configured",
        )
    return found


def load_network(path: Path) -> tuple[Wav2LipNet, int]:
    """The network of a checkpoint, on the CPU in evaluation mode, and the side of its pictures.

    Raises ModelError naming what is wrong with the file.
    """
    import torch

    from opentalking.models.wav2lip.networks import LAYOUTS, Wav2LipNet

    weights = _read(path)
    side = side_of(weights)
    with torch.device("meta"):
        network = Wav2LipNet(LAYOUTS[side])
    wrong = _mismatch(network.state_dict(), weights)
    if wrong:
        raise ModelError(f"{path}: by its names the wav2lip network of {side} pixels, but {wrong}", "not_configured")
    network.load_state_dict(weights, assign=True)
    return network.float().eval().requires_grad_(False), side


def side_of(names: Collection[str]) -> int:
    """Which network's weights these are: 384, 256 or 96."""
    if any(name.startswith(("sam.", "audio_refine.")) for name in names):
        return 384
    return 256 if any(name.startswith("face_encoder_blocks.7.") for name in names) else 96


def _read(path: Path) -> dict[str, Tensor]:
    import torch

    try:
        # the oldest published files are no zip archives and cannot be mapped
        stored: Any = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except (OSError, EOFError, RuntimeError, ValueError, KeyError, pickle.UnpicklingError) as error:
        first = (str(error).splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"{path}: not a checkpoint that can be read without running its code: {first}", "not_configured"
        ) from error
    if isinstance(stored, Mapping) and isinstance(stored.get("state_dict"), Mapping):
        stored = stored["state_dict"]
    if not isinstance(stored, Mapping) or not all(isinstance(value, torch.Tensor) for value in stored.values()):
        raise ModelError(f"{path}: holds no weights by name, neither bare nor under state_dict", "not_configured")
    return {str(name).removeprefix("module."): value for name, value in stored.items()}


def _mismatch(expected: Mapping[str, Tensor], found: Mapping[str, Tensor]) -> str:
    """The first thing that does not fit, in words; empty if all does."""
    for name, weight in expected.items():
        if name not in found:
            return f"{name} is missing"
        if found[name].shape != weight.shape:
            return f"{name} is {tuple(found[name].shape)} instead of {tuple(weight.shape)}"
    unknown = next((name for name in found if name not in expected), None)
    return f"{unknown} does not belong to it" if unknown else ""
