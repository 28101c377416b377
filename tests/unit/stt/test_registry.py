"""Recognisers by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from opentalking.config import Settings
from opentalking.stt.base import STTError
from opentalking.stt.registry import available, create_stt, list_stt, pick_stt


def broken(tmp_path: Path, **more: str) -> Settings:
    return Settings(stt_model_path=str(tmp_path), **more)


def test_every_recogniser_is_listed_with_the_reason_why_it_cannot_be_used(tmp_path: Path) -> None:
    reasons = available(broken(tmp_path))
    assert list(reasons) == list_stt(Settings())
    assert all(reasons.values())
    with pytest.raises(STTError, match="whisper: OPENTALKING_STT_MODEL_PATH"):
        create_stt("whisper", broken(tmp_path))
    with pytest.raises(STTError, match=r"whisper: .*; openai_compatible: "):
        pick_stt(broken(tmp_path))


def test_one_that_cannot_be_used_is_replaced_by_one_that_can(tmp_path: Path) -> None:
    assert pick_stt(Settings()) == "whisper"
    assert pick_stt(broken(tmp_path, stt_base_url="http://localhost/v1")) == "openai_compatible"


def test_none_is_a_choice() -> None:
    assert pick_stt(Settings(stt_provider="none")) == ""


@pytest.mark.parametrize(
    "make", [lambda: create_stt("siri", Settings()), lambda: pick_stt(Settings(stt_provider="siri"))]
)
def test_an_unknown_recogniser_is_named_with_the_known_ones(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(
        STTError, match="there is no recogniser 'siri'; there are whisper, openai_compatible, dashscope"
    ):
        make()


def test_asking_what_is_available_imports_nothing_heavy() -> None:
    """A worker asks before it is ready, also after a crash."""
    probe = (
        "import sys; from opentalking.config import Settings; from opentalking.stt.registry import available; "
        "available(Settings()); "
        "print([name for name in ('ctranslate2', 'openai', 'av', 'dashscope') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_plugin_is_a_recogniser_like_the_packaged_ones() -> None:
    settings = Settings(stt_plugins="mine=opentalking.stt.adapters.whisper:WhisperSTT", stt_provider="mine")
    assert available(settings)["mine"] == available(settings)["whisper"]
    assert pick_stt(settings) == "mine"


def test_plugins_written_wrongly_or_not_there_are_named() -> None:
    with pytest.raises(STTError, match="OPENTALKING_STT_PLUGINS: 'mine' is not name=module:Class"):
        list_stt(Settings(stt_plugins="mine"))
    settings = Settings(stt_plugins="mine=no_such_module:Mine")
    told = "no_such_module:Mine cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"
    assert available(settings)["mine"] == told
