"""Models come from a path or out of a package that is not imported, and only those that were measured."""

from __future__ import annotations

import importlib.machinery
import sys
from pathlib import Path

import pytest

from opentalking.config import Settings
from opentalking.turns import weights
from opentalking.turns.weights import TurnsError


def test_both_are_found_without_importing_their_packages() -> None:
    assert weights.find_vad(Settings()).name == "silero_vad.onnx"
    assert weights.find_turn_model(Settings()).name == "smart-turn-v3.2-cpu.onnx"
    assert weights.missing_vad(Settings()) is weights.missing_turn_model(Settings()) is None
    assert not {"silero_vad", "pipecat"} & sys.modules.keys()


def test_without_the_first_package_voice_activity_comes_from_the_second(monkeypatch: pytest.MonkeyPatch) -> None:
    find = weights.importlib.util.find_spec
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None if name == "silero_vad" else find(name))
    assert "pipecat" in weights.find_vad(Settings()).parts


def test_without_any_package_the_command_that_installs_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    install = "pip install --no-deps silero-vad==6.2.3 pipecat-ai==1.14.0"
    with pytest.raises(TurnsError) as raised:
        weights.find_vad(Settings())
    assert str(raised.value) == f"no voice activity detector: {install}, or set OPENTALKING_VAD_MODEL_PATH"
    assert weights.missing_turn_model(Settings()) == (f"no turn model: {install}, or set OPENTALKING_TURN_MODEL_PATH")


def test_a_turn_model_that_is_not_wanted_is_not_missed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: None)
    assert weights.missing_turn_model(Settings(turn_model="none")) is None


def test_a_path_goes_before_a_package_and_must_be_a_file(tmp_path: Path) -> None:
    mine = tmp_path / "mine.onnx"
    mine.touch()
    assert weights.find_vad(Settings(vad_model_path=str(mine))) == mine
    assert weights.find_turn_model(Settings(turn_model_path=str(mine))) == mine
    with pytest.raises(TurnsError, match=r"OPENTALKING_VAD_MODEL_PATH: there is no file /no/vad\.onnx"):
        weights.find_vad(Settings(vad_model_path="/no/vad.onnx"))


def test_another_file_under_the_packaged_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "silero_vad.onnx").write_bytes(b"another")
    spec = importlib.machinery.ModuleSpec("silero_vad", None, is_package=True)
    spec.submodule_search_locations = [str(tmp_path)]
    monkeypatch.setattr(weights.importlib.util, "find_spec", lambda name: spec)
    with pytest.raises(TurnsError, match="is not the voice activity detector that was measured"):
        weights.find_vad(Settings())


def test_a_file_that_is_no_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "mine.onnx").write_bytes(b"not a model")
    with pytest.raises(TurnsError, match=r"mine\.onnx cannot be loaded"):
        weights.open_model(tmp_path / "mine.onnx")
