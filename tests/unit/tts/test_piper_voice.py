"""A voice of somebody's own that is not as it should be: the reason is told, and nothing else falls with it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from opentalking.config import Settings
from opentalking.tts.base import TTSError
from opentalking.tts.piper_voice import read_config
from opentalking.tts.registry import available, pick_tts

GOOD: dict[str, Any] = {
    "audio": {"sample_rate": 22_050},
    "espeak": {"voice": "de"},
    "phoneme_id_map": {"^": [1], "_": [0], "$": [2], "a": [3]},
}


def voice(folder: Path, written: str) -> Path:
    path = folder / "mine.onnx"
    path.write_bytes(b"not looked at here")
    path.with_name("mine.onnx.json").write_text(written)
    return path


def test_what_a_configuration_leaves_out_is_as_piper_has_it(tmp_path: Path) -> None:
    config = read_config(voice(tmp_path, json.dumps(GOOD)))
    assert (config.inference.noise_scale, config.inference.length_scale, config.inference.noise_w) == (0.667, 1.0, 0.8)
    assert (config.language.code, config.phoneme_type) == ("", "espeak")


@pytest.mark.parametrize(
    ("written", "why"),
    [
        ("{", "cannot be read: Input data was truncated"),
        (json.dumps({**GOOD, "audio": {}}), r"cannot be read: .*`sample_rate` - at `\$.audio`"),
        (json.dumps({**GOOD, "espeak": {"voice": 7}}), r"cannot be read: .*at `\$.espeak.voice`"),
        (json.dumps({**GOOD, "phoneme_id_map": {"_": [0]}}), r"has no number for \^ \$"),
        (json.dumps({**GOOD, "phoneme_type": "pinyin"}), "mine.onnx wants pinyin phonemes"),
    ],
)
def test_one_that_cannot_be_used_says_why_and_another_engine_speaks(tmp_path: Path, written: str, why: str) -> None:
    path = voice(tmp_path, written)
    with pytest.raises(TTSError, match=why):
        read_config(path)
    settings = Settings(tts_voice_path=str(path))
    assert available(settings)["piper"] is not None
    assert pick_tts(settings) == "espeak"
