"""Voice engines by name."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from opentalking.config import Settings
from opentalking.tts.base import TTSError
from opentalking.tts.registry import available, create_tts, list_tts, pick_tts


def test_every_engine_is_listed_with_the_reason_why_it_cannot_be_used(tmp_path: Path) -> None:
    broken = Settings(tts_voice_path=str(tmp_path / "none.onnx"))
    reasons = available(broken)
    assert list(reasons) == list_tts(Settings())
    assert reasons["piper"]
    with pytest.raises(TTSError, match="piper: "):
        create_tts("piper", broken)


def test_an_engine_that_cannot_be_used_is_replaced_by_one_that_can(tmp_path: Path) -> None:
    broken = Settings(tts_voice_path=str(tmp_path / "none.onnx"), tts_provider="piper")
    if available(broken)["espeak"] is None:
        assert pick_tts(broken) == "espeak"
    else:
        with pytest.raises(TTSError, match=r"piper: .*; espeak: "):
            pick_tts(broken)


@pytest.mark.parametrize(
    "make", [lambda: create_tts("siri", Settings()), lambda: pick_tts(Settings(tts_provider="siri"))]
)
def test_an_unknown_engine_is_named_with_the_known_ones(make) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(TTSError, match="there is no voice engine 'siri'; there are piper, espeak"):
        make()


def test_asking_what_is_available_imports_no_gpl_package() -> None:
    probe = (
        "import sys; from opentalking.config import Settings; from opentalking.tts.registry import available; "
        "available(Settings()); print([name for name in ('piper', 'espeakng_loader') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", probe], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_plugin_is_an_engine_like_the_packaged_ones() -> None:
    settings = Settings(tts_plugins="mine=opentalking.tts.adapters.espeak:EspeakTTS")
    assert "mine" in list_tts(settings)
    assert available(settings)["mine"] == available(settings)["espeak"]


def test_a_plugin_written_wrongly_is_named() -> None:
    with pytest.raises(TTSError, match="OPENTALKING_TTS_PLUGINS: 'mine' is not name=module:Class"):
        list_tts(Settings(tts_plugins="mine"))


def test_a_plugin_that_cannot_be_imported_has_that_for_a_reason() -> None:
    settings = Settings(tts_plugins="mine=no_such_module:Mine")
    told = "no_such_module:Mine cannot be imported: ModuleNotFoundError: No module named 'no_such_module'"
    assert available(settings)["mine"] == told
    assert pick_tts(settings) != "mine"
    with pytest.raises(TTSError, match="no_such_module:Mine cannot be imported"):
        create_tts("mine", settings)
