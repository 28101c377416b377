"""What is said to somebody whose files are not there, or are of the wrong kind."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from opentalking.config import Settings
from opentalking.models.adapter import ModelError
from opentalking.models.quicktalk.assets import find_assets


def test_files_are_found_in_the_folder_of_the_setting_else_in_that_of_all_models(quicktalk_root: Path) -> None:
    named = find_assets(Settings(quicktalk_asset_root=str(quicktalk_root)))
    assert named.network == quicktalk_root / "checkpoints" / "256.onnx"
    models = quicktalk_root.parent / "models"
    models.mkdir(exist_ok=True)
    (models / "quicktalk").unlink(missing_ok=True)
    (models / "quicktalk").symlink_to(quicktalk_root)
    assert find_assets(Settings(models_dir=str(models))).encoder.name == "chinese-hubert-large"


def test_every_missing_file_is_named_with_its_place(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as refused:
        find_assets(Settings(models_dir=str(tmp_path)))
    assert refused.value.reason == "not_configured"
    folder = tmp_path / "quicktalk" / "checkpoints"
    assert str(refused.value) == (
        f"quicktalk needs {folder}/256.onnx, {folder}/repair.npy, {folder}/chinese-hubert-large/config.json, "
        f"{folder}/chinese-hubert-large/model.safetensors or pytorch_model.bin; its folder is "
        "OPENTALKING_QUICKTALK_ASSET_ROOT, else quicktalk in OPENTALKING_MODELS_DIR"
    )


def test_a_pickled_network_is_not_loaded_and_the_reason_is_told(tmp_path: Path) -> None:
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "quicktalk.pth").write_bytes(b"cos\nsystem\n")
    with pytest.raises(ModelError, match=r"is a pickled program: .* make one of it in a sandbox") as refused:
        find_assets(Settings(quicktalk_asset_root=str(tmp_path)))
    assert refused.value.reason == "not_configured"


def test_without_files_nothing_heavy_is_imported(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from opentalking.config import Settings\n"
        "from opentalking.models.adapter import ModelError\n"
        "from opentalking.models.quicktalk.adapter import QuickTalkAdapter\n"
        "try:\n"
        f"    QuickTalkAdapter(Settings(models_dir={str(tmp_path)!r})).load_model('cpu')\n"
        "except ModelError:\n"
        "    print(sorted({'torch', 'transformers', 'onnxruntime'} & set(sys.modules)))\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
