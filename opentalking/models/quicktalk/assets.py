"""QuickTalk's files: where they are looked for, and what is said when they are not there.

    <root>/checkpoints/256.onnx                  the lip network
    <root>/checkpoints/repair.npy                what of the face it draws anew
    <root>/checkpoints/chinese-hubert-large/     the speech encoder, a folder in Hugging Face's layout

`<root>` is OPENTALKING_QUICKTALK_ASSET_ROOT, else `quicktalk` in OPENTALKING_MODELS_DIR. Nothing is ever downloaded,
and no pickled program is run: `quicktalk.pth`, the other form in which the network is handed round, is one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from opentalking.config import Settings, env_name
from opentalking.models.adapter import ModelError

NETWORK, REPAIR, ENCODER, PICKLED = "256.onnx", "repair.npy", "chinese-hubert-large", "quicktalk.pth"
_ENCODER_WEIGHTS = ("model.safetensors", "pytorch_model.bin")


@dataclass(frozen=True, slots=True)
class Assets:
    """The files, all of which exist."""

    network: Path
    repair: Path
    encoder: Path


def find_assets(settings: Settings) -> Assets:
    """The files of the settings' folder. Raises ModelError that names what is missing and where it belongs."""
    wanted = settings.quicktalk_asset_root
    root = Path(wanted).expanduser() if wanted else Path(settings.models_dir).expanduser() / "quicktalk"
    folder = root / "checkpoints"
    assets = Assets(folder / NETWORK, folder / REPAIR, folder / ENCODER)
    if not assets.network.is_file() and (folder / PICKLED).is_file():
        raise ModelError(
            f"{folder / PICKLED} is a pickled program: to load it is to run whatever is in it, so it is not loaded. "
            f"Put {NETWORK} beside it, or make one of it in a sandbox as docs/quicktalk.md shows",
            "not_configured",
        )
    missing = [str(path) for path in (assets.network, assets.repair) if not path.is_file()]
    missing += [str(assets.encoder / name) for name in _missing_of_encoder(assets.encoder)]
    if missing:
        raise ModelError(
            f"quicktalk needs {', '.join(missing)}; its folder is {env_name('quicktalk_asset_root')}, "
            f"else quicktalk in {env_name('models_dir')}",
            "not_configured",
        )
    return assets


def _missing_of_encoder(folder: Path) -> list[str]:
    missing = [] if (folder / "config.json").is_file() else ["config.json"]
    if not any((folder / name).is_file() for name in _ENCODER_WEIGHTS):
        missing.append(" or ".join(_ENCODER_WEIGHTS))
    return missing
